"""Reading a mapping file: every key and value is checked here, so that a reader can trust its `Mapping`."""

from __future__ import annotations

import codecs
import io
import zoneinfo
from collections.abc import Callable
from collections.abc import Mapping as Dict
from datetime import datetime
from pathlib import Path
from typing import Any

from tasks.columns import Column
from tasks.schema import KINDS
from tasks.sources.mapping import (
    FILE_KINDS,
    ISO,
    SECTIONS,
    UNIX_MS,
    UNIX_S,
    Field,
    FileFormat,
    Mapping,
    Section,
    given,
    own_names,
    required,
)
from tasks.sources.place import Place, read_yaml

_FILE_KEYS = ("format", "encoding", "delimiter", "quote", "escape", "header", "nulls")
_ANY_COLUMN = ("column", "columns", "constant", "optional")
_BY_TYPE = {
    "string": ("join",),
    "timestamp": ("format", "timezone", "unparsable"),
    "float32": ("scale", "unparsable"),
    "float64": ("unparsable",),
    "list<string>": ("separator",),
}


def load_mapping(path: Path | str | None) -> Mapping:
    """The mapping in a YAML file; None stands for a source that uses our own column names.

    Raises `MappingError` that names the place and, for a mistyped key, the likely one.
    """
    if path is None:
        return own_names()
    file = Path(path)
    where = Place(file.name)
    raw = where.mapping(read_yaml(file), SECTIONS)
    if not raw:
        raise where.error("it is empty; give it a section `events`, `items` or both")
    return Mapping(file.name, {name: _section(where / name, name, value) for name, value in raw.items()})


def _section(where: Place, name: str, raw: Any) -> Section:
    table = SECTIONS[name]
    section = where.mapping(raw, ("file", "columns"))
    columns = {column.name: column for column in given(table)}
    inner = where / "columns"
    fields = {
        key: _field(inner / key, columns[key], value)
        for key, value in inner.mapping(section.get("columns"), columns).items()
    }
    missing = [column for column in required(table) if column not in fields]
    if missing:
        raise inner.error(f"nothing fills {', '.join(missing)}; name a source column or a `constant` for each")
    return Section(fields, _file(where / "file", section.get("file", {})))


def _file(where: Place, raw: Any) -> FileFormat:
    keys = where.mapping(raw, _FILE_KEYS)
    given_: dict[str, Any] = {}
    if "format" in keys:
        given_["kind"] = where.one_of(keys["format"], FILE_KINDS, "format")
    if "encoding" in keys:
        given_["encoding"] = _encoding(where, keys["encoding"])
    for key in ("quote", "escape"):
        if key in keys:
            given_[key] = where.text(keys[key], f"`{key}`")
            if len(given_[key]) > 1:
                raise where.error(f"`{key}` must be one character" + (", or empty for none" if key == "quote" else ""))
    if "delimiter" in keys:
        given_["delimiter"] = where.text(keys["delimiter"], "`delimiter`")
        if not given_["delimiter"] or set(given_["delimiter"]) & set("\r\n"):
            raise where.error("`delimiter` must be one or more characters, and no line end")
    if "header" in keys:
        given_["header"] = where.texts(keys["header"], "`header`")
        if len(set(given_["header"])) < len(given_["header"]):
            raise where.error("`header` names a column twice")
    if "nulls" in keys:
        given_["nulls"] = where.texts(keys["nulls"], "`nulls`")
    return FileFormat(**{**given_, "escape": given_.get("escape") or None})


def _encoding(where: Place, value: Any) -> str:
    name = where.text(value, "`encoding`")
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=name)  # refuses codecs that give no text, such as base64
        return codecs.lookup(name).name
    except LookupError:
        raise where.error(f"unknown encoding {name[:60]!r}; such as utf-8, utf-16, gb18030, latin-1, cp1252") from None


def _field(where: Place, column: Column, raw: Any) -> Field:
    if isinstance(raw, str | int | float) and not isinstance(raw, bool):
        raw = {"column": raw}
    allowed = (*_ANY_COLUMN, *(("map",) if column.one_of == KINDS else ()), *_BY_TYPE[column.type])
    keys = where.mapping(raw, allowed)
    sources = [key for key in ("column", "columns", "constant") if key in keys]
    if len(sources) != 1:
        raise where.error("give it exactly one of `column`, `columns` or `constant`")
    found: dict[str, Any] = {}
    if sources == ["constant"]:
        found["constant"] = where.text(keys["constant"], "`constant`")
        if column.one_of:
            where.one_of(found["constant"], column.one_of, "constant")
    else:
        found["columns"] = where.texts(keys[sources[0]], f"`{sources[0]}`")
    if "column" in keys and len(found["columns"]) > 1:
        raise where.error("`column` names one column; list several under `columns`")
    if len(found.get("columns", ())) > 1 and column.type != "string":
        raise where.error("only columns of text can be joined from several")
    for key in set(keys) - set(sources):
        name, read = _OPTIONS[key]
        found[name] = read(where, keys[key])
    return Field(**found)


def _join(where: Place, value: Any) -> str:
    return where.text(value, "`join`")


def _optional(where: Place, value: Any) -> bool:
    return where.truth(value, "`optional`")


def _unparsable(where: Place, value: Any) -> str:
    # an unquoted `null` in YAML is no text
    return where.one_of("null" if value is None else value, ("quarantine", "null"), "`unparsable`")


def _formats(where: Place, value: Any) -> tuple[str, ...]:
    formats = where.texts(value, "`format`")
    for written in formats:
        if written in (ISO, UNIX_S, UNIX_MS):
            continue
        if "%" not in written:
            where.one_of(written, (ISO, UNIX_S, UNIX_MS), "time format (or give a strptime format such as %d/%m/%Y)")
        try:
            moment = datetime(2001, 12, 31, 23, 59, 58)
            datetime.strptime(moment.strftime(written), written)
        except ValueError:
            raise where.error(f"the time format {written[:60]!r} is not one that strptime can read") from None
    return formats


def _timezone(where: Place, value: Any) -> str:
    name = where.text(value, "`timezone`")
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise where.error(f"unknown time zone {name[:60]!r}; such as UTC, Asia/Shanghai, America/New_York") from None
    return name


def _scale(where: Place, value: Any) -> tuple[float, float]:
    numbers = value if isinstance(value, list) else []
    if len(numbers) != 2 or any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
        raise where.error("`scale` must be the lowest and the highest rating, such as [1, 10]")
    if not -1e9 < numbers[0] < numbers[1] < 1e9:
        raise where.error("`scale` must name the lowest rating first and a higher one after it")
    return float(numbers[0]), float(numbers[1])


def _kinds(where: Place, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not value:
        raise where.error("`map` must be a mapping from the source's kinds to ours")
    inner = where / "map"
    return {str(theirs): inner.one_of(ours, KINDS, f"kind for {str(theirs)[:60]!r}:") for theirs, ours in value.items()}


def _separator(where: Place, value: Any) -> str:
    separator = where.text(value, "`separator`")
    if not separator:
        raise where.error("`separator` must not be empty")
    return separator


_OPTIONS: Dict[str, tuple[str, Callable[[Place, Any], Any]]] = {
    "join": ("join", _join),
    "optional": ("optional", _optional),
    "unparsable": ("unparsable", _unparsable),
    "format": ("formats", _formats),
    "timezone": ("timezone", _timezone),
    "scale": ("scale", _scale),
    "map": ("kinds", _kinds),
    "separator": ("separator", _separator),
}
"""Key in the file, name in `Field`, and the check that turns the one's value into the other's."""
