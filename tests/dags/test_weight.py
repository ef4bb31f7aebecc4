"""Parsing the DAGs, which Airflow does every minute in a fresh process, loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "feast", "gensim", "great_expectations", "pandas", "sklearn", "implicit", "pyarrow")
SCRIPT = """
import runpy, sys
import airflow.sdk
for path in sys.argv[1:]:
    runpy.run_path(path)
print(" ".join(sorted({name.split(".")[0] for name in sys.modules})))
"""


def test_no_dag_loads_a_heavy_library() -> None:
    files = [str(path) for path in sorted((PROJECT / "dags").glob("*.py"))]
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, *files], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    # `python -c` puts the working folder, thus `tasks`, on the path; conftest does so for plugins by Airflow's setting
    assert ran.returncode == 0, ran.stderr[-2000:]
    loaded = set(ran.stdout.split())
    assert "pipeline_assets" in loaded
    assert not loaded & set(HEAVY)
