"""The mapping files in `examples/`, each on a few rows in the format it is for."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tasks.columns import Table, to_arrow
from tasks.errors import SourceError
from tasks.schema import EVENTS, ITEMS
from tasks.sources import items_from_events, load_mapping, read_files

EXAMPLES = Path(__file__).parents[2] / "examples"


def read(example: str, table: Table, path: Path, content: str, encoding: str = "utf-8") -> list[dict[str, Any]]:
    data = content.encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    (frame,) = read_files([path], load_mapping(EXAMPLES / example), table, chunk_rows=100)
    assert frame["problems"].tolist() == [[]] * len(frame)
    frame["event_time" if table is EVENTS else "updated_at"] = frame.filter(regex="event_time|updated_at").astype(str)
    rows: list[dict[str, Any]] = frame.to_dict("records")
    return rows


def lines(*rows: dict[str, Any]) -> str:
    return "\n".join(json.dumps(row) for row in rows) + "\n"


def test_every_example_is_tested_and_loads() -> None:
    names = {path.name for path in EXAMPLES.glob("*.yaml")}
    assert names == {
        "amazon_reviews_2014.yaml",
        "amazon_reviews_2018.yaml",
        "amazon_reviews_2023.yaml",
        "movielens.yaml",
        "movielens_1m.yaml",
        "postgres_query.yaml",  # in test_query.py
        "yelp.yaml",
    }
    for name in names:
        mapping = load_mapping(EXAMPLES / name)
        assert mapping.fills(EVENTS)
        assert mapping.fills(ITEMS)


REVIEW_2014 = {
    "reviewerID": "A2", "asin": "0001", "helpful": [0, 0], "reviewText": "It works.", "overall": 4.0,
    "summary": "good", "unixReviewTime": 1393545600, "reviewTime": "02 28, 2014",
}  # fmt: skip


def test_amazon_2014_reviews(tmp_path: Path) -> None:
    rows = read("amazon_reviews_2014.yaml", EVENTS, tmp_path / "r.json.gz", lines(REVIEW_2014))
    assert rows[0]["user_id"] == "A2"
    assert rows[0]["item_id"] == "0001"
    assert rows[0]["kind"] == "review"
    assert rows[0]["rating"] == 4
    assert rows[0]["text"] == "good\nIt works."
    assert rows[0]["event_time"] == "2014-02-28 00:00:00+00:00"


def test_amazon_2014_metadata(tmp_path: Path) -> None:
    content = (
        "{'asin': '0001', 'title': \"Player's Pick\", 'price': 9.99, 'categories': [['A', 'Picks'], ['A', 'x']]}\n"
        "{'asin': '0002', 'title': 'Two', 'description': 'Long', 'brand': 'B', 'related': {'also_bought': ['1']}}\n"
    )
    rows = read("amazon_reviews_2014.yaml", ITEMS, tmp_path / "meta.json.gz", content)
    assert rows[0]["title"] == "Player's Pick"
    assert rows[0]["categories"] == ["A", "Picks", "x"]
    assert rows[0]["price"] == 9.99
    assert (rows[1]["description"], rows[1]["brand"], rows[1]["categories"]) == ("Long", "B", [])


def test_amazon_2018(tmp_path: Path) -> None:
    review = {**REVIEW_2014, "verified": True, "style": {"Color:": " Red"}, "vote": "2"}
    bare = {key: value for key, value in review.items() if key not in ("reviewText", "summary")}
    rows = read("amazon_reviews_2018.yaml", EVENTS, tmp_path / "r.json", lines(review, bare))
    assert [row["text"] for row in rows] == ["good\nIt works.", None]
    meta = {"asin": "1", "title": "T", "description": ["One.", "Two."], "category": ["A", "B"], "price": "$12.99"}
    junk = {"asin": "2", "title": "U", "category": [], "price": ".a-box-inner{background-color:#fff}", "brand": "B"}
    items = read("amazon_reviews_2018.yaml", ITEMS, tmp_path / "m.json.gz", lines(meta, junk))
    assert (items[0]["description"], items[0]["categories"], items[0]["price"]) == ("One. Two.", ["A", "B"], 12.99)
    assert pd.isna(items[1]["price"])


def test_amazon_2023(tmp_path: Path) -> None:
    review = {
        "rating": 5.0, "title": "Great", "text": "很好", "images": [], "asin": "B1", "parent_asin": "B0",
        "user_id": "AE", "timestamp": 1588687728923, "helpful_vote": 0, "verified_purchase": True,
    }  # fmt: skip
    rows = read("amazon_reviews_2023.yaml", EVENTS, tmp_path / "r.jsonl", lines(review))
    assert (rows[0]["item_id"], rows[0]["text"]) == ("B0", "Great\n很好")
    assert rows[0]["event_time"] == "2020-05-05 14:08:48.923000+00:00"
    meta = {"title": "T", "features": ["Light."], "description": [], "price": "from 14.99 to 20", "store": "S",
            "categories": ["A"], "parent_asin": "B0"}  # fmt: skip
    items = read("amazon_reviews_2023.yaml", ITEMS, tmp_path / "m.jsonl.gz", lines(meta))
    assert (items[0]["item_id"], items[0]["description"], items[0]["brand"]) == ("B0", "Light.", "S")
    assert pd.isna(items[0]["price"])


def test_movielens(tmp_path: Path) -> None:
    content = "userId,movieId,rating,timestamp\n1,296,0.5,1147880044\n1,306,5.0,1147868817\n1,307,2.75,1147868828\n"
    rows = read("movielens.yaml", EVENTS, tmp_path / "ratings.csv", content)
    assert [row["rating"] for row in rows] == [1, 5, 3]
    assert {row["kind"] for row in rows} == {"rating"}
    assert rows[0]["event_time"] == "2006-05-17 15:34:04+00:00"
    content = 'movieId,title,genres\n1,Toy Story (1995),Adventure|Children\n2,"Girl, The (2012)",(no genres listed)\n'
    items = read("movielens.yaml", ITEMS, tmp_path / "movies.csv", content)
    assert [item["title"] for item in items] == ["Toy Story (1995)", "Girl, The (2012)"]
    assert [item["categories"] for item in items] == [["Adventure", "Children"], []]


def test_movielens_1m(tmp_path: Path) -> None:
    rows = read("movielens_1m.yaml", EVENTS, tmp_path / "ratings.dat", "1::1193::5::978300760\n2::661::1::978302109\n")
    assert [(row["user_id"], row["item_id"], row["rating"]) for row in rows] == [("1", "1193", 5), ("2", "661", 1)]
    content = '1::Misérables, Les (1995)::Drama|Musical\r\n2::"One" (1999)::Children\'s\r\n'
    items = read("movielens_1m.yaml", ITEMS, tmp_path / "movies.dat", content, "latin-1")
    assert [item["title"] for item in items] == ["Misérables, Les (1995)", '"One" (1999)']
    assert items[0]["categories"] == ["Drama", "Musical"]


def test_yelp(tmp_path: Path) -> None:
    review = {"review_id": "r1", "user_id": "u", "business_id": "b", "stars": 3.0, "useful": 0, "text": "Fine.",
              "date": "2018-07-07 22:09:11"}  # fmt: skip
    rows = read("yelp.yaml", EVENTS, tmp_path / "review.json", lines(review))
    assert (rows[0]["event_id"], rows[0]["rating"]) == ("r1", 3)
    assert rows[0]["event_time"] == "2018-07-07 22:09:11+00:00"
    business = {"business_id": "b", "name": "N", "address": "1 Main St", "city": "Reno", "state": "NV",
                "categories": "Doctors, Health & Medical"}  # fmt: skip
    items = read("yelp.yaml", ITEMS, tmp_path / "business.json", lines(business, {**business, "categories": None}))
    assert items[0]["description"] == "1 Main St, Reno, NV"
    assert [item["categories"] for item in items] == [["Doctors", "Health & Medical"], []]


def test_a_file_of_another_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="none of those that the mapping names"):
        read("yelp.yaml", EVENTS, tmp_path / "r.json", lines({"a": 1}))


def test_items_from_events() -> None:
    events = pd.DataFrame({"item_id": ["b", None, "a", "b"], "batch_id": ["x", "x", "y", "y"]})
    items = items_from_events(events)
    assert items["item_id"].tolist() == ["b", "a"]
    assert items["title"].tolist() == ["b", "a"]
    assert items["batch_id"].tolist() == ["x", "y"]
    assert items["description"].isna().all()
    assert items["categories"].map(len).tolist() == [0, 0]
    assert to_arrow(items, ITEMS).num_rows == 2
    assert to_arrow(items_from_events(events[:0]), ITEMS).num_rows == 0


@pytest.mark.data
def test_ten_thousand_real_reviews_unchanged() -> None:
    folder = Path(os.environ.get("PENCHANT_TEST_DATA", EXAMPLES.parents[1] / "shared" / "data"))
    path = folder / "amazon_musical_instruments_5core.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not in {folder}; set PENCHANT_TEST_DATA to the folder that holds it")
    mapping = load_mapping(EXAMPLES / "amazon_reviews_2014.yaml")
    frame = pd.concat(read_files([path], mapping, EVENTS, chunk_rows=4_000), ignore_index=True)
    assert len(frame) == 10_261
    assert not frame["problems"].map(len).any()
    assert frame["event_id"].nunique() == 10_261
    assert (frame["user_id"].nunique(), frame["item_id"].nunique()) == (1_429, 900)
    assert (frame["rating"] == 5).mean() == pytest.approx(0.68, abs=0.01)
    assert frame["event_time"].dt.year.agg(["min", "max"]).tolist() == [2004, 2014]
    items = items_from_events(frame.assign(batch_id="b"))
    assert len(items) == 900
