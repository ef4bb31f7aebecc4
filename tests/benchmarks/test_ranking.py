from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.ranking import HYBRID, main
from benchmarks.ranking_inputs import Corpus, read_corpus
from tasks.errors import LeakError, SourceError
from tasks.scoring import Interactions

MAPPING = """
events:
  file: {format: csv}
  columns:
    user_id: user_id
    item_id: item_id
    kind: kind
    event_time: {column: event_time, format: "%Y-%m-%d"}
"""
SIMPLE = ["popularity", "markov", "itemknn", "ease", "transition"]


def write(path: Path, rows: list[np.ndarray]) -> Path:
    with gzip.open(path, "wt") as file:
        file.writelines(f"u{user} {' '.join(map(str, row))}\n" for user, row in enumerate(rows))
    return path


def walks(users: int = 300, items: int = 40, follow: float = 0.9) -> list[np.ndarray]:
    """Walks in which item i is followed by i + 1 that often, by any other item else; no item comes twice."""
    rng, rows = np.random.default_rng(0), []
    for _ in range(users):
        row = [int(rng.integers(items))]
        while len(row) < 8:
            step = (row[-1] + 1) % items if rng.random() < follow else int(rng.integers(items))
            row += [step] if step not in row else []
            if (row[-1] + 1) % items in row and step in row[:-1]:
                row.append(int(rng.choice(np.setdiff1d(np.arange(items), row))))
        rows.append(np.array(row[:8]))
    return rows


def read(path: Path) -> Corpus:
    def no_encoder():
        raise AssertionError("no text, so no encoder")

    return read_corpus(
        sequences=path, events=None, mapping=None, item_text=None, item_attributes=None, encode=no_encoder
    )


def benchmark(tmp_path: Path, rows: list[np.ndarray], *more: str) -> dict:
    data, out = write(tmp_path / "sequences.txt.gz", rows), tmp_path / "out.json"
    assert main(["--sequences", str(data), "--json", str(out), "--budget", "2", *more]) == 0
    return json.loads(out.read_text())


def test_the_report_has_every_method_and_metric(tmp_path):
    report = benchmark(tmp_path, walks(), "--methods", *SIMPLE)
    assert set(report["results"]) == {*SIMPLE, HYBRID}
    metrics = {"hr@5", "hr@10", "ndcg@5", "ndcg@10", "mrr", "coverage@10", "novelty@10", "popularity_share@10"}
    assert metrics <= set(report["results"][HYBRID])
    assert report["results"]["markov"]["ndcg@10"] > 0.8
    assert report["results"][HYBRID]["ndcg@10"] > 0.8
    assert report["results"]["popularity"]["ndcg@10"] < 0.3
    assert report["tests"]["popularity"]["p"] < 0.01
    assert "Leave one out" in report["protocol"]
    assert report["settings"]["ease"]["regularization"] > 0
    assert report["peak_rss_mib"] > 0


def test_nothing_can_be_foretold_where_there_is_nothing_to_learn(tmp_path):
    rng = np.random.default_rng(1)
    report = benchmark(tmp_path, [rng.permutation(100)[:7] for _ in range(600)], "--methods", *SIMPLE)
    for found in report["results"].values():
        assert found["hr@10"] < 0.17  # 10 of 94 by chance, and five standard errors: more would be a leak


def test_a_planted_leak_is_caught(tmp_path):
    corpus = read(write(tmp_path / "s.gz", walks(20)))
    with pytest.raises(LeakError, match="20 histories"):
        replace(corpus, train=corpus.before_test)
    shuffled = Interactions.from_sequences([corpus.before_test.of(np.array([u])).items[1:] for u in range(20)], 40)
    with pytest.raises(LeakError):
        replace(corpus, train=shuffled)
    with pytest.raises(LeakError):
        replace(corpus, validation=corpus.test)


def test_the_split_is_by_order_and_short_histories_are_not_measured(tmp_path):
    corpus = read(write(tmp_path / "s.gz", [np.array([5, 6, 7, 8]), np.array([7, 8])]))
    assert corpus.items.ids.tolist() == ["5", "6", "7", "8"]
    assert corpus.train.items.tolist() == [0, 1, 2, 3]
    assert corpus.validation.tolist() == [2, -1]
    assert corpus.test.tolist() == [3, -1]


def test_attributes_make_a_content_scorer(tmp_path):
    attributes = tmp_path / "attributes.json"
    attributes.write_text(json.dumps({str(i): [i // 10] for i in range(39)}))
    report = benchmark(tmp_path, walks(), "--item-attributes", str(attributes), "--methods", "content", "transition")
    assert report["results"]["content"]["ndcg@10"] > 0.3  # 0.14 by chance
    assert "attribute_share" in report["settings"]["transition"]
    assert "diversity@10" in report["results"][HYBRID]


def test_a_missing_file_ends_with_its_name(tmp_path, capsys):
    assert main(["--sequences", str(tmp_path / "gone.txt")]) == 2
    assert "gone.txt" in capsys.readouterr().err


def test_the_speed_is_told_beside_that_of_implicit(tmp_path):
    out = tmp_path / "speed.json"
    assert main(["--speed", "300", "400", "--json", str(out)]) == 0
    report = json.loads(out.read_text())
    assert report["users_per_second"].keys() == {"hybrid", "implicit"}
    assert min(report["users_per_second"].values()) > 0
    assert report["times_implicit"] > 0


def test_a_kept_lstm_is_not_trained_again(tmp_path):
    more = ["--methods", "sequence", "--keep", str(tmp_path / "kept"), "--lstm", '[{"state_size": 16}]']
    first = benchmark(tmp_path, walks(120), *more, "--epochs", "2", "--lstm-models", "2")
    assert len(list((tmp_path / "kept").iterdir())) == 2
    again = benchmark(tmp_path, walks(120), *more, "--epochs", "0", "--lstm-models", "2")
    assert again["results"] == first["results"]
    other = benchmark(tmp_path, walks(110), *more, "--epochs", "1")  # other data, so another model
    assert len(list((tmp_path / "kept").iterdir())) == 3
    assert other["settings"]["sequence"]["state_size"] == 16


@pytest.mark.slow
def test_the_lstm_joins_the_blend(tmp_path):
    report = benchmark(tmp_path, walks(), "--methods", "popularity", "sequence", "--epochs", "15")
    assert report["results"]["sequence"]["ndcg@10"] > 0.6


def test_a_cut_in_time_hides_all_that_is_later(tmp_path):
    days = {"a": {"p": 1, "q": 2, "r": 3, "s": 9}, "b": {"p": 1, "q": 9}, "c": {"p": 8, "q": 9}, "d": {"t": 1, "u": 2}}
    lines = [f"{user},{item},purchase,2024-01-{day:02d}" for user, of in days.items() for item, day in of.items()]
    events, mapping = tmp_path / "events.csv", tmp_path / "mapping.yaml"
    events.write_text("\n".join(["user_id,item_id,kind,event_time", *lines]))
    mapping.write_text(MAPPING)

    def read_at(**more):
        given = {"item_text": None, "item_attributes": None, "encode": None, "cut_share": 0.6}  # after day 3
        return read_corpus(**{"sequences": None, "events": events, "mapping": mapping, **given, **more})

    corpus = read_at()
    names = [*corpus.items.ids, None]
    assert [names[i] for i in corpus.train.items] == ["p", "q", "p", "t"]  # all of c is too late
    assert [names[i] for i in corpus.validation] == ["r", None, None, "u"]
    assert [names[i] for i in corpus.test] == ["s", "q", None, None]
    with pytest.raises(SourceError, match="needs --events"):
        read_at(sequences=events, events=None)
