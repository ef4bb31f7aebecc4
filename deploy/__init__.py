"""Bring Penchant up: Airflow, its stores and workers, as local processes or as containers, from one description."""
