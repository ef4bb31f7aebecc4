"""Batches of the sample shop follow each other without a gap."""

from __future__ import annotations

from pathlib import Path

from deploy.shop import Batch, Inbox, Shop


def option(batch: Batch, name: str) -> str:
    return batch.command[batch.command.index(f"--{name}") + 1]


def test_each_batch_begins_where_the_last_one_ended(tmp_path: Path) -> None:
    shop = Shop(users=10, days=60, seed=3)
    end, seen = 0, []
    for number in range(1, 4):
        batch = Inbox(tmp_path).next(shop)
        assert batch.number == number
        assert int(option(batch, "first-day")) == end
        end += int(option(batch, "days"))
        batch.folder.mkdir(parents=True)
        Inbox(tmp_path).took(shop, batch)
        seen.append(batch.as_of)
    assert end == 60 + 15 + 15
    assert seen == ["2026-03-02T00:00:00+00:00", "2026-03-17T00:00:00+00:00", "2026-04-01T00:00:00+00:00"]


def test_a_batch_that_was_not_taken_in_comes_again(tmp_path: Path) -> None:
    assert Inbox(tmp_path).next(Shop()) == Inbox(tmp_path).next(Shop())


def test_a_shop_that_was_begun_goes_on(tmp_path: Path) -> None:
    inbox, first = Inbox(tmp_path), Shop(users=7, seed=1)
    assert inbox.shop(first) == first
    batch = inbox.next(first)
    batch.folder.mkdir(parents=True)
    inbox.took(first, batch)
    assert inbox.shop(Shop(users=99, seed=2)) == first


def test_the_shop_s_command_is_one_that_exists(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from tasks.__main__ import app

    command = Inbox(tmp_path).next(Shop()).command
    assert command[:4] == ("python", "-m", "tasks", "sample-shop")
    helped = CliRunner().invoke(app, ["sample-shop", "--help"], env={"COLUMNS": "200"}).output
    assert all(word in helped for word in command if word.startswith("--"))
