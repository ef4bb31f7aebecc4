"""How fast and how heavy a full refresh is, stage by stage, beside a plain way of doing the same.

    python -m benchmarks.refresh --users 600 --days 60 --json out.json

Every stage runs in a process of its own, so its peak memory is its own; import time is counted in, because a task
pays for it. The alternatives run on a sample of the same rows in the same run, and only ratios are worth quoting:
absolute figures depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Bag = dict[str, Any]
SAMPLE = 300
"""Texts that the plain encoder reads: enough for a stable rate, little enough not to dominate the run."""
ROWS = 20_000
"""Rows that the plain reader takes."""


def stages(users: int, days: int, seed: int, home: Path) -> dict[str, Callable[[Bag], Bag]]:
    """The stages in order; each takes what the last one gave and gives `rows` and whatever the next ones need."""
    from tasks import jobs
    from tasks.jobs import sampling

    shop = home / "shop"

    def sample_shop(_: Bag) -> Bag:
        made = sampling.write(shop, users=users, days=days, seed=seed, faults=0.01)
        return {"rows": made["counts"]["rows"], "as_of": made["as_of"]}

    def ingest(bag: Bag) -> Bag:
        events, items = [str(shop / "events.csv")], [str(shop / "items.jsonl")]
        taken = jobs.ingest(events=events, items=items, as_of=bag["as_of"])
        return {"rows": taken["counts"]["accepted_events"]["rows"]["entered"], "plan": jobs.plan_refresh(taken)}

    def topics(bag: Bag) -> Bag:
        made = jobs.refresh_topics(bag["plan"])
        return {"rows": made["refs"]["text_topics"]["rows"], "topics": made}

    def encode(bag: Bag) -> Bag:
        parts = [jobs.encode_shard(bag["plan"], shard) for shard in bag["plan"]["shards"]]
        return {"rows": sum(p["encoded"] for p in parts), "vectors": jobs.join_vectors(bag["plan"], parts)}

    def encode_again(bag: Bag) -> Bag:
        parts = [jobs.encode_shard(bag["plan"], shard) for shard in bag["plan"]["shards"]]
        return {"rows": sum(p["texts"] for p in parts), "encoded": sum(p["encoded"] for p in parts)}

    def train_sequence(bag: Bag) -> Bag:
        made = jobs.train_sequence(bag["plan"], bag["vectors"])
        return {"rows": bag["plan"]["refs"]["accepted_events"]["rows"], "sequence": made}

    def interests(bag: Bag) -> Bag:
        made = jobs.assemble_interests(bag["plan"], bag["topics"], bag["vectors"], bag["sequence"])
        return {"rows": made["refs"]["user_activity"]["rows"], "interests": made}

    def backtest(bag: Bag) -> Bag:
        made = jobs.backtest(bag["interests"])
        return {"rows": bag["plan"]["refs"]["accepted_events"]["rows"], "backtest": made}

    def score(bag: Bag) -> Bag:
        made = jobs.score(bag["interests"], bag["backtest"])
        return {"rows": made["refs"]["user_recommendations"]["rows"], "scored": made}

    def publish(bag: Bag) -> Bag:
        prepared = jobs.check_gate(jobs.prepare_release(bag["scored"]), force=True)
        written = [jobs.materialize_shard(prepared, shard) for shard in prepared["shards"]]
        jobs.verify_release(prepared)
        jobs.flip_release(prepared)
        return {"rows": sum(sum(part["rows"].values()) for part in written)}

    listed = (
        sample_shop, ingest, topics, encode, encode_again, train_sequence, interests, backtest, score, publish,
    )  # fmt: skip
    return {stage.__name__: stage for stage in listed} | alternatives(shop, seed)


def alternatives(shop: Path, seed: int) -> dict[str, Callable[[Bag], Bag]]:
    """Plain ways of doing `ingest`, `encode` and `topics`, named after them."""

    def plain_ingest(_: Bag) -> Bag:
        """pandas `iterrows` with the checks written as a person would."""
        import pandas as pd

        known = {json.loads(line)["item_id"] for line in (shop / "items.jsonl").read_text().splitlines()}
        seen: set[str] = set()
        accepted = 0
        frame = pd.read_csv(shop / "events.csv", nrows=ROWS, dtype=str, encoding_errors="replace")
        for _, row in frame.iterrows():
            when = pd.to_datetime(row["event_time"], errors="coerce", utc=True)
            stars = pd.to_numeric(row["rating"], errors="coerce")
            good = isinstance(row["user_id"], str) and not pd.isna(when) and row["event_id"] not in seen
            good = good and (pd.isna(row["item_id"]) or row["item_id"] in known)
            good = good and (pd.isna(stars) or 1 <= stars <= 5)
            seen.add(row["event_id"])
            accepted += good
        return {"rows": len(frame), "accepted": int(accepted)}

    def plain_encode(bag: Bag) -> Bag:
        """transformers, one text at a time, padded to 128 tokens."""
        import torch
        from transformers import AutoModel, AutoTokenizer

        from tasks.embeddings.weights import locate

        folder = locate("default")
        model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        texts = _texts(bag)[:: max(1, len(_texts(bag)) // SAMPLE)][:SAMPLE]
        with torch.inference_mode():
            for text in texts:
                coded = tokenizer(text, padding="max_length", truncation=True, max_length=128, return_tensors="pt")
                hidden, mask = model(**coded).last_hidden_state, coded["attention_mask"].unsqueeze(-1)
                torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy()
        return {"rows": len(texts)}

    def plain_topics(bag: Bag) -> Bag:
        """gensim's `LdaModel` with default settings on every text by itself."""
        from gensim.corpora import Dictionary
        from gensim.models import LdaModel

        from tasks.text import tokenise

        documents = [
            tokenise(text, "zh" if any("\u4e00" <= c <= "\u9fff" for c in text) else "en") for text in _texts(bag)
        ]
        dictionary = Dictionary(documents)
        corpus = [dictionary.doc2bow(words) for words in documents]
        model = LdaModel(corpus, id2word=dictionary, num_topics=20, random_state=seed)
        for document in corpus:
            model.get_document_topics(document, minimum_probability=0)
        return {"rows": len(documents)}

    return {plain.__name__: plain for plain in (plain_ingest, plain_encode, plain_topics)}


def _texts(bag: Bag) -> list[str]:
    from tasks.jobs.corpus import TEXT, distinct_texts, events_until, newest_items
    from tasks.jobs.workspace import open_store, parse_as_of, refs_of
    from tasks.settings import Settings

    store, refs = open_store(Settings()), refs_of(bag["plan"])
    texts: list[str] = distinct_texts(
        events_until(store, refs, parse_as_of(bag["plan"]["as_of"])), newest_items(store, refs)
    )[TEXT].tolist()
    return texts


def measure(arguments: argparse.Namespace, home: Path) -> Iterator[dict[str, Any]]:
    """Run every stage in its own process; one row a stage: rows, seconds, rows/s, CPU seconds, peak RSS in MiB."""
    bag_file = home / "bag.json"
    bag_file.write_text("{}")
    for name in stages(arguments.users, arguments.days, arguments.seed, home):
        began = time.perf_counter()
        command = [sys.executable, "-m", "benchmarks.refresh", "--stage", name, "--home", str(home)]
        command += ["--users", str(arguments.users), "--days", str(arguments.days), "--seed", str(arguments.seed)]
        done = subprocess.run(command, env={**os.environ, "PENCHANT_HOME": str(home / "home")}, check=False)
        if done.returncode:
            raise SystemExit(f"stage {name} failed with exit status {done.returncode}")
        seconds = time.perf_counter() - began
        usage = json.loads((home / "usage.json").read_text())
        rows = json.loads(bag_file.read_text())["rows"]
        yield {"stage": name, "rows": rows, "seconds": seconds, "rows_per_second": rows / seconds, **usage}


def run_stage(name: str, arguments: argparse.Namespace, home: Path) -> None:
    """One stage, in this process; leaves its bag and what it used beside the home."""
    bag_file = home / "bag.json"
    bag = json.loads(bag_file.read_text())
    bag |= stages(arguments.users, arguments.days, arguments.seed, home)[name](bag)
    bag_file.write_text(json.dumps(bag))
    used = resource.getrusage(resource.RUSAGE_SELF)
    usage = {"cpu_seconds": used.ru_utime + used.ru_stime, "peak_rss_mib": used.ru_maxrss / 1024}
    (home / "usage.json").write_text(json.dumps(usage))


def main() -> None:
    """Print a table and, with `--json`, write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.refresh", description=__doc__)
    parser.add_argument("--users", type=int, default=600)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        return run_stage(arguments.stage, arguments, arguments.home)
    with tempfile.TemporaryDirectory(prefix="penchant-bench-") as folder:
        print(f"{'stage':<16}{'rows':>10}{'seconds':>10}{'rows/s':>10}{'cpu s':>9}{'MiB':>8}")
        rows = []
        for row in measure(arguments, Path(folder)):
            rows.append(row)
            print(
                f"{row['stage']:<16}{row['rows']:>10,}{row['seconds']:>10.1f}{row['rows_per_second']:>10.0f}"
                f"{row['cpu_seconds']:>9.1f}{row['peak_rss_mib']:>8.0f}",
                flush=True,
            )
    rates = {row["stage"]: row["rows"] / row["cpu_seconds"] for row in rows}
    ratios = {name: rates[name] / rates[f"plain_{name}"] for name in ("ingest", "encode", "topics")}
    print("rows per CPU second, as a multiple of the plain way: ", end="")
    print(", ".join(f"{name} {ratio:.1f}×" for name, ratio in ratios.items()))
    if arguments.json:
        settings = {"users": arguments.users, "days": arguments.days, "seed": arguments.seed}
        arguments.json.write_text(json.dumps({**settings, "stages": rows, "ratios": ratios}, indent=1))
    return None


if __name__ == "__main__":
    main()
