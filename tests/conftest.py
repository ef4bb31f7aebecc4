"""What every test stands on: an Airflow of its own that no test may confuse with one that is in use."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
_HOME = Path(tempfile.mkdtemp(prefix="penchant-tests-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)

# Airflow reads its environment once, when it is first imported: this must come before.
for _name in [n for n in os.environ if n.startswith(("AIRFLOW", "PENCHANT_")) and n != "PENCHANT_TEST_DATA"]:
    del os.environ[_name]
os.environ.update(
    AIRFLOW_HOME=str(_HOME / "airflow"),
    AIRFLOW__CORE__DAGS_FOLDER=str(PROJECT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(PROJECT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__EXECUTOR="LocalExecutor",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_HOME}/airflow.db",
    PENCHANT_HOME=str(_HOME / "home"),
)
# One thread a process: the daily command runs two of them side by side, and sums do not depend on the machine.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
sys.path.append(str(PROJECT / "plugins"))  # as Airflow does
