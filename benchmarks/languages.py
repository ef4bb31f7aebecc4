"""What an encoder makes of each language, on the sample shop's bilingual catalogue.

    python -m benchmarks.languages                      the default encoder
    python -m benchmarks.languages --encoder FOLDER     any other BERT-family model, by folder or hub name

Per language: the share of tokens that the encoder has no entry for, and how often the nearest other item (by the
cosine of title and description) is of the same theme. Across languages: how often a text's own translation is nearest.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from tasks.embeddings import Encoder, alignment
from tasks.sources.sample_shop.catalogue import load_catalogue
from tasks.sources.sample_shop.shop import DATA

TEXT = {"en": ("title", "description"), "zh": ("title_zh", "description_zh")}


def main() -> None:
    """Print the table and, with `--json`, write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.languages", description=__doc__)
    parser.add_argument("--encoder", default="default")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    encoder = Encoder.load(arguments.encoder, device="auto", max_tokens=128, batch_size=32)
    catalogue = load_catalogue(DATA)
    texts = {code: [f"{e[a]}. {e[b]}" for e in catalogue.entries] for code, (a, b) in TEXT.items()}
    vectors = {code: encoder.encode(rows) for code, rows in texts.items()}
    result = {
        code: {
            "unknown_tokens": encoder.unknown_token_share(texts[code]),
            "nearest_same_theme": _same_theme(vectors[code], catalogue.theme),
        }
        for code in TEXT
    }
    aligned = alignment(vectors["en"], vectors["zh"])
    counts = np.bincount(catalogue.theme)
    chance = float((counts * (counts - 1)).sum() / (len(catalogue) * (len(catalogue) - 1)))
    print("| | unknown tokens | nearest item of the same theme |\n|---|---|---|")
    for code, row in result.items():
        print(f"| {code} | {row['unknown_tokens']:.1%} | {row['nearest_same_theme']:.1%} |")
    print(f"\nby chance {chance:.1%}; own translation is nearest for {aligned.found:.1%} of {len(catalogue)} items")
    if arguments.json:
        document = {**result, "chance": chance, "translation_found": aligned.found, "encoder": encoder.fingerprint}
        arguments.json.write_text(json.dumps(document, indent=1))


def _same_theme(vectors: np.ndarray, theme: np.ndarray) -> float:
    """Share of rows (n, d) whose nearest other row is of the same theme (n,)."""
    near = vectors @ vectors.T
    np.fill_diagonal(near, -np.inf)
    return float((theme[near.argmax(axis=1)] == theme).mean())


if __name__ == "__main__":
    main()
