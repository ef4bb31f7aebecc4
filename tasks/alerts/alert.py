"""What an alert can hold: counts, names and links. It has no field that text written by people could be put in."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tasks.errors import PenchantError, SchemaError

Condition = Literal["ok", "failed", "budget", "unlike", "overdue", "stale"]
"""How a pipeline stands: well; its run failed; too much of a batch was bad; a batch is late; the release is old."""
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
Kind = Literal["failed", "budget", "unlike", "overdue", "stale", "recovered", "test"]

LONGEST_NAME, LONGEST_REASON = 100, 400
_NOT_IN_NAMES = re.compile(r"[^\w .,:+~/-]")
_PERSONAL = re.compile(r"\S+@\S+|(?:\d[ -]?){9,}")
"""E-mail addresses, and runs of digits as long as a phone number, a bank card or a national id."""


def _is_name(text: str) -> str:
    if _NOT_IN_NAMES.search(text):
        raise ValueError("not a name")
    return text


Name = Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(_is_name)]
"""Name of a pipeline, source, batch, run or rule: letters, digits and the marks that Airflow allows in a run's id."""
Link = Annotated[str, Field(max_length=1000, pattern=r"^(https?://[!-~]+)?$")]
Count = Annotated[int, Field(ge=0)]


def as_name(text: str) -> str:
    """A name that users chose, such as that of a file, cut and cleaned until an alert can hold it."""
    return _NOT_IN_NAMES.sub("_", text)[:LONGEST_NAME]


def _one_line(text: object) -> object:
    return _PERSONAL.sub("…", " ".join(text.split()))[:LONGEST_REASON] if isinstance(text, str) else text


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:  # which quotes the value, and the key that it stands under
            wrong = {str(e["loc"][0]) for e in error.errors()}
            named = ", ".join(sorted(wrong & set(type(self).model_fields))) or "a field it does not have"
            raise SchemaError(
                f"an alert cannot hold what was given for {named}: only counts, names and links"
            ) from None


class Facts(_Said):
    """What is known about one run: names, counts and links; a value of another kind raises `SchemaError`."""

    batch: Name = ""
    run: Name = ""
    task: Name = ""
    error: Name = Field(default="", description="class of the error that ended the run")
    reason: Annotated[str, BeforeValidator(_one_line)] = Field(default="", description="words of an error of our own")
    rows: Count | None = Field(default=None, description="rows that the batch brought")
    rows_failed: Count | None = Field(
        default=None, description="rows that were quarantined, or for which it was stopped"
    )
    rules: dict[Name, Count] = Field(default_factory=dict, description="rows by the rule that they broke")
    sources: tuple[Name, ...] = ()
    users: Count | None = Field(default=None, description="people whose rows are among the failed ones")
    budget: float | None = Field(default=None, description="share of failed rows that is put up with")
    waited_hours: float | None = Field(default=None, description="hours since the last batch, release or start")
    allowed_hours: float | None = Field(default=None, description="hours that it may take")
    run_url: Link = ""
    report_url: Link = ""


class Alert(_Said):
    """One thing to be said once: the edge of an incident, and what is known about it."""

    kind: Kind
    pipeline: Name
    source: Name = ""
    at: datetime
    incident: Name = ""
    was: Condition = Field(default="ok", description="what a recovery ends")
    since: datetime | None = Field(default=None, description="when the incident began")
    times: Count = Field(default=1, description="how often it was seen in the incident")
    facts: Facts = Facts()


def cause(error: BaseException) -> dict[str, str]:
    """What may be said of an error: its class, and its words only where they are ours, for ours hold no row's text."""
    words = str(error) if isinstance(error, PenchantError) else ""
    return {"error": type(error).__name__, "reason": words}
