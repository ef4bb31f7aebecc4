"""`docker-compose.yml`, the local topology and the one description of both hold together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.components import AIRFLOW, FEATURES, PREPARE, TOPOLOGY, WORKERS
from deploy.containers import CONTAINERS, SECRETS
from deploy.credentials import Credentials, dotenv
from deploy.environment import environment
from deploy.stack import local_place

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {"migrate": PREPARE, **TOPOLOGY}


def test_each_component_is_a_service_and_the_stores_are_the_only_others() -> None:
    assert set(SERVICES) == {*OURS, "postgres", "redis"}


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_the_command_of_the_local_process(name: str) -> None:
    assert tuple(SERVICES[name]["command"]) == OURS[name]


@pytest.mark.parametrize("name", TOPOLOGY)
def test_a_service_has_the_environment_of_the_description(name: str) -> None:
    assert SERVICES[name]["environment"] == environment(CONTAINERS, SECRETS)


def test_a_local_process_has_the_same_environment_but_for_where_things_are() -> None:
    local = local_place(
        Path("/home"), 18080, "postgresql://u@h/airflow", broker="redis://h/0", settings=CONTAINERS.settings
    )
    here = environment(local, Credentials("a", "b", "c", "d"))
    there = environment(CONTAINERS, SECRETS)
    assert list(here) == list(there)
    differing = {name for name in here if here[name] != there[name]}
    assert all(
        re.search(r"HOME|PATH|FOLDER|FILE|SERVER|HOST|PORT|URL|CONN|BACKEND|SECRET|KEY|TOKEN", n) for n in differing
    )


def test_only_the_gpu_worker_asks_for_a_gpu() -> None:
    asking = {name for name, service in SERVICES.items() if "deploy" in service}
    assert asking == {"worker-gpu"}
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert SERVICES["worker-gpu"]["build"]["target"] == "gpu"


def test_queues_of_the_workers() -> None:
    assert {name: command[command.index("--queues") + 1] for name, command in WORKERS.items()} == {
        "worker-default": "default",
        "worker-gpu": "gpu",
    }


def test_nothing_is_published_beyond_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_everything_that_stays_up_is_watched() -> None:
    watched = {name for name, service in SERVICES.items() if "healthcheck" in service}
    assert watched == {"postgres", "redis", *AIRFLOW, *WORKERS, *FEATURES}


def test_every_secret_comes_from_dotenv_and_none_stands_in_the_file() -> None:
    asked = set(re.findall(r"\$\{(\w+)", TEXT))
    assert asked == {line.split("=", 1)[0] for line in dotenv().splitlines()}
    for name, value in SERVICES["api-server"]["environment"].items():
        if re.search(r"SECRET|PASSWORD$|_KEY$|TOKENS$", name):
            assert value.startswith("${"), name


def test_the_image_has_the_targets_that_services_are_built_from() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE))
    assert {service["build"]["target"] for service in SERVICES.values() if "build" in service} <= stages
