"""Places in a mapping file, for messages that say where something is wrong, and the YAML itself."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import MappingError


class Place:
    """A place in the mapping file, for messages, with the checks on what stands there."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __truediv__(self, key: object) -> Place:
        return Place(f"{self.path}: {key}" if ": " not in self.path else f"{self.path}.{key}")

    def error(self, what: str) -> MappingError:
        """The error to raise for what is wrong here."""
        return MappingError(f"{self.path}: {what}")

    def mapping(self, value: Any, known: Iterable[str]) -> dict[str, Any]:
        """`value` as a dict whose keys are all known."""
        if not isinstance(value, dict):
            raise self.error(f"this must be a mapping with keys out of {', '.join(known)}")
        for key in value:
            self.one_of(str(key), known, "key")
        return {str(key): inner for key, inner in value.items()}

    def one_of(self, value: object, known: Iterable[str], what: str) -> str:
        """`value` where it is known, else an error with the nearest known one."""
        names = tuple(known)
        if value in names:
            return str(value)
        close = difflib.get_close_matches(str(value), names, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
        raise self.error(f"unknown {what} {str(value)[:60]!r}; {hint}")

    def text(self, value: Any, what: str) -> str:
        """`value` as text; a number counts, because YAML reads an unquoted one as such."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.error(f"{what} must be a text")
        return str(value)

    def texts(self, value: Any, what: str) -> tuple[str, ...]:
        """One text or a list of texts; not none."""
        values = value if isinstance(value, list) else [value]
        if not values:
            raise self.error(f"{what} must not be empty")
        return tuple(self.text(v, what) for v in values)

    def truth(self, value: Any, what: str) -> bool:
        """`value` as true or false."""
        if not isinstance(value, bool):
            raise self.error(f"{what} must be true or false")
        return value


def read_yaml(file: Path) -> Any:
    """What stands in a YAML file, `{}` where nothing does; raises `MappingError` where it is none."""
    try:
        return yaml.load(file.read_text(encoding="utf-8-sig"), Loader=_Loader) or {}
    except OSError as error:
        raise MappingError(f"mapping {file}: {error.strerror}; name a file that can be read") from None
    except UnicodeDecodeError:
        raise MappingError(f"mapping {file}: it is not UTF-8; save it as such") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        what = getattr(error, "problem", None) or type(error).__name__
        raise MappingError(f"{file.name}:{line} it is not YAML as it should be: {what}") from None


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Refuses a key that stands twice, where YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice[0]!r} stands twice", node.start_mark)
        result: dict[Any, Any] = super().construct_mapping(node, deep)
        return result
