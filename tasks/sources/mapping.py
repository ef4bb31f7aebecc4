"""What a mapping says: which source columns fill which of ours, and how their values are written.

A mapping file has an `events` section, an `items` section, or both; the commented files in `examples/` are its manual.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from typing import Literal

from tasks.columns import Column, Table
from tasks.errors import MappingError
from tasks.schema import EVENTS, ITEMS, TEXT_HASH

FileKind = Literal["csv", "jsonl", "python", "parquet"]
FILE_KINDS: tuple[FileKind, ...] = ("csv", "jsonl", "python", "parquet")
ISO, UNIX_S, UNIX_MS = "iso", "unix_s", "unix_ms"

SECTIONS = {"events": EVENTS, "items": ITEMS}
"""Name of a section in a mapping file, and the table that it fills."""
DERIVED = (TEXT_HASH.name, EVENTS["batch_id"].name)
"""Columns that are computed after reading; a source gives all others."""
MADE = EVENTS["event_id"].name
"""Made from the content of a row where the source has none."""


@dataclass(frozen=True)
class Field:
    """Where the values of one of our columns come from, and how they are written."""

    columns: tuple[str, ...] = ()
    """Source columns; several are joined."""
    constant: str | None = None
    """The same value in every row, in place of a column."""
    join: str = "\n"
    optional: bool = False
    """True where the source may lack the columns."""
    unparsable: Literal["quarantine", "null"] = "quarantine"
    """What becomes of a row whose value cannot be read: it is put aside, or it goes on without the value."""
    formats: tuple[str, ...] = (ISO,)
    """Ways a time is written, tried in this order: `iso`, `unix_s`, `unix_ms` or a strptime format."""
    timezone: str = "UTC"
    """Zone of times that name none."""
    scale: tuple[float, float] | None = None
    """Lowest and highest rating in the source; they become 1 and 5, those between linearly."""
    kinds: Dict[str, str] = field(default_factory=dict)
    """The source's names of kinds, each with ours."""
    separator: str | None = None
    """What stands between the parts of a list that is written as text."""


@dataclass(frozen=True)
class FileFormat:
    """How a file is written, where it cannot be told from the file itself; None is guessed."""

    kind: FileKind | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quote: str = '"'
    escape: str | None = None
    header: tuple[str, ...] = ()
    """Column names of a file that has no header line."""
    nulls: tuple[str, ...] = ()
    """Texts that mean `no value`, besides the empty one."""


@dataclass(frozen=True)
class Section:
    """How one of our tables is filled: a field for each column that is."""

    fields: Dict[str, Field]
    file: FileFormat = FileFormat()

    @property
    def needed(self) -> tuple[str, ...]:
        """Source columns that must be there, in order."""
        return tuple(dict.fromkeys(c for f in self.fields.values() if not f.optional for c in f.columns))

    @property
    def used(self) -> tuple[str, ...]:
        """Every source column that is read, in order."""
        return tuple(dict.fromkeys(c for f in self.fields.values() for c in f.columns))


@dataclass(frozen=True)
class Mapping:
    """A whole mapping: its name for messages, and a section per table that it fills."""

    name: str
    sections: Dict[str, Section]

    def section(self, table: Table) -> Section:
        """The section that fills `table`; raises `MappingError` where there is none."""
        name = section_name(table)
        if name not in self.sections:
            raise MappingError(
                f"{self.name}: it has no section {name!r}, only {', '.join(self.sections)}; add one, or read the other"
            )
        return self.sections[name]

    def fills(self, table: Table) -> bool:
        """Whether there is a section for `table`."""
        return section_name(table) in self.sections


def given(table: Table) -> tuple[Column, ...]:
    """The columns of `table` that a source gives, in order."""
    return tuple(column for column in table.columns if column.name not in DERIVED)


def required(table: Table) -> tuple[str, ...]:
    """The columns of `table` that every mapping must fill."""
    return tuple(c.name for c in given(table) if not c.nullable and not c.type.startswith("list") and c.name != MADE)


def section_name(table: Table) -> str:
    """The name of the section that fills `table`; raises `MappingError` where no section can."""
    names = [name for name, filled in SECTIONS.items() if filled.name == table.name]
    if not names:
        raise MappingError(f"table {table.name!r} is filled by no source; sources fill {_names(SECTIONS)}")
    return names[0]


def own_names() -> Mapping:
    """The mapping of a source that uses our own column names; all columns but the required ones may be absent."""
    sections = {}
    for name, table in SECTIONS.items():
        needed = required(table)
        fields = {
            c.name: Field((c.name,), optional=c.name not in needed, separator="|" if c.type == "list<string>" else None)
            for c in given(table)
        }
        sections[name] = Section(fields)
    return Mapping("the built-in mapping", sections)


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)
