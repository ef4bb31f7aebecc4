"""Topics as people read them: labels, top words in each language, share of all text, coherence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from tasks.schema import AS_OF, LANGUAGES, TOPICS
from tasks.topics.model import TopicModel

LABEL_WORDS, TOP_WORDS = 3, 10
_ID, _LABEL, _LABEL_ZH = TOPICS["topic_id"].name, TOPICS["label"].name, TOPICS["label_zh"].name
_WORDS = {language: TOPICS[f"words_{language}"].name for language in LANGUAGES}


def describe_topics(
    model: TopicModel, documents: Sequence[Sequence[str]], *, as_of: datetime, previous: pd.DataFrame | None = None
) -> pd.DataFrame:
    """One row per topic (`schema.TOPICS`), in the order of ids.

    Labels are the three most telling words, joined by a dot. `share` is the mean topic mix and `coherence` the NPMI of
    the top words over `documents`, the token lists that the topics were fitted on. Where `previous` describes a topic
    of the same id, its labels stay for as long as more than half of a label's words are among the top ten.
    """
    words = {language: model.topic_words(language, TOP_WORDS) for language in LANGUAGES}
    english = [
        _label(en) or _label(zh) or f"topic {topic}"
        for topic, en, zh in zip(model.topic_ids, words["en"], words["zh"], strict=True)
    ]
    frame = pd.DataFrame(
        {
            _ID: np.asarray(model.topic_ids, dtype=np.int64),
            _LABEL: english,
            _LABEL_ZH: [_label(top) for top in words["zh"]],
            _WORDS["en"]: words["en"],
            _WORDS["zh"]: words["zh"],
            TOPICS["share"].name: _share(model, documents),
            TOPICS["coherence"].name: topic_coherence(model, words, documents),
            AS_OF.name: as_of,
        }
    )
    return frame if previous is None else _with_lasting_labels(frame, previous)


def topic_coherence(
    model: TopicModel, words: dict[str, list[list[str]]], documents: Sequence[Sequence[str]]
) -> np.ndarray:
    """Mean NPMI of the pairs of each topic's top words (k,), float32 in [−1, 1]; languages count alike.

    NPMI(a, b) = log(p(a,b) / p(a) p(b)) / −log p(a,b), over documents; −1 for two words that never meet (Bouma, 2009;
    Aletras and Stevenson, 2013). A topic with fewer than two words in every language has 0.
    """
    present = model.vocabulary.counts(documents)
    present.data[:] = 1
    total, pairs = np.zeros(model.n_topics), np.zeros(model.n_topics)
    for tops in words.values():
        for topic, top in enumerate(tops):
            if len(top) > 1:
                total[topic] += _mean_npmi(present[:, [model.vocabulary.column[word] for word in top]])
                pairs[topic] += 1
    return np.clip(total / np.maximum(pairs, 1), -1, 1).astype(np.float32)


def _mean_npmi(present: np.ndarray) -> float:
    """Mean NPMI over pairs of columns of a document-word incidence matrix (n, w)."""
    rows = max(present.shape[0], 1)
    together = np.asarray((present.T @ present).todense(), dtype=np.float64) / rows  # (w, w), p(a) on the diagonal
    upper = np.triu_indices(together.shape[0], 1)
    joint, alone = together[upper], np.outer(together.diagonal(), together.diagonal())[upper]
    npmi = np.full(len(joint), -1.0)
    npmi[joint >= 1] = 1.0  # both words in every document
    some = (joint > 0) & (joint < 1)
    npmi[some] = np.log(joint[some] / alone[some]) / -np.log(joint[some])
    return float(npmi.mean())


def _share(model: TopicModel, documents: Sequence[Sequence[str]]) -> np.ndarray:
    """Mean topic mix (k,) of the documents, each counting as much as it has words."""
    lengths = np.fromiter((len(document) for document in documents), dtype=np.float64, count=len(documents))
    if not lengths.sum():
        return np.asarray(model.alpha / model.alpha.sum(), dtype=np.float32)
    return np.asarray(lengths @ model.infer(documents) / lengths.sum(), dtype=np.float32)


def _label(words: Sequence[str]) -> str | None:
    """The first words joined, or None where there are none."""
    return " · ".join(words[:LABEL_WORDS]) or None


def _with_lasting_labels(frame: pd.DataFrame, previous: pd.DataFrame) -> pd.DataFrame:
    """`frame` with the earlier labels of topics whose meaning has not moved."""
    earlier = previous.set_index(_ID)
    for label, words in ((_LABEL, _WORDS["en"]), (_LABEL_ZH, _WORDS["zh"])):
        old = frame[_ID].map(earlier[label])
        frame[label] = [
            was if isinstance(was, str) and _still_fits(was, top) else now
            for was, now, top in zip(old, frame[label], frame[words], strict=True)
        ]
    return frame


def _still_fits(label: str, top_words: Sequence[str]) -> bool:
    """Whether more than half of a label's words are still among the top words."""
    words = label.split(" · ")
    return 2 * len(set(words) & set(top_words)) > len(words)
