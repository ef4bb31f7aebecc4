"""The README says what the code says: every setting, every table, every command, and pictures that exist."""

import re
from pathlib import Path

import pytest

from tasks import schema
from tasks.__main__ import app
from tasks.columns import data_dictionary
from tasks.settings import Settings, settings_table

PROJECT = Path(__file__).resolve().parent.parent
README = (PROJECT / "README.md").read_text()


def test_the_data_dictionary_is_the_schema() -> None:
    assert data_dictionary(schema.TABLES.values()).strip() in README


def test_the_settings_are_those_there_are() -> None:
    assert settings_table() in README


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_explained(name: str) -> None:
    assert f"PENCHANT_{name.upper()}" in README


def test_every_command_that_is_named_exists() -> None:
    named = set(re.findall(r"python -m tasks ([a-z][a-z-]*)", README))
    known = {c.name or c.callback.__name__.replace("_", "-") for c in app.registered_commands if c.callback}
    assert named <= known


def test_every_make_target_that_is_named_exists() -> None:
    named = set(re.findall(r"make ([a-z]+)", README))
    known = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.M))
    assert named - {"it"} <= known


def test_every_link_into_the_project_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert [link for link in links if not (PROJECT / link).exists()] == []


def test_every_example_and_dag_that_is_named_exists() -> None:
    for name in re.findall(r"examples/[a-z0-9_]+\.yaml", README):
        assert (PROJECT / name).is_file(), name
    for path in (PROJECT / "dags").glob("*.py"):
        assert f"`{path.stem}`" in README
