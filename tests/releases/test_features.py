"""Views and services are computed from the schema: nothing forgotten, nothing spelled twice."""

import importlib
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks import schema

pytestmark = pytest.mark.slow  # imports Feast
RELEASE = "r20260301_ab12cd34"


@pytest.fixture(scope="module")
def features() -> SimpleNamespace:
    return importlib.import_module("feature_repo.features")


@pytest.fixture(scope="module")
def views(features):
    return features.views(RELEASE, {t.name: Path(f"/data/{t.name}.parquet") for t in schema.SERVED})


@pytest.mark.parametrize("table", schema.SERVED, ids=lambda t: t.name)
def test_a_view_has_the_columns_of_its_table_and_the_release(features, views, table):
    view = views[table.name]
    assert view.name == f"{table.name}__{RELEASE}"
    assert [f.name for f in view.features] == [*(c.name for c in table.features), "release"]
    assert [f.description for f in view.features] == [*(c.meaning for c in table.features), schema.RELEASE.meaning]
    assert [f.name for f in view.entity_columns] == list(table.key)
    assert view.batch_source.timestamp_field == "as_of"
    assert view.owner
    assert view.description == table.meaning
    assert view.tags["release"] == RELEASE


def test_a_service_serves_under_fixed_names(features, views):
    services = {s.tags["service"]: s for s in features.services(RELEASE, views)}
    assert set(services) == set(schema.SERVICES)
    for name, tables in schema.SERVICES.items():
        assert [p.name_to_use() for p in services[name].feature_view_projections] == [t.name for t in tables]
        assert services[name].name == f"{name}__{RELEASE}"
        assert services[name].description


def test_a_name_too_long_for_postgres_is_refused(features):
    with pytest.raises(ValueError, match="63 bytes"):
        features.view(schema.RECOMMENDATIONS, RELEASE + "_and_a_tail", Path("/x"))


def test_feast_apply_on_the_repository_is_refused():
    path = Path(__file__).parents[2] / "feature_repo" / "features.py"
    with pytest.raises(RuntimeError, match="would delete the views"):
        runpy.run_path(str(path), run_name="features")


def test_the_written_repository_says_the_same(rooms, tmp_path):
    repo = rooms.stores.write_repo(tmp_path, {})
    with pytest.raises(RuntimeError, match="would delete the views"):
        runpy.run_path(str(repo / "features.py"), run_name="features")
