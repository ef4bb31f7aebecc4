"""Artifacts are immutable, addressed by content, written in one step, and never half there."""

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks import schema
from tasks.errors import ArtifactError, SchemaError
from tasks.store import META, Ref, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def vectors(*hashes: str, size: int = 3) -> pd.DataFrame:
    rows = [np.full(size, i, np.float32) for i, _ in enumerate(hashes)]
    return pd.DataFrame({"text_hash": hashes, "vector": rows, "encoder": "e"})


def test_the_same_content_has_the_same_version_and_is_stored_once(store: Store) -> None:
    first = store.put_frame(vectors("a", "b"), schema.TEXT_VECTORS)
    again = store.put_frame(vectors("a", "b"), schema.TEXT_VECTORS)
    other = store.put_frame(vectors("a", "c"), schema.TEXT_VECTORS)
    assert first == again
    assert first != other
    assert first.rows == 2
    assert len(list((store.root / "text_vectors").iterdir())) == 2


def test_a_frame_comes_back_as_it_was_put(store: Store) -> None:
    ref = store.put_frame(vectors("a", "b"), schema.TEXT_VECTORS, facts={"k": 1}, parents=[Ref("x", "1")])
    back = store.read_frame(ref, schema.TEXT_VECTORS)
    assert back["text_hash"].tolist() == ["a", "b"]
    assert back["vector"][1].tolist() == [1, 1, 1]
    assert store.meta(ref).facts == {"k": 1}
    assert store.meta(ref).parents == ("x@1",)


def test_a_union_reads_its_members_in_order_and_each_once(store: Store) -> None:
    a = store.put_frame(vectors("a"), schema.TEXT_VECTORS)
    b = store.put_frame(vectors("b"), schema.TEXT_VECTORS)
    both = store.put_union(schema.TEXT_VECTORS, [a, b])
    more = store.put_union(schema.TEXT_VECTORS, [both, a])
    assert store.read_frame(both, schema.TEXT_VECTORS)["text_hash"].tolist() == ["a", "b"]
    assert more == both
    assert both.rows == 2


def test_an_empty_union_is_an_empty_frame_with_columns(store: Store) -> None:
    ref = store.put_union(schema.TEXT_VECTORS, [])
    frame = store.read_frame(ref, schema.TEXT_VECTORS)
    assert list(frame.columns) == list(schema.TEXT_VECTORS.names)
    assert frame.empty


def test_a_matrix_is_read_by_key(store: Store) -> None:
    a = store.put_frame(vectors("a", "b"), schema.TEXT_VECTORS)
    b = store.put_frame(vectors("c"), schema.TEXT_VECTORS)
    union = store.put_union(schema.TEXT_VECTORS, [a, b])
    keys, matrix = store.read_matrix(union, schema.TEXT_VECTORS, "vector", keys=["b", "c"])
    assert keys.tolist() == ["b", "c"]
    assert matrix.tolist() == [[1, 1, 1], [0, 0, 0]]


def test_lists_of_two_lengths_are_no_matrix(store: Store) -> None:
    a = store.put_frame(vectors("a"), schema.TEXT_VECTORS)
    b = store.put_frame(vectors("b", size=4), schema.TEXT_VECTORS)
    with pytest.raises(ArtifactError, match="different lengths"):
        store.read_matrix(store.put_union(schema.TEXT_VECTORS, [a, b]), schema.TEXT_VECTORS, "vector")


def test_a_wrong_frame_is_refused_and_leaves_nothing(store: Store) -> None:
    with pytest.raises(SchemaError, match=r"missing columns \['encoder'\]"):
        store.put_frame(vectors("a").drop(columns="encoder"), schema.TEXT_VECTORS)
    with pytest.raises(SchemaError, match="text_hash"):
        store.put_frame(vectors("a").assign(text_hash=None), schema.TEXT_VECTORS)
    assert not (store.root / "text_vectors").exists()


def test_a_writer_that_fails_leaves_nothing(store: Store) -> None:
    def write_and_fail() -> None:
        with store.writing("model") as folder:
            (folder / "half").write_text("half")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write_and_fail()
    assert list((store.root / "tmp").iterdir()) == []


def test_a_missing_or_damaged_artifact_is_named(store: Store) -> None:
    with pytest.raises(ArtifactError, match="text_vectors@nope"):
        store.read_frame(Ref("text_vectors", "nope"), schema.TEXT_VECTORS)
    ref = store.put_frame(vectors("a"), schema.TEXT_VECTORS)
    (store.folder(ref) / "rows.parquet").write_bytes(b"not parquet")
    with pytest.raises(ArtifactError, match="damaged"):
        store.read_frame(ref, schema.TEXT_VECTORS)


def test_work_is_remembered_until_its_artifact_is_gone(store: Store) -> None:
    made = []

    def make() -> dict[str, Ref]:
        made.append(1)
        return {"v": store.put_frame(vectors("a"), schema.TEXT_VECTORS)}

    first = store.remembered("key", make)
    assert store.remembered("key", make) == first
    assert len(made) == 1
    (store.folder(first["v"]) / META).unlink()
    store.remembered("key", make)
    assert len(made) == 2


def _append(root: Path, number: int) -> None:
    store = Store(root)
    for _ in range(5):
        with store.lock("series"):
            head = store.head("series")
            before = store.read_json(head)["members"] if head else []
            store.move_head("series", store.put_json("series", {"members": [*before, number]}))


def test_two_processes_that_move_a_head_lose_nothing(store: Store) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_append, args=(store.root, n)) for n in (1, 2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    head = store.head("series")
    assert head is not None
    assert sorted(store.read_json(head)["members"]) == [1] * 5 + [2] * 5


def test_a_reference_travels_as_json() -> None:
    ref = Ref("topics", "abc", 3)
    assert Ref.from_json(json.loads(json.dumps(ref.to_json()))) == ref
    with pytest.raises(ArtifactError, match="not an artifact reference"):
        Ref.from_json({"name": "x"})
