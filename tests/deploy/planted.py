"""A copy of the project whose jobs are planted: they compute nothing, so that what runs them can be watched."""

from __future__ import annotations

import shutil
from pathlib import Path

PROJECT = Path(__file__).parents[2]

JOBS = '''
import os, time
from tasks.errors import BatchRefused, ReleaseError, StoreUnavailable

def refs(name): return {"refs": {name: {"name": name, "version": "1", "rows": 3}}}
def merged(*bags): return {"refs": {k: v for bag in bags for k, v in bag["refs"].items()}, "as_of": bags[0]["as_of"]}
def once(name):
    """True the first time."""
    try: os.close(os.open(os.path.join(os.environ["PENCHANT_HOME"], name), os.O_CREAT | os.O_EXCL)); return True
    except FileExistsError: return False
def asked(name): return os.path.exists(os.path.join(os.environ["PENCHANT_HOME"], name))

def read_batch(*, events, items, as_of, **_):
    if "stopped.csv" in events: return {"batch_id": "bad", "as_of": as_of, "repeated": False, "chunks": [0]}
    return {"batch_id": "b", "as_of": as_of, "repeated": False, "chunks": [0, 1, 2]}
def check_chunk(plan, chunk): return {"chunk": chunk, "rows": 1}
def settle_batch(plan):
    rows = {"entered": 9, "accepted": 3, "quarantined": 6, "repeated": 0}
    counts = {"accepted_events": {"rows": rows, "rules": {"rating_scale": 6}}} if plan["batch_id"] == "bad" else {}
    return {**plan, "counts": counts, "stopped": "too many rows are bad" if counts else "", "source": "shop"}
def report_batch(settled, run_url=""): return run_url
def keep_batch(plan, override):
    assert (override is None) == (plan["batch_id"] == "b")
    return {**refs("accepted_events"), **plan, "counts": {}}
def discard_batch(plan, by, why): raise BatchRefused(f"{by}: {why}")
def plan_refresh(received): return {**received, "shards": [0, 1, 2, 3]}
def refresh_topics(plan):
    if asked("slow"): time.sleep(600)
    return refs("topics")
def encode_shard(plan, shard): return refs(f"vectors_{shard}")
def join_vectors(plan, shards):
    assert [list(s["refs"]) for s in shards] == [[f"vectors_{n}"] for n in range(4)]
    return refs("text_vectors")
def train_sequence(plan, vectors):
    assert "text_vectors" in vectors["refs"]
    return refs("sequence_model")
def assemble_interests(plan, *parts): return merged(plan, *parts, refs("user_interests"))
def backtest(received):
    assert set(received["refs"]) >= {"accepted_events", "topics", "text_vectors", "sequence_model", "user_interests"}
    return refs("evaluation_card")
def score(received, backtest): return merged(received, backtest, refs("recommendations"))
def prepare_release(received): return {"release": "r1", "shards": [0, 1], "as_of": received["as_of"]}
def check_gate(prepared, force):
    if asked("bad"): raise ReleaseError("release r1 is worse than the live one; look at its card")
    return prepared
def materialize_shard(prepared, shard):
    if shard == 1 and asked("flaky") and once("flaked"): raise StoreUnavailable("the store is away")
    return {}
def verify_release(prepared): return {}
def flip_release(prepared): return {"live": prepared["release"]}
def retire_releases(prepared): return {}
def roll_back(name): return {"live": name}
'''
COMMANDS = """
import pathlib, sys
if sys.argv[1] == "sample-shop":
    out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
    out.mkdir(parents=True, exist_ok=True)
    (out / "events.csv").touch(); (out / "items.jsonl").touch()
else:
    print("the planted report")
"""


def plant(folder: Path) -> Path:
    """The copy, in `folder`."""
    leave = shutil.ignore_patterns("__pycache__", "jobs", "__main__.py")
    for room in ("tasks", "dags", "plugins", "deploy", "feature_repo"):
        shutil.copytree(PROJECT / room, folder / room, ignore=leave if room == "tasks" else leave_caches)
    (folder / "tasks" / "jobs").mkdir()
    (folder / "tasks" / "jobs" / "__init__.py").write_text(JOBS)
    alerts, serving = ("alerting", "history", "reports", "workspace"), ("freshness", "publication", "serving")
    for module in (*alerts, *serving):  # these are real
        shutil.copy(PROJECT / "tasks" / "jobs" / f"{module}.py", folder / "tasks" / "jobs")
    (folder / "tasks" / "__main__.py").write_text(COMMANDS)
    return folder


leave_caches = shutil.ignore_patterns("__pycache__")
