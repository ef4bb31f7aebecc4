"""One frozen settings object: every default, each with its unit and its source.

Each field is read from the environment as `PENCHANT_<NAME>`; a name nobody knows is an error, because a mistyped
setting that is silently ignored is worse than none.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic_settings
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as UnreadableSetting

from tasks.errors import SettingsError

PREFIX = "PENCHANT_"


class Settings(BaseSettings):
    """All that can be set; `Settings()` reads the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    home: Path = Field(Path("var"), description="folder of everything Penchant keeps: artifacts, releases, stores")
    seed: int = Field(0, description="seed of every random choice")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where models run; `auto` takes CUDA if there")

    # stores
    online_store: Literal["embedded", "postgres", "redis"] = Field("embedded", description="where online features live")
    postgres_dsn: str = Field("", description="registry and online store, as a libpq URI; empty: embedded PostgreSQL")
    redis_url: str = Field("", description="host:port of Redis, where `online_store` is redis")
    keep_releases: int = Field(3, ge=1, description="releases kept online, the live one included")
    keep_history_days: float = Field(
        730, gt=0, description="days of served features kept for training, back from the newest release"
    )

    # reading
    read_tokens: SecretStr = Field(
        SecretStr(""),
        description="bearer tokens, separated by commas; a request to the read service shows one of them",
    )
    write_tokens: SecretStr = Field(
        SecretStr(""), description="bearer tokens, separated by commas; a request that pushes events shows one of them"
    )
    read_open: bool = Field(False, description="the read service answers without a token, on a loopback address only")
    interest_age_hours: float = Field(
        168, gt=0, description="hours after which interests and item content are stale; 168 is one short half-life"
    )
    recommendation_age_hours: float = Field(
        48,
        gt=0,
        description="hours after which recommendations are stale; of daily refreshes, one may be missed",
    )
    age_limits: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description='hours after which single blocks are stale instead, as JSON: {"user_evolution": 24}'
    )

    # taking in
    source_dsn: str = Field("", description="PostgreSQL database that `ingest --query` reads, as a libpq URI")
    chunk_rows: int = Field(50_000, ge=1, description="rows checked at a time; bounds memory")
    max_quarantine_share: float = Field(
        0.2, ge=0, le=1, description="a batch with a larger share of bad rows is refused"
    )
    future_tolerance_hours: float = Field(24, ge=0, description="hours an event may lie after as_of: clocks differ")
    rules: dict[str, dict[Literal["severity", "minimum", "maximum"], str | float]] = Field(
        {}, description='JSON: changes to rules by name, such as {"too_short": {"severity": "warning", "minimum": 2}}'
    )
    recent_texts: int = Field(
        100_000, ge=0, description="latest accepted reviews and comments that new ones may copy; 112 bytes each"
    )

    # alerts
    alert_targets: SecretStr = Field(
        SecretStr(""),
        description="addresses that alerts go to, separated by spaces: `https://hooks…` (Slack-compatible), "
        "`smtp://user:password@host/?from=…&to=…`, or any address of Apprise",
    )
    alert_connections: str = Field("", description="ids of Airflow connections that alerts go to, separated by spaces")
    warning_budget: float = Field(
        0.05, ge=0, le=1, description="share of a batch's rows; an alert goes out where more were quarantined"
    )
    warning_budgets: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        {}, description='other shares for single sources, as JSON: {"shop": 0.1}'
    )
    batch_every_hours: float = Field(
        0, ge=0, description="hours; an alert goes out where the last batch is older. 0: batches are not waited for"
    )
    batch_deadline_minutes: float = Field(
        0, ge=0, description="minutes that a run may take from when it was queued before an alert goes out. 0: no limit"
    )
    override_hours: float = Field(
        24, gt=0, description="hours that a stopped batch waits for a person's answer; then it is refused"
    )

    keep_reports: int = Field(100, ge=1, description="reports on batches that are kept; one is some 40 kB")
    recent_batches: int = Field(10, ge=1, description="accepted batches that a new one is compared with as a whole")
    batch_alarm_rate: float = Field(
        0.001, gt=0, lt=1, description="chance of a false alarm on a whole batch, over all its rules (Holm)"
    )
    batch_limits: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description='largest change of a whole batch that passes, by rule, as JSON: {"batch_row_count": 2}'
    )

    # text
    encoder: str = Field(
        "default", description="hub name or folder of a BERT-family model; `default`: the pinned package"
    )
    encoder_max_tokens: int = Field(128, ge=8, description="tokens; p90 of reviews is about 110 (longer text is cut)")
    encoder_batch: int = Field(32, ge=1, description="texts per forward pass, sorted by length")
    shards: int = Field(2, ge=1, description="parallel pieces of encoding and materializing")
    topics: int = Field(20, ge=2, description="number of topics")
    topic_passes: int = Field(10, ge=1, description="passes over the text; coherence levels off near 10 on short text")

    # interests
    long_half_life_days: float = Field(60, gt=0, description="days until an event counts half in long-term interest")
    short_half_life_days: float = Field(7, gt=0, description="days until an event counts half in short-term interest")
    keywords: int = Field(12, ge=1, description="keywords per user and item")
    state_size: int = Field(128, ge=8, description="width of the LSTM state h")
    history: int = Field(50, ge=2, description="latest events that the LSTM is trained on (SASRec, 2018, uses 50)")
    sequence_epochs: int = Field(30, ge=1, description="most passes over the histories; training stops early")

    # scores
    factors: int = Field(64, ge=2, description="factors of the collaborative model")
    ease_regularization: float = Field(50, gt=0, description="ridge of the linear item model; more for sparser shops")
    popularity_half_life_days: float = Field(30, gt=0, description="days until an event counts half in popularity")
    recommendations: int = Field(10, ge=1, description="items per user")
    holdout_days: float = Field(7, gt=0, description="days at the end of time that the evaluation card is measured on")

    def __init__(self, **values: Any) -> None:
        refuse_unknown(os.environ)
        try:
            super().__init__(**values)
        except UnreadableSetting as error:  # JSON that is none; its message names the field and no value
            raise SettingsError(f"settings: {error}; write it as JSON") from None
        except ValidationError as error:
            lines = "; ".join(f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
            raise SettingsError(f"settings: {lines}") from None
        except pydantic_settings.SettingsError as error:  # a value that should be JSON and is not
            raise SettingsError(f'settings: {error}; write it as JSON, such as {{"user_evolution": 24}}') from None

    @property
    def reports(self) -> Path:
        """Folder of the reports on batches."""
        return self.home / "reports"


def refuse_unknown(environ: Mapping[str, str]) -> None:
    """Raise `SettingsError` where the environment has a `PENCHANT_` name that is no setting."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in sorted(n for n in environ if n.startswith(PREFIX) and n not in known):
        close = difflib.get_close_matches(name, known, 1)
        raise SettingsError(f"unknown setting {name}" + (f"; did you mean {close[0]}?" if close else ""))


def settings_table() -> str:
    """Every setting, its default and its meaning as a Markdown table, for the README."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {field.default!s} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows])
