"""The shell: each job reads references, calls pure stages, writes references; DAGs and the command line call these.

A job takes and gives a *bag*: JSON values with `refs` (name → exact artifact) and `as_of`. Stages are imported inside
the jobs, so that naming a job loads no heavy library.
"""

from tasks.jobs.freshness import watch_freshness
from tasks.jobs.intake import check_chunk, discard_batch, ingest, keep_batch, read_batch, report_batch, settle_batch
from tasks.jobs.publication import (
    check_gate,
    flip_release,
    materialize_shard,
    prepare_release,
    retire_releases,
    roll_back,
    verify_release,
)
from tasks.jobs.push import ingest_pushed
from tasks.jobs.refresh import (
    assemble_interests,
    encode_shard,
    join_vectors,
    plan_refresh,
    refresh_topics,
    train_sequence,
)
from tasks.jobs.replaying import replay
from tasks.jobs.scores import backtest, score

__all__ = [
    "assemble_interests",
    "backtest",
    "check_chunk",
    "check_gate",
    "discard_batch",
    "encode_shard",
    "flip_release",
    "ingest",
    "ingest_pushed",
    "join_vectors",
    "keep_batch",
    "materialize_shard",
    "plan_refresh",
    "prepare_release",
    "read_batch",
    "refresh_topics",
    "replay",
    "report_batch",
    "retire_releases",
    "roll_back",
    "score",
    "settle_batch",
    "train_sequence",
    "verify_release",
    "watch_freshness",
]
