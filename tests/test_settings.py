"""Settings come from the environment; a mistyped one is an error, never ignored."""

import pytest

from tasks.errors import SettingsError
from tasks.settings import Settings


def test_defaults_need_nothing() -> None:
    assert Settings().topics == 20


def test_a_value_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENCHANT_TOPICS", "7")
    assert Settings().topics == 7


def test_a_mistyped_name_is_an_error_that_names_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENCHANT_TOPIC", "7")
    with pytest.raises(SettingsError, match="did you mean PENCHANT_TOPICS"):
        Settings()


def test_a_value_out_of_range_is_an_error_that_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENCHANT_TOPICS", "1")
    with pytest.raises(SettingsError, match="PENCHANT_TOPICS"):
        Settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().topics = 3


def test_every_setting_says_what_it_means() -> None:
    assert [n for n, f in Settings.model_fields.items() if not f.description] == []


def test_rules_are_changed_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENCHANT_RULES", '{"too_short": {"severity": "warning", "minimum": 2}}')
    assert Settings().rules == {"too_short": {"severity": "warning", "minimum": 2}}


@pytest.mark.parametrize("value", ["{", "[]", '{"too_short": 2}', '{"too_short": {"least": 2}}'])
def test_rules_that_are_no_such_json_are_an_error_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("PENCHANT_RULES", value)
    with pytest.raises(SettingsError, match=r"(?i)rules"):
        Settings()
