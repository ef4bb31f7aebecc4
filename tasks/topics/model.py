"""A topic model: fitted by gensim's LDA, kept as plain arrays, the same answer for the same text for ever."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file
from scipy import sparse

from tasks.errors import ModelError, NotEnoughData
from tasks.topics.lda import Progress, SparseLda, exp_expected_log, infer_gamma
from tasks.topics.start import spectral_start
from tasks.topics.vocabulary import Vocabulary, build_vocabulary, document_frequency

ETA = 0.01
"""Prior weight of a word in a topic; small, so that a topic is few words (Griffiths and Steyvers, 2004, use 0.1 for
long abstracts and smaller values for finer topics)."""
CHUNK, OFFSET, DECAY = 512, 64.0, 0.5
"""Documents per M-step (at most half of them), and τ₀ and κ of Hoffman et al. (2010), whose best τ₀ for small steps was
64. gensim's defaults (2,000, 1, 0.5) let the first chunk overturn any start and then take too few steps."""
INFER_ROWS = 2_000
FORMAT = 1
_ARRAYS, _FACTS = "topics.safetensors", "topics.json"


@dataclass(frozen=True, eq=False)
class TopicModel:
    """Topics over one vocabulary. Column j of every topic mix belongs to `topic_ids[j]`, which rises with j.

    A topic id is given once: a topic that dies takes its id with it (`tasks.topics.identity`).
    """

    vocabulary: Vocabulary
    weights: np.ndarray
    """λ (k, v): expected count of each word in each topic, prior included; float32."""
    alpha: np.ndarray
    """Prior weight of each topic in a text (k,), learned; float32."""
    topic_ids: tuple[int, ...]
    next_id: int
    """The id that the next topic to be born will get."""
    documents_seen: int

    @property
    def n_topics(self) -> int:
        """Number of topics k."""
        return len(self.topic_ids)

    @property
    def word_shares(self) -> np.ndarray:
        """Probability of each word in each topic (k, v); rows sum to 1."""
        result: np.ndarray = self.weights / self.weights.sum(axis=1, keepdims=True)
        return result

    def infer(self, documents: Sequence[Sequence[str]]) -> np.ndarray:
        """Topic mix (n, k) of token lists, float32, each row summing to 1; works in chunks of 2,000.

        A document without one known word gets the learned prior α / Σα: what a text is about before it is read.
        """
        words = np.ascontiguousarray(exp_expected_log(self.weights).T)
        mixes = [np.empty((0, self.n_topics), dtype=np.float32)]
        for start in range(0, len(documents), INFER_ROWS):
            counts = self.vocabulary.counts(documents[start : start + INFER_ROWS])
            gamma = infer_gamma(counts, words, self.alpha)
            mixes.append(gamma / gamma.sum(axis=1, keepdims=True))
        return np.concatenate(mixes).astype(np.float32, copy=False)

    def topic_words(self, language: str, count: int = 10, relevance: float = 0.6) -> list[list[str]]:
        """The `count` most telling words of each topic in one language, best first; may be fewer.

        Ranked by relevance λ log p(w|t) + (1 − λ) log p(w|t)/p(w) with λ = 0.6 (Sievert and Shirley: LDAvis, 2014).
        Words that the topic is not expected to hold even once are left out.
        """
        columns = np.flatnonzero(self.vocabulary.languages == language)
        if not len(columns):
            return [[] for _ in self.topic_ids]
        shares, overall = self.word_shares[:, columns], self.weights.sum(axis=0)[columns] / self.weights.sum()
        score = np.log(shares) - (1 - relevance) * np.log(overall)
        score[self.weights[:, columns] < 1] = -np.inf
        best = np.argsort(-score, axis=1, kind="stable")[:, :count]
        return [
            [self.vocabulary.words[columns[w]] for w in row if np.isfinite(score[topic, w])]
            for topic, row in enumerate(best)
        ]

    def update(
        self,
        documents: Sequence[Sequence[str]],
        *,
        seed: int,
        passes: int = 1,
        no_below: int = 3,
        progress: Progress | None = None,
    ) -> TopicModel:
        """This model taught new documents; ids stay, and words in `no_below` of the documents join the vocabulary."""
        known = self.vocabulary.column
        fresh = [w for w, n in document_frequency(documents).items() if n >= no_below and w not in known]
        vocabulary = self.vocabulary.grown(fresh)
        counts = _shuffled(vocabulary.counts(documents), seed)
        if not counts.shape[0]:
            return self
        statistics = np.pad(
            self.weights - np.float32(ETA), ((0, 0), (0, len(vocabulary.words) - self.weights.shape[1]))
        )
        engine = _engine(counts, self.alpha, seed)
        engine.start_from(np.maximum(statistics, 0), documents=self.documents_seen, steps_of=self.documents_seen)
        engine.learn(counts, passes=passes, progress=progress)
        seen = self.documents_seen + counts.shape[0]
        weights, alpha = engine.state.get_lambda(), engine.alpha
        return replace(self, vocabulary=vocabulary, weights=weights, alpha=alpha, documents_seen=seen)

    def save(self, folder: Path) -> None:
        """Write the model to `folder`: safetensors and JSON, nothing that runs when it is read."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {"weights": self.weights, "alpha": self.alpha}
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / _ARRAYS)
        facts = {
            "format": FORMAT, "topic_ids": self.topic_ids, "next_id": self.next_id,
            "documents_seen": self.documents_seen, "words": self.vocabulary.words,
        }  # fmt: skip
        (folder / _FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=0))

    @classmethod
    def load(cls, folder: Path) -> TopicModel:
        """The model that `save` wrote; raises `ModelError` where the folder is missing, damaged or foreign."""
        try:
            facts, arrays = json.loads((folder / _FACTS).read_text()), load_file(folder / _ARRAYS)
            model = cls(
                Vocabulary(tuple(facts["words"])), arrays["weights"], arrays["alpha"], tuple(facts["topic_ids"]),
                int(facts["next_id"]), int(facts["documents_seen"]),
            )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            raise ModelError(f"{folder} holds no topic model ({type(error).__name__}); fit topics again") from error
        expected = (len(model.topic_ids), len(model.vocabulary.words))
        if facts.get("format") != FORMAT or model.weights.shape != expected or model.alpha.shape != expected[:1]:
            raise ModelError(f"{folder}: the parts of the topic model do not fit each other; fit topics again")
        return model


def fit_topics(
    documents: Sequence[Sequence[str]],
    *,
    n_topics: int,
    passes: int,
    seed: int,
    no_below: int = 5,
    no_above: float = 0.4,
    progress: Progress | None = None,
) -> TopicModel:
    """Fit at most `n_topics` topics on token lists (see `pooled_documents`), with the prior of each topic learned.

    Topics nearer to each other than `tasks.topics.distance.SAME` are merged and learning goes on for half as many
    passes: asked for more topics than there are themes, LDA splits themes at random, and halves of a theme would
    change places from refresh to refresh.
    Words in fewer than `no_below` documents or in more than the share `no_above` of them are left out. Learning starts
    from a factorisation of the text instead of random topics, and the same documents and seed give the same model.
    `progress` is called with 1 after each of the `passes`.
    Raises `NotEnoughData` where there are fewer documents than topics or no word is left.
    """
    vocabulary = build_vocabulary(documents, no_below=no_below, no_above=no_above)
    counts = _shuffled(vocabulary.counts(documents), seed)
    if counts.shape[0] < n_topics or len(vocabulary.words) < n_topics:
        raise NotEnoughData(
            f"topics: {counts.shape[0]} documents with {len(vocabulary.words)} usable words do not make {n_topics} "
            f"topics; bring at least {n_topics} documents that share words, or ask for fewer topics"
        )
    start = spectral_start(counts, n_topics, seed)
    k = len(start)
    engine = _engine(counts, np.full(k, 1 / k, dtype=np.float32), seed)
    engine.start_from(start)
    engine.learn(counts, passes=passes, progress=progress)
    return TopicModel(vocabulary, engine.state.get_lambda(), engine.alpha, tuple(range(k)), k, counts.shape[0])


def _engine(counts: sparse.csr_matrix, alpha: np.ndarray, seed: int) -> SparseLda:
    """gensim's learner with our settings for counts (n, v), the prior of topics being learned from `alpha` on."""
    engine = SparseLda(
        counts.shape[1],
        num_topics=len(alpha),
        alpha="auto",
        eta=ETA,
        chunksize=max(1, min(CHUNK, counts.shape[0] // 2)),
        offset=OFFSET,
        decay=DECAY,
        random_state=seed,
    )
    engine.alpha = alpha.astype(np.float32)
    return engine


def _shuffled(counts: sparse.csr_matrix, seed: int) -> sparse.csr_matrix:
    """Documents that have a known word, in random order: online learning wants every chunk to look like the whole."""
    filled = np.flatnonzero(np.diff(counts.indptr))
    return counts[np.random.default_rng(seed).permutation(filled)]
