"""The gate: whether a candidate release may take the place of the live one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

P_LIMIT = 0.05
NORMAL_95 = 1.959964  # half-width of a 95 % interval in standard errors


@dataclass(frozen=True)
class Verdict:
    """Whether the candidate passes, and the sentences that say why."""

    passed: bool
    reasons: tuple[str, ...]


def verdict(candidate: Mapping[str, Any], live: Mapping[str, Any] | None, baseline: str = "popularity") -> Verdict:
    """Compare two cards as `card` makes them.

    No, where the candidate's main figure is below the live one's by more than the noise of both (their intervals taken
    as normal and independent, which errs on the careful side where the users are the same), or where it loses to
    `baseline` by its own paired test. Without a live card only the second counts.
    """
    faults = []
    against = candidate["tests"].get(baseline)
    if against and against["difference"] < 0 and against["p"] < P_LIMIT:
        faults.append(
            f"{candidate['metric']} of {candidate['main']} is below that of {baseline} "
            f"by {-against['difference']:.4f} (p = {against['p']:.4f})"
        )
    if live is not None:
        if live["metric"] != candidate["metric"]:
            faults.append(f"the live card is in {live['metric']}, the candidate's in {candidate['metric']}")
        elif (fall := _fall(candidate, live)) is not None:
            faults.append(fall)
    return Verdict(not faults, tuple(faults) or ("no worse than the live release beyond noise",))


def _fall(candidate: Mapping[str, Any], live: Mapping[str, Any]) -> str | None:
    """The sentence about a fall beyond noise, or None."""
    now, before = (c["results"][c["main"]] for c in (candidate, live))
    error = sum(((r["interval"][1] - r["interval"][0]) / (2 * NORMAL_95)) ** 2 for r in (now, before)) ** 0.5
    change = now[candidate["metric"]] - before[live["metric"]]
    if change >= 0 or -change <= NORMAL_95 * error:
        return None
    return (
        f"{candidate['metric']} fell from {before[live['metric']]:.4f} to {now[candidate['metric']]:.4f}, "
        f"more than the ±{NORMAL_95 * error:.4f} that chance allows"
    )
