"""How well the scorers and their blend rank, beside simple methods, under one fixed protocol.

    python -m benchmarks.ranking --sequences FILE [--item-text FILE] [--item-attributes FILE] --json OUT
    python -m benchmarks.ranking --events FILE --mapping FILE --json OUT
    python -m benchmarks.ranking --speed 100000 20000

Leave one out: a user's last item is the test item, the one before it the validation item. Everything that is fitted,
counted or written uses the items before those two only. The validation item chooses settings and blend weights, and
belongs to the user's history at test time, and to nothing else. All items are ranked but those of the history; ties
get the mid rank. Every method may try settings for the same time (`--budget`), on the same sample of users.

With `--cut 0.9`, which needs times: one moment for everybody, before which that share of all events lies. A user's
first item after it is the test item, the last before it the validation item; nothing after it is fitted or read.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.ranking_inputs import Corpus, read_corpus
from benchmarks.ranking_methods import Learning, Method, methods
from benchmarks.ranking_speed import speed
from tasks.embeddings.encoder import Encoder
from tasks.errors import PenchantError
from tasks.evaluation import coverage, from_ranks, interval, mid_ranks, of_lists, paired
from tasks.scoring import Blend, Interactions, Scorer, calibrated, evidence, learn
from tasks.scoring.top import block_users, highest

HYBRID, MAIN, K = "hybrid", "ndcg@10", 10
BLEND_USERS = 10_000  # more do not change the weights
LSTM = ({}, {"dropout": 0.3})
PROTOCOL, CUT = (" ".join(part.split()) for part in __doc__.split("\n\n")[2:4])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 2 where the input cannot be read."""
    given = _parsed(arguments)
    began = time.perf_counter()
    if given.speed:
        return _written(speed(*given.speed, given.seed), given.json)
    if given.cut is not None and not 0 < given.cut < 1:
        print(f"ranking: --cut {given.cut} is no share between 0 and 1", file=sys.stderr)
        return 2
    try:
        corpus = read_corpus(
            sequences=given.sequences,
            events=given.events,
            mapping=given.mapping,
            item_text=given.item_text,
            item_attributes=given.item_attributes,
            cut_share=given.cut,
            encode=lambda: Encoder.load(given.encoder, device=given.device, max_tokens=128, batch_size=32),
        )
    except PenchantError as error:
        print(f"ranking: {error}", file=sys.stderr)
        return 2
    _say(f"{corpus.facts}", began)
    report = run(corpus, given, began)
    print(table(report))
    return _written(report, given.json)


def run(corpus: Corpus, given: argparse.Namespace, began: float) -> dict[str, Any]:
    """Tune, blend and measure; the report as plain JSON values."""
    rng = np.random.default_rng(given.seed)
    asked = np.flatnonzero(corpus.validation >= 0)
    sample = np.sort(rng.choice(asked, min(given.tuning_users, len(asked)), replace=False))
    scorers: dict[str, Scorer] = {}
    settings: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    lstm = Learning(given.device, given.epochs, sample, given.lstm, given.lstm_models, given.keep)
    for name, method in methods(corpus, lstm, given.seed).items():
        if given.methods and name not in given.methods:
            continue
        start = time.perf_counter()
        scorers[name], settings[name] = tune(method, corpus, sample, given.budget)
        seconds[name] = time.perf_counter() - start
        _say(f"{name}: {settings[name]}", began)
    names = tuple(scorers)
    start = time.perf_counter()
    learners = np.sort(rng.choice(asked, min(BLEND_USERS, len(asked)), replace=False))
    blend = learn(names, evidence(scorers, names, learners, corpus.train, _one_each(corpus.validation, corpus)))
    settings[HYBRID], seconds[HYBRID] = blend.to_json(), time.perf_counter() - start
    _say(f"weights {dict(zip(names, blend.weights.mean(0).round(3).tolist(), strict=True))}", began)
    users = np.flatnonzero(corpus.test >= 0)
    ranks, lists = measure(scorers, blend, corpus.before_test, corpus.test, users)
    return {
        "protocol": PROTOCOL if given.cut is None else f"{PROTOCOL} {CUT.replace('0.9', str(given.cut))}",
        "seed": given.seed,
        "data": corpus.facts,
        "results": figures(ranks, lists, corpus, given.seed),
        "tests": _tests(ranks, given.seed),
        "settings": settings,
        "seconds": seconds | {"all": time.perf_counter() - began},
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def tune(method: Method, corpus: Corpus, users: np.ndarray, budget: float) -> tuple[Scorer, dict[str, Any]]:
    """The fitted scorer and settings with the best NDCG@10 on the validation items of `users`."""
    best, chosen, reached, start = None, {}, -1.0, time.perf_counter()
    for fit in method.fits:
        began = time.perf_counter()
        scorer = method.make(**fit).fit(corpus.train)
        kept: tuple[float, Mapping[str, Any]] = (-1.0, {})
        for after in method.after:
            _set(scorer, after)
            found = _ndcg(scorer, corpus.train, corpus.validation, users)
            kept = max(kept, (found, after), key=lambda pair: pair[0])
        _set(scorer, kept[1])
        if kept[0] > reached:
            best, chosen, reached = scorer, {**fit, **kept[1]}, kept[0]
        if 2 * time.perf_counter() - start - began > budget:  # the next would not end in time
            break
    assert best is not None
    return best, chosen | {"validation": reached}


def measure(
    scorers: Mapping[str, Scorer], blend: Blend, history: Interactions, targets: np.ndarray, users: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Rank of each user's target (u,) and top list (u, K), by every scorer and by the blend."""
    ranks: dict[str, list[np.ndarray]] = {name: [] for name in (*blend.names, HYBRID)}
    lists: dict[str, list[np.ndarray]] = {name: [] for name in ranks}
    step = block_users(history.n_items, len(blend.names))
    for at in range(0, len(users), step):
        block = users[at : at + step]
        scale = calibrated(scorers, blend.names, block, history, None)
        blended = blend.scores(scale, history.lengths[block])
        for name, scores in zip(ranks, (*scale, blended), strict=True):
            ranks[name].append(mid_ranks(scores, targets[block]))
            lists[name].append(highest(scores, K)[0])
    return ({n: np.concatenate(r) for n, r in ranks.items()}, {n: np.concatenate(v) for n, v in lists.items()})


def figures(
    ranks: Mapping[str, np.ndarray], lists: Mapping[str, np.ndarray], corpus: Corpus, seed: int
) -> dict[str, dict[str, Any]]:
    """Means of all metrics for each method, with the 95 % interval of the main one."""
    counts, vectors = corpus.train.counts(), corpus.vectors
    if vectors is None and corpus.attributes is not None:
        vectors = corpus.attributes.toarray()
        vectors[~vectors.any(axis=1)] = np.nan
    found: dict[str, dict[str, Any]] = {}
    for name in ranks:
        per_user = from_ranks(ranks[name])
        means = {**per_user, **of_lists(lists[name], counts, vectors, K)}
        found[name] = {metric: float(np.nanmean(values)) for metric, values in means.items()}
        found[name][f"coverage@{K}"] = coverage(lists[name], len(counts), K)
        found[name]["interval"] = list(interval(per_user[MAIN], seed))
    return found


def table(report: Mapping[str, Any]) -> str:
    """The report as a table, best method last."""
    results = sorted(report["results"].items(), key=lambda pair: pair[1][MAIN])
    names = [name for name in results[0][1] if name != "interval"]
    lines = [f"{'method':14}" + "".join(f"{name.replace('popularity', 'pop'):>13}" for name in names) + "  95 %"]
    for method, found in results:
        low, high = found["interval"]
        lines.append(f"{method:14}" + "".join(f"{found[n]:13.4f}" for n in names) + f"  {low:.4f}–{high:.4f}")
    for method, test in report["tests"].items():
        lines.append(f"{HYBRID} − {method}: {test['difference']:+.4f} {MAIN}, p = {test['p']:.4f}")
    lines.append(f"{report['seconds']['all']:.0f} s, peak {report['peak_rss_mib']:.0f} MiB; {report['protocol']}")
    return "\n".join(lines)


def _written(report: Mapping[str, Any], path: Path | None) -> int:
    """Write the report where it is asked for; print one that has no table."""
    text = json.dumps(report, indent=1)
    if path:
        path.write_text(text)
    if "results" not in report:
        print(text)
    return 0


def _tests(ranks: Mapping[str, np.ndarray], seed: int) -> dict[str, Any]:
    """The blend against every other method, user by user."""
    gains = {name: from_ranks(found)[MAIN] for name, found in ranks.items()}
    return {name: vars(paired(gains[HYBRID], gain, seed)) for name, gain in gains.items() if name != HYBRID}


def _ndcg(scorer: Scorer, history: Interactions, targets: np.ndarray, users: np.ndarray) -> float:
    alone = Blend.of([scorer.name], np.ones(1))
    ranks, _ = measure({scorer.name: scorer}, alone, history, targets, users)
    return float(from_ranks(ranks[scorer.name])[MAIN].mean())


def _set(scorer: Scorer, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(scorer, name, value)


def _one_each(targets: np.ndarray, corpus: Corpus) -> sparse.csr_matrix:
    """One held-out item a user as CSR (n, m)."""
    who = np.flatnonzero(targets >= 0)
    return sparse.csr_matrix((np.ones(len(who)), (who, targets[who])), shape=(len(targets), len(corpus.items)))


def _say(what: str, began: float) -> None:
    print(f"{time.perf_counter() - began:7.1f} s  {what}", file=sys.stderr, flush=True)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sequences", type=Path, help="one user a line: the user, then his items in order; may be gzip"
    )
    parser.add_argument("--events", type=Path, help="events in any form that a mapping file describes")
    parser.add_argument("--mapping", type=Path, help="mapping file for --events")
    parser.add_argument("--item-text", type=Path, help="CSV with the items' ids (sas_id, item_id or id) and texts")
    parser.add_argument("--item-attributes", type=Path, help="JSON: item → list of attributes")
    parser.add_argument("--speed", type=int, nargs=2, metavar=("USERS", "ITEMS"), help="only: how fast lists are found")
    parser.add_argument("--cut", type=float, help="split at one time, with this share of the events before it")
    parser.add_argument("--json", type=Path, help="where to write the report")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="where the neural models run")
    parser.add_argument("--encoder", default="default", help="encoder of the items' text")
    parser.add_argument("--epochs", type=int, default=40, help="most passes of the LSTM over the histories")
    parser.add_argument("--lstm", type=json.loads, default=LSTM, help="JSON list of the LSTM's settings to try")
    parser.add_argument("--lstm-models", type=int, default=1, help="LSTMs from different seeds to average")
    parser.add_argument("--keep", type=Path, help="folder of trained LSTMs, taken from there where they are")
    parser.add_argument("--budget", type=float, default=600, help="seconds each method may try settings for")
    parser.add_argument("--tuning-users", type=int, default=4_000, help="users whose validation items choose settings")
    parser.add_argument("--methods", nargs="*", help="only these methods")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
