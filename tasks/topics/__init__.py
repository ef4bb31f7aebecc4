"""Topics: LDA over English and Chinese text, identity across refreshes, labels and coherence."""

from tasks.topics.description import describe_topics, topic_coherence
from tasks.topics.identity import StableTopics, TopicMatch, match_topics, stable_topics, topic_distances
from tasks.topics.model import TopicModel, fit_topics
from tasks.topics.pooling import item_tokens, pooled_documents

__all__ = [
    "StableTopics",
    "TopicMatch",
    "TopicModel",
    "describe_topics",
    "fit_topics",
    "item_tokens",
    "match_topics",
    "pooled_documents",
    "stable_topics",
    "topic_coherence",
    "topic_distances",
]
