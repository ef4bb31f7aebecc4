"""Interests: what users and items are about, how users write and feel, and how their interest moves."""

from tasks.interests.items import item_content, item_texts
from tasks.interests.sentiment import SentimentModel, fit_sentiment
from tasks.interests.style import AXES, style_axes
from tasks.interests.users import user_activity, user_keywords, user_sentiment, user_style, user_topics
from tasks.interests.vectors import user_evolution, user_vectors

__all__ = [
    "AXES",
    "SentimentModel",
    "fit_sentiment",
    "item_content",
    "item_texts",
    "style_axes",
    "user_activity",
    "user_evolution",
    "user_keywords",
    "user_sentiment",
    "user_style",
    "user_topics",
    "user_vectors",
]
