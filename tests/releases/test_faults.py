"""A small trial of `benchmarks.faults`: publishers killed at each step, while others read."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.faults_inputs import frame, mark, name_of, strange, value
from tasks import schema

ROOT = Path(__file__).parents[2]


def test_a_value_of_another_release_or_user_is_seen():
    numbers = {name_of(0): 0, name_of(1): 1}
    rows = frame(schema.USER_TOPICS, 1, 4)
    blocks = {"user_topics": {c.name: rows[c.name][3] for c in schema.USER_TOPICS.features}}
    assert strange(name_of(1), "user-3", blocks, numbers) == []
    assert strange(name_of(0), "user-3", blocks, numbers) == ["user_topics.topic_mix", "user_topics.top_topics"]
    assert strange(name_of(1), "user-1", blocks, numbers)
    blocks["user_topics"]["top_topics"] = value(schema.USER_TOPICS["top_topics"], mark(0, 3))
    assert strange(name_of(1), "user-3", blocks, numbers) == ["user_topics.top_topics"]
    assert strange(name_of(1), "user-3", {"user_topics": {}}, numbers)


def test_half_of_the_users_never_change():
    assert [mark(0, user) == mark(7, user) for user in range(4)] == [True, False, True, False]


@pytest.mark.slow
def test_files_of_a_publisher_killed_while_it_wrote_are_removed(rooms, pg_store, put_online):
    from tests.releases.planted import plant

    home = rooms.stores.home_of(pg_store)
    live, written = put_online(pg_store, 941), plant(home, 942)
    assert (home / "releases" / written.name).exists()
    rooms.publishing.retire(pg_store, 3)
    assert not (home / "releases" / written.name).exists()
    assert (home / "releases" / live.name).exists()


@pytest.mark.slow
def test_readers_notice_nothing_of_killed_publishers(tmp_path):
    out = tmp_path / "out.json"
    command = ["--releases", "--kills", "4", "--reads", "200", "--users", "6", "--seed", "3", "--json", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    found = json.loads(out.read_text())
    assert (found["kills"], found["mixed"], found["failed"], found["lost"]) == (4, 0, 0, [])
    assert found["reads"] >= 200
    assert found["reads_by_feast_alone"] > 0
    assert found["live_at_the_end"]
