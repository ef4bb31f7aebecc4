"""The house rules that a program can check: who imports whom, how long a file is, what no stage may do."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
ROOMS = ("tasks", "dags", "plugins", "deploy", "feature_repo", "benchmarks")
STAGES = (
    *("sources", "quality", "topics", "embeddings", "interests", "scoring", "evaluation", "releases", "privacy"),
    "alerts",
)
FOUNDATIONS = {"schema", "columns", "errors", "text"}
"""What every stage may use of ours."""
HEAVY = {"torch", "transformers", "feast", "gensim", "great_expectations", "implicit", "sklearn", "faiss", "duckdb"}
PLUGIN_STEMS = ("pipeline_", "interest_")
LONGEST_FILE, LONGEST_DAG, LONGEST_FUNCTION = 300, 80, 60


def files(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (PROJECT / room).rglob("*.py"))


def ids(path: Path) -> str:
    return str(path.relative_to(PROJECT))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(node: ast.AST, path: Path) -> Iterator[str]:
    """Dotted names that are imported anywhere below `node`, relative ones made absolute."""
    package = path.relative_to(PROJECT).parts[:-1]
    for found in ast.walk(node):
        if isinstance(found, ast.Import):
            yield from (alias.name for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            base = ".".join([*package[: len(package) - found.level + 1]] if found.level else [])
            module = ".".join(part for part in (base, found.module) if part)
            yield from (f"{module}.{alias.name}" for alias in found.names)


def at_import(path: Path) -> ast.Module:
    """The file without what only runs later or never: bodies of functions, and imports for type checkers."""

    class Strip(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]

        def visit_If(self, node: ast.If) -> ast.If | None:
            return None if "TYPE_CHECKING" in ast.dump(node.test) else node

    return Strip().visit(ast.parse(path.read_text()))


def room_of(path: Path) -> str:
    """The stage that a file belongs to: a package below `tasks`, or a module of the same name."""
    return path.relative_to(PROJECT / "tasks").parts[0].removesuffix(".py")


STAGE_FILES = [path for path in files("tasks") if room_of(path) in STAGES]


@pytest.mark.parametrize("path", STAGE_FILES, ids=ids)
def test_a_stage_uses_only_itself_and_the_foundations(path: Path) -> None:
    ours = {name.split(".")[1] for name in imports(tree(path), path) if name.startswith("tasks.")}
    assert ours <= FOUNDATIONS | {room_of(path)}


@pytest.mark.parametrize("path", files("tasks/serving"), ids=ids)
def test_the_read_service_uses_releases_and_the_foundations(path: Path) -> None:
    ours = {name.split(".")[1] for name in imports(tree(path), path) if name.startswith("tasks.")}
    assert ours <= FOUNDATIONS | {"releases", "serving"}


@pytest.mark.parametrize("path", files("tasks/text"), ids=ids)
def test_text_stands_below_the_stages(path: Path) -> None:
    ours = {name.split(".")[1] for name in imports(tree(path), path) if name.startswith("tasks.")}
    assert ours <= FOUNDATIONS


@pytest.mark.parametrize("name", ["columns", "errors", "schema", "settings", "store"])
def test_the_foundations_know_nothing_above_them(name: str) -> None:
    path = PROJECT / "tasks" / f"{name}.py"
    below = {"columns": {"errors"}, "errors": set(), "schema": {"columns"}, "settings": {"errors"}}
    ours = {found.split(".")[1] for found in imports(tree(path), path) if found.startswith("tasks.")}
    assert ours <= below.get(name, {"columns", "errors"})


@pytest.mark.parametrize("path", files("tasks", "feature_repo"), ids=ids)
def test_nothing_points_back(path: Path) -> None:
    tops = {name.split(".")[0] for name in imports(tree(path), path)}
    assert not tops & {"airflow", "dags", "plugins", "deploy", "benchmarks", "tests"}
    assert not {top for top in tops if top.startswith(PLUGIN_STEMS)}


@pytest.mark.parametrize("path", files("feature_repo"), ids=ids)
def test_the_feature_repository_knows_the_schema_only(path: Path) -> None:
    ours = {name.split(".")[1] for name in imports(tree(path), path) if name.startswith("tasks.")}
    assert ours <= {"schema", "columns", "settings"}


@pytest.mark.parametrize("path", files("tasks", "feature_repo", "benchmarks"), ids=ids)
def test_airflow_stays_in_its_own_rooms(path: Path) -> None:
    assert not [name for name in imports(tree(path), path) if name.split(".")[0] == "airflow"]


@pytest.mark.parametrize("path", files("dags"), ids=ids)
def test_a_dag_imports_airflow_and_plugins_and_jobs_only_inside_tasks(path: Path) -> None:
    tops = {name.split(".")[0] for name in imports(at_import(path), path)}
    allowed = {"__future__", "typing", "airflow", "pendulum"}
    assert {top for top in tops - allowed if not top.startswith(PLUGIN_STEMS)} == set()
    ours = {name for name in imports(tree(path), path) if name.startswith("tasks")}
    assert ours <= {"tasks.jobs"}


@pytest.mark.parametrize("path", files("plugins"), ids=ids)
def test_a_plugin_s_name_is_its_own_and_it_knows_no_stage(path: Path) -> None:
    # Airflow registers each file under its bare name: a second `tasks.py` would take the place of our package.
    assert path.relative_to(PROJECT / "plugins").parts[0].startswith(PLUGIN_STEMS)
    ours = {name.split(".")[1] for name in imports(tree(path), path) if name.startswith("tasks.")}
    assert ours <= {"errors", "jobs", "settings", "schema"}
    assert not {name.split(".")[0] for name in imports(at_import(path), path)} & {*HEAVY, "pandas"}


def test_plugin_names_are_unique() -> None:
    stems = [path.stem for path in files("plugins") if path.stem != "__init__"]
    assert len(stems) == len(set(stems))


def test_naming_a_job_loads_no_heavy_library() -> None:
    script = "import sys; from tasks import jobs; print(' '.join({name.split('.')[0] for name in sys.modules}))"
    ran = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert not set(ran.stdout.split()) & HEAVY


@pytest.mark.parametrize("path", files(*ROOMS), ids=ids)
def test_a_file_that_outgrows_its_budget_wants_to_be_two(path: Path) -> None:
    budget = LONGEST_DAG if path.parent.name == "dags" else LONGEST_FILE
    assert len(path.read_text().splitlines()) <= budget


@pytest.mark.parametrize("path", files(*ROOMS), ids=ids)
def test_no_function_is_longer_than_a_screen(path: Path) -> None:
    functions = [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    # A DAG's function holds the tasks that make it up.
    functions = [node for node in functions if not any(isinstance(n, ast.FunctionDef) for n in node.body)]
    long = {n.name: n.end_lineno - n.lineno + 1 for n in functions if n.end_lineno - n.lineno >= LONGEST_FUNCTION}  # type: ignore[operator]
    assert long == {}


CLOCKS = {"now", "utcnow", "today", "time", "time_ns"}


@pytest.mark.parametrize("path", STAGE_FILES, ids=ids)
def test_a_stage_reads_no_clock_and_no_global_chance(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            assert not (node.func.attr in CLOCKS and owner.split(".")[-1] in {"datetime", "date", "time"}), owner
            assert owner != "random", f"random.{node.func.attr}"
            assert owner not in ("np.random", "numpy.random") or node.func.attr in (
                "default_rng",
                "Generator",
                "SeedSequence",
                "PCG64",
            )


@pytest.mark.parametrize("path", files("tasks"), ids=ids)
def test_no_model_is_pickled(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(tree(path), path)} & {"pickle", "dill", "cloudpickle", "joblib"}


def test_tests_mirror_the_rooms() -> None:
    rooms = {path.name.removesuffix(".py") for path in (PROJECT / "tasks").iterdir() if not path.name.startswith("__")}
    rooms |= {room for room in ROOMS if room != "tasks"}
    tested = {path.name for path in (PROJECT / "tests").iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert tested <= rooms, "a folder of tests without its room"
    untested = {stage for stage in STAGES if (PROJECT / "tasks" / stage).exists()} - tested
    assert not untested, "a stage without tests"


def test_the_lock_file_holds_what_the_project_asks_for() -> None:
    import tomllib

    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    lines = [line for line in (PROJECT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    locked = dict(line.split("==") for line in lines)
    assert not [line for line in lines if "://" in line or "+" in line or line.startswith(("nvidia", "-"))]
    for wanted in project["dependencies"]:
        name, version = wanted.split("==")
        assert locked[name.split("[")[0]] == version
    assert set(project["optional-dependencies"]["dev"]) <= set(locked)


def test_no_file_names_this_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=False)
    forbidden = ("/" + "work/", "/opt/" + "wheels", "/opt/" + "pypi")
    for name in listed.stdout.split():
        path = PROJECT / name
        if path.is_file() and path.suffix in {".py", ".md", ".yml", ".yaml", ".toml", ".sh", ".lock", ""}:
            text = path.read_text(errors="replace")
            assert not [word for word in forbidden if word in text], name
