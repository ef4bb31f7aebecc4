"""Faults planted in the rows of a day: what goes wrong with real data, one way at a time, each written down."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import SettingsError
from tasks.schema import EVENTS, KINDS, TEXT_KINDS
from tasks.sources.sample_shop.rows import ACTS, ID, ITEM, KIND, RATING, TEXT, TIME, USER, Rows

Array = NDArray[Any]
Values = Callable[[Array, np.random.Generator], Any]

_TOO_LONG = (EVENTS[TEXT].max_length or 0) + 1
_BAD_TIMES = ("yesterday", "2026-13-45T25:61:00Z", "31/31/2026")
_BAD_STARS = ("0", "-1", "9.5", "100")
_WORDED_STARS = ("five stars", "四星", "n/a stars")
_RATED = ("rating", "review")
_BAD_KINDS = ("lurk", "share", "???")
_WRITTEN = ("review", "comment")
_NO_WORD = ("!!!", "10/10", "👍👍👍", "？？？", "…")
_LINKS = " https://example.com/a https://example.com/b www.example.org https://example.net/deal"
_CONTACT_EN = "Write to jo.doe@example.com or call 415-555-2671; I paid with 4111 1111 1111 1111."
_CONTACT_ZH = "请写信到 jo.doe@example.com 或拨打13812345678，卡号4111 1111 1111 1111。"
"""Numbers that card networks and numbering plans keep for examples, and a mobile number of the usual form."""
_FOREIGN = (
    "Cette machine est vraiment très bien, mes enfants et moi nous en sommes contents tous les jours.",
    "Das Gerät ist sehr gut verarbeitet und wir benutzen es jeden Morgen mit großer Freude.",
    "Este producto es muy bueno y llegó antes de lo que esperaba, lo recomiendo a todos mis amigos.",
    "Очень хорошая вещь, пользуюсь каждый день и всем своим друзьям советую.",
    "とても良い商品でした。毎日使っていますが、まったく問題がありません。",
    "정말 좋은 제품이에요. 매일 사용하고 있는데 아주 만족합니다.",
)


@dataclass(frozen=True)
class FaultClass:
    """One way for a row to be wrong: the rule that must catch it, the kinds it happens to, and the values it puts in.

    added: whether the faulty row stands behind the good one it was made from, instead of taking its place. also: what
    else it changes, by column. from_bytes: bytes that the text of the good row must have.
    """

    rule: str
    column: str | None
    values: Values | None
    kinds: tuple[str, ...] = KINDS
    added: bool = False
    also: Mapping[str, Values] = field(default_factory=dict)
    from_bytes: int = 0


def _one_of(choices: tuple[str, ...]) -> Values:
    return lambda values, rng: np.array(choices, dtype=object)[rng.integers(len(choices), size=len(values))]


def _each(change: Callable[[str], str]) -> Values:
    return lambda values, rng: np.array([change(value) for value in values], dtype=object)


def _nothing(values: Array, rng: np.random.Generator) -> Any:
    return None


def _misread(text: str) -> str:
    """UTF-8 read as Windows-1252; English, which survives that, gets a quotation mark that does not."""
    marked = text if not text.isascii() else f"“{text}”"
    return marked.encode().decode("cp1252", errors="replace")


def _too_long(text: str) -> str:
    return (text + " ") * (_TOO_LONG // (len(text) + 1) + 1) + text


def _with_contacts(text: str) -> str:
    """A sentence with a mail address, a telephone number and a card number that nobody has."""
    return f"{text} {_CONTACT_ZH if not text.isascii() else _CONTACT_EN}"


FAULTS: dict[str, FaultClass] = {
    "no_user": FaultClass(f"missing_{USER}", USER, _nothing),
    "no_kind": FaultClass(f"missing_{KIND}", KIND, _nothing),
    "no_time": FaultClass(f"missing_{TIME}", TIME, _nothing),
    "no_item": FaultClass(f"missing_{ITEM}", ITEM, _nothing, kinds=ACTS),
    "no_stars": FaultClass(f"missing_{RATING}", RATING, _nothing, kinds=("rating",)),
    "no_text": FaultClass(f"missing_{TEXT}", TEXT, _nothing, kinds=TEXT_KINDS),
    "bad_time": FaultClass("parse_time", TIME, _one_of(_BAD_TIMES)),
    "future_time": FaultClass("future_time", TIME, _each(lambda time: f"{int(time[:4]) + 8}{time[4:]}")),
    "ancient_time": FaultClass(f"{TIME}_range", TIME, _each(lambda time: f"1972{time[4:]}")),
    "worded_stars": FaultClass("parse_rating", RATING, _one_of(_WORDED_STARS), kinds=_RATED),
    "bad_stars": FaultClass("rating_scale", RATING, _one_of(_BAD_STARS), kinds=_RATED),
    "odd_kind": FaultClass(f"unknown_{KIND}", KIND, _one_of(_BAD_KINDS)),
    "odd_item": FaultClass("unknown_item", ITEM, _each(lambda item: f"{item}-gone"), kinds=ACTS),
    "long_text": FaultClass(f"{TEXT}_too_long", TEXT, _each(_too_long), kinds=TEXT_KINDS),
    "long_user": FaultClass(f"{USER}_too_long", USER, _each(lambda user: user * 99)),
    "misread_text": FaultClass("encoding", TEXT, _each(_misread), kinds=TEXT_KINDS),
    "foreign_text": FaultClass("language", TEXT, _one_of(_FOREIGN), kinds=TEXT_KINDS),
    "no_word": FaultClass("too_short", TEXT, _one_of(_NO_WORD), kinds=_WRITTEN),
    "links": FaultClass("link_spam", TEXT, _each(lambda text: text + _LINKS), kinds=_WRITTEN),
    "over_and_over": FaultClass("repetition", TEXT, _each(lambda text: f"{text} " * 12), kinds=_WRITTEN, from_bytes=80),
    "tags": FaultClass("markup", TEXT, _each(lambda text: f"[b]{text}[/b]"), kinds=TEXT_KINDS),
    "contacts": FaultClass("personal_data", TEXT, _each(_with_contacts), kinds=_WRITTEN),
    "mail_user": FaultClass("personal_id", USER, _each(lambda user: f"{user}@example.org")),
    "copy": FaultClass(
        "near_duplicate",
        USER,
        _each(lambda user: f"{user}y"),
        kinds=_WRITTEN,
        added=True,
        from_bytes=120,
        also={ID: _each(lambda event: f"{event}y"), TEXT: _each(lambda text: f"{text}!")},
    ),
    "taken_id": FaultClass("duplicate_id", USER, _each(lambda user: f"{user}x"), added=True),
    "repeat": FaultClass("exact_repeat", None, None, added=True),
}
"""Every class by name. `parse_…` rules are those of the readers of files; a row may break other rules besides."""


def fault_classes(names: Collection[str] | None) -> tuple[str, ...]:
    """`names` in the order of `FAULTS`, all where None; raises `SettingsError` for a name that is no class."""
    unknown = sorted(set(names or ()) - set(FAULTS))
    if unknown:
        raise SettingsError(f"unknown fault classes {', '.join(unknown)}; the classes are {', '.join(FAULTS)}")
    return tuple(name for name in FAULTS if names is None or name in names)


def plant(rows: Rows, names: tuple[str, ...], rate: float, rng: np.random.Generator) -> tuple[Rows, Array, Array]:
    """`rows` with faults: each class in `rate / len(names)` of the rows, never two in one row.

    Returns the rows, the places (m,) of the faulty ones, 0-based and increasing, and their classes (m,). A class
    whose kinds are rarer than its share gets as many rows as there are. rng decides what goes wrong where.
    """
    n = len(rows[KIND])
    free = np.ones(n, dtype=bool)
    chosen: dict[str, Array] = {}
    wanted = rng.binomial(n, rate / max(len(names), 1), size=len(names))
    for name, many in sorted(zip(names, wanted, strict=True), key=lambda pair: len(FAULTS[pair[0]].kinds)):
        able = np.flatnonzero(free & _fit(rows, FAULTS[name]))
        chosen[name] = rng.choice(able, min(int(many), len(able)), replace=False)
        free[chosen[name]] = False
    added = np.sort(np.concatenate([at for name, at in chosen.items() if FAULTS[name].added] or [np.empty(0, int)]))
    source = np.sort(np.concatenate([np.arange(n), added]))
    second = np.append(False, source[1:] == source[:-1]) if len(source) else np.empty(0, bool)
    out = {name: column[source] for name, column in rows.items()}
    labels = np.full(len(source), None, dtype=object)
    for name, at in chosen.items():
        fault = FAULTS[name]
        places = np.flatnonzero(np.isin(source, at) & (second == fault.added))
        if fault.values and fault.column:
            for column, values in {fault.column: fault.values, **fault.also}.items():
                out[column][places] = values(out[column][places], rng)
        labels[places] = name
    places = np.flatnonzero(labels != None)  # noqa: E711 - element by element
    return out, places, labels[places]


def _fit(rows: Rows, fault: FaultClass) -> Array:
    """Which rows a fault can happen to, (n,)."""
    fit = np.isin(rows[KIND], fault.kinds)
    if fault.from_bytes:
        fit[fit] = [len(text.encode()) >= fault.from_bytes for text in rows[TEXT][fit]]
    return fit
