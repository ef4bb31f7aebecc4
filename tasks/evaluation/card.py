"""The evaluation card: how good a release's recommendations are, beside simple methods, with the doubt stated."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tasks.errors import NotEnoughData
from tasks.evaluation.metrics import Lists, Values, coverage, from_lists, of_lists
from tasks.evaluation.statistics import interval, paired

MAIN = "ndcg@{k}"
PROTOCOL = (
    "Global temporal split: everything is fitted on events before the cut; what a user wants from the cut on, among "
    "items new to him, is to be found in his top {k}. All items are ranked except those of his history. Blend weights "
    "are learned on the half of the users that is not measured here. Intervals: 95 % bootstrap over users; tests: "
    "paired sign-flip permutation of the main method against each other one, two-sided."
)


def card(
    lists: Mapping[str, Lists],
    targets: sparse.csr_matrix,
    counts: NDArray[np.int64],
    *,
    cut: datetime,
    as_of: datetime,
    seed: int,
    main: str = "hybrid",
    k: int = 10,
    vectors: NDArray[np.floating] | None = None,
    facts: Mapping[str, Any] | None = None,
    protocol: str = PROTOCOL,
) -> dict[str, Any]:
    """The card as plain JSON values.

    `lists[method]` (u, k) top items of the measured users, −1 where there is none; `targets` CSR (u, m) their wanted
    items; `counts` (m,) users of each item before the cut; `facts` is kept as it is. Raises `NotEnoughData` where no
    user has a target or `main` is not among the methods.
    """
    if main not in lists:
        raise NotEnoughData(f"card: no lists of {main!r}; there are {', '.join(lists)}")
    if not targets.nnz:
        raise NotEnoughData("card: no measured user wanted a new item after the cut; hold out a longer time")
    per_user = {name: from_lists(rows, targets, k) for name, rows in lists.items()}
    key = MAIN.format(k=k)
    ours = per_user[main][key]
    return {
        "protocol": protocol.format(k=k),
        "main": main,
        "metric": key,
        "k": k,
        "cut": cut.isoformat(),
        "as_of": as_of.isoformat(),
        "seed": seed,
        "counts": {
            "users": int((np.diff(targets.indptr) > 0).sum()),
            "targets": int(targets.nnz),
            "items": int(targets.shape[1]),
        },
        "results": {name: _result(per_user[name], rows, counts, vectors, seed, k, key) for name, rows in lists.items()},
        "tests": {name: vars(paired(ours, found[key], seed)) for name, found in per_user.items() if name != main},
        "facts": dict(facts or {}),
    }


def markdown(card: Mapping[str, Any]) -> str:
    """The card as a Markdown table with its protocol, best method first."""
    key, main = card["metric"], card["main"]
    results = sorted(card["results"].items(), key=lambda item: -item[1][key])
    names = [name for name in results[0][1] if not isinstance(results[0][1][name], list | dict)]
    lines = [f"| method | {' | '.join(names)} | {key}, 95 % | {main} is better by (p) |"]
    lines.append("|---" * (len(names) + 3) + "|")
    for method, result in results:
        figures = " | ".join(f"{result[name]:.4f}" if result[name] is not None else "–" for name in names)
        low, high = result["interval"]
        test = card["tests"].get(method)
        against = f"{test['difference']:+.4f} ({test['p']:.4f})" if test else "–"
        shown = f"**{method}**" if method == main else method
        lines.append(f"| {shown} | {figures} | {low:.4f}–{high:.4f} | {against} |")
    said = ", ".join(f"{value:,} {name}" for name, value in card["counts"].items())
    return "\n".join([*lines, "", f"{said}; cut {card['cut']}, as of {card['as_of']}.", "", card["protocol"], ""])


def _result(
    per_user: Mapping[str, Values],
    lists: Lists,
    counts: NDArray[np.int64],
    vectors: NDArray[np.floating] | None,
    seed: int,
    k: int,
    key: str,
) -> dict[str, Any]:
    """Means over the users who wanted something, and what the lists themselves are like."""
    means = {name: _mean(values) for name, values in {**per_user, **of_lists(lists, counts, vectors, k)}.items()}
    means[f"coverage@{k}"] = coverage(lists, len(counts), k)
    return {**means, "interval": list(interval(per_user[key], seed))}


def _mean(values: Values) -> float | None:
    """Mean without NaN; None where nothing is left, because NaN is no JSON."""
    return float(np.nanmean(values)) if not np.isnan(values).all() else None
