"""Penchant: user-interest pipelines on Airflow and Feast."""
