"""Checks of a batch as a whole: is it like the recent accepted batches, and is it fresh?

A rule is broken where chance would hardly do it (Holm-corrected over the rules) *and* the change is large enough to
matter. Its measurement is the size of the change, 0 where chance may have done it, NaN where nothing can be said;
Great Expectations judges it against the limit in a suite of its own, as it judges rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np

from tasks.errors import SettingsError
from tasks.quality.profile import OCTAVE, STAR, Counts, Profile, hours_before
from tasks.quality.rules import SEVERITIES, Severity
from tasks.quality.shifts import Array, Distance, Shift, differing_share, holm, moved_by, shift_of_shares, shift_of_size


@dataclass(frozen=True)
class Finding:
    """What a rule on the whole batch came to, broken or not; nothing in it is personal.

    effect: size of the change in the unit of `measured`, `limit` the largest that passes, both None where there is no
    verdict. p: corrected; None for a rule that is no test. sentence: for people.
    """

    rule: str
    measured: str
    severity: Severity
    limit: float
    sentence: str
    statistic: float | None = None
    p: float | None = None
    effect: float | None = None
    measurement: float = float("nan")

    @property
    def broken(self) -> bool:
        """Whether the measurement lies above the limit."""
        return self.measurement > self.limit


class _Shares(NamedTuple):
    """A rule on one histogram of the profile."""

    field: str
    measured: str
    distance: Distance
    sentence: Callable[[Counts, Counts, Shift], str]


SIZE, FRESHNESS = "batch_row_count", "batch_freshness"
LIMITS: dict[str, float] = {
    SIZE: 1.5,
    "batch_languages": 0.1,
    "batch_kinds": 0.1,
    "batch_ratings": 0.3,
    "batch_text_length": 0.3,
    "batch_vocabulary": 0.1,
    FRESHNESS: 48.0,
}
"""Largest change that passes: a factor of rows, shares, stars, doublings of length, share of words, hours.

Set by judgement, so that what a person would not act on is no alarm; `benchmarks/quality_alarms.py` shows what they
find and what they leave. Two days old is what a daily batch becomes when one was missed."""
LEAST_RECENT = 3
"""Recent batches below which there is no verdict: two do not tell how far batches differ."""
ALARM_RATE = 0.001
"""Chance of a false alarm in a batch, over all rules, before the limits, which lower it further."""


def compare(
    profile: Profile,
    recent: Sequence[Profile],
    *,
    as_of: datetime,
    limits: Mapping[str, float] | None = None,
    severities: Mapping[str, Severity] | None = None,
    alarm_rate: float = ALARM_RATE,
    least_recent: int = LEAST_RECENT,
) -> tuple[Finding, ...]:
    """One finding for each rule on the whole batch, in the order of `LIMITS`.

    recent: profiles of the batches accepted before, some ten. limits, severities: by rule, instead of `LIMITS` and
    `warning`. Raises `SettingsError` where one of them names no rule or makes no sense.
    """
    at_most, weights = _settings(limits or {}, severities or {})
    shifts: dict[str, Shift | None] = dict.fromkeys((SIZE, *_SHARES))
    if len(recent) >= least_recent:
        shifts[SIZE] = shift_of_size(profile.rows, profile.span, [(one.rows, one.span) for one in recent])
        for rule, shares in _SHARES.items():
            shifts[rule] = _shift(shares, profile, recent)
    tested = {rule: shift for rule, shift in shifts.items() if shift is not None}
    corrected = dict(zip(tested, holm([shift.p for shift in tested.values()]), strict=True))
    silence = "too little was counted to compare."
    if len(recent) < least_recent:
        silence = f"{least_recent} recent batches are needed, and there are {len(recent)}."
    found = {}
    for rule, shift in shifts.items():
        if shift is None:
            found[rule] = Finding(rule, MEASURED[rule], weights[rule], at_most[rule], f"No verdict: {silence}")
            continue
        said, p = _sentence(rule, shift, profile, recent), corrected[rule]
        found[rule] = Finding(
            rule, MEASURED[rule], weights[rule], at_most[rule], said,
            statistic=shift.statistic, p=p, effect=shift.effect, measurement=shift.effect if p < alarm_rate else 0.0,
        )  # fmt: skip
    found[FRESHNESS] = _freshness(profile, as_of, at_most[FRESHNESS], weights[FRESHNESS])
    return tuple(found[rule] for rule in LIMITS)


def _settings(
    limits: Mapping[str, float], severities: Mapping[str, Severity]
) -> tuple[dict[str, float], dict[str, Severity]]:
    for rule in (*limits, *severities):
        if rule not in LIMITS:
            raise SettingsError(f"no rule on whole batches is called {rule!r}; there are {', '.join(LIMITS)}")
    for rule, limit in limits.items():
        if not limit > 0:
            raise SettingsError(f"rule {rule!r}: the limit {limit!r} is not above 0")
    for rule, severity in severities.items():
        if severity not in SEVERITIES:
            raise SettingsError(f"rule {rule!r}: severity {severity!r} is none of {', '.join(SEVERITIES)}")
    return {**LIMITS, **limits}, {rule: severities.get(rule, "warning") for rule in LIMITS}


def _shift(shares: _Shares, profile: Profile, recent: Sequence[Profile]) -> Shift | None:
    histograms = [getattr(one, shares.field) for one in (profile, *recent)]
    table = _aligned(histograms, ordered=shares.distance is not differing_share)
    return shift_of_shares(table[0], table[1:], shares.distance)


def _aligned(histograms: Sequence[Counts], *, ordered: bool) -> Array:
    """Histograms as rows of one table; where bins have an order, none of those between is left out."""
    names = sorted({name for counts in histograms for name in counts})
    if ordered and names:
        bins = sorted(map(int, names))
        names = [str(at) for at in range(bins[0], bins[-1] + 1)]
    return np.array([[counts.get(name, 0) for name in names] for counts in histograms], dtype=float)


def _sentence(rule: str, shift: Shift, profile: Profile, recent: Sequence[Profile]) -> str:
    if rule == SIZE:
        return _size_sentence(profile, recent, shift)
    field = _SHARES[rule].field
    before = sum((Counter(getattr(one, field)) for one in recent), Counter[str]())
    return _SHARES[rule].sentence(getattr(profile, field), before, shift)


def _freshness(profile: Profile, as_of: datetime, limit: float, severity: Severity) -> Finding:
    measured = MEASURED[FRESHNESS]
    if profile.last is None:
        return Finding(FRESHNESS, measured, severity, limit, "No verdict: no row was accepted.")
    hours = hours_before(profile.last, as_of)
    sentence = f"The newest event is {max(hours, 0.0):,.1f} hours older than as_of."
    return Finding(FRESHNESS, measured, severity, limit, sentence, effect=hours, measurement=hours)


def _size_sentence(profile: Profile, recent: Sequence[Profile], shift: Shift) -> str:
    rows, days = (float(np.median([getattr(one, name) for one in recent])) for name in ("rows", "span"))
    many = "" if shift.effect < 1.05 else f", {shift.effect:.1f} times too {'few' if shift.statistic < 0 else 'many'}"
    now, usual = (f"{n:,.0f} day{'' if n == 1 else 's'}" for n in (profile.span, days))
    return f"{profile.rows:,} rows over {now} beside {rows:,.0f} over {usual} in a recent batch{many}."


def _share_sentence(what: str) -> Callable[[Counts, Counts, Shift], str]:
    """Names the category whose share changed most."""

    def sentence(new: Counts, before: Counts, _: Shift) -> str:
        shares = [{name: count / sum(counts.values()) for name, count in counts.items()} for counts in (new, before)]
        most = max(sorted({*new, *before}), key=lambda name: abs(shares[0].get(name, 0.0) - shares[1].get(name, 0.0)))
        return f"{most!r} is {shares[0].get(most, 0):.0%} of the {what} beside {shares[1].get(most, 0):.0%} recently."

    return sentence


def _rating_sentence(new: Counts, before: Counts, _: Shift) -> str:
    means = [sum(int(bin_) * n for bin_, n in counts.items()) / sum(counts.values()) / STAR for counts in (new, before)]
    return f"The mean rating is {means[0]:.2f} beside {means[1]:.2f} recently."


def _length_sentence(new: Counts, before: Counts, _: Shift) -> str:
    means = [2 ** ((_mean_bin(counts) + 0.5) / OCTAVE) for counts in (new, before)]
    return f"A text has {means[0]:,.0f} characters (geometric mean) beside {means[1]:,.0f} recently."


def _word_sentence(_new: Counts, _before: Counts, shift: Shift) -> str:
    return (
        f"{shift.effect:.0%} more of the words differ from recent ones than recent batches differ by among themselves."
    )


def _mean_bin(counts: Counts) -> float:
    return sum(int(at) * n for at, n in counts.items()) / sum(counts.values())


_SHARES: dict[str, _Shares] = {
    "batch_languages": _Shares(
        "languages", "share of texts in another language", differing_share, _share_sentence("texts")
    ),
    "batch_kinds": _Shares("kinds", "share of rows of another kind", differing_share, _share_sentence("rows")),
    "batch_ratings": _Shares("ratings", "stars that ratings moved by", moved_by(1 / STAR), _rating_sentence),
    "batch_text_length": _Shares("lengths", "doublings of text length", moved_by(1 / OCTAVE), _length_sentence),
    "batch_vocabulary": _Shares("words", "share of words that are others", differing_share, _word_sentence),
}
MEASURED = {
    SIZE: "factor of the usual number of rows, or of the usual over this one",
    **{rule: shares.measured for rule, shares in _SHARES.items()},
    FRESHNESS: "hours from the newest event to as_of",
}
