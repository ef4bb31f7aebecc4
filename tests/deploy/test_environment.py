"""The environment of Airflow's processes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from deploy.credentials import Credentials
from deploy.environment import environment, with_database, with_driver
from deploy.stack import local_place

SECRETS = Credentials("a" * 64, "b", "c", "d" * 32)


def test_a_local_place_is_on_loopback_only() -> None:
    made = environment(local_place(Path("/home"), 8081, "postgresql://postgres@/airflow?host=/home/pg"), SECRETS)
    assert made["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert made["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8081/execution/"
    assert made["FEATURE_SERVER"].startswith("127.0.0.1:")
    assert not [value for value in made.values() if "0.0.0.0" in value]


def test_without_a_broker_tasks_run_beside_the_scheduler() -> None:
    place = local_place(Path("/home"), 8081, "postgresql://postgres@/airflow?host=/home/pg")
    made = environment(place, SECRETS)
    assert made["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert not [name for name in made if "CELERY" in name]
    assert environment(dataclasses.replace(place, broker="redis://h/0"), SECRETS)["AIRFLOW__CORE__EXECUTOR"] == (
        "CeleryExecutor"
    )


@pytest.mark.parametrize(
    "uri", ["postgresql://postgres@/airflow?host=/home/pg", "postgresql://u:p%40ss@db:5433/airflow?sslmode=require"]
)
def test_addresses_keep_all_but_the_driver_and_the_database(uri: str) -> None:
    assert with_driver(uri, "psycopg2") == uri.replace("postgresql:", "postgresql+psycopg2:")
    assert with_database(uri, "penchant") == uri.replace("/airflow", "/penchant")


def test_every_setting_it_makes_is_one_that_is_known() -> None:
    from deploy.containers import CONTAINERS
    from tasks.settings import refuse_unknown

    refuse_unknown(environment(CONTAINERS, SECRETS))


def test_airflow_knows_every_option_it_is_given() -> None:
    from airflow.configuration import conf

    from deploy.containers import CONTAINERS

    known = conf.configuration_description
    for name in environment(CONTAINERS, SECRETS):
        if name.startswith("AIRFLOW__"):
            _, section, option = name.lower().split("__")
            assert option in known[section]["options"], f"{name} is no option of Airflow"
