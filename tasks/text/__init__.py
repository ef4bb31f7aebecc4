"""Text, before any model sees it: one form, its hash, its language, its words and its sentences; and without what is
personal."""

from tasks.text.language import detect_language, detect_languages
from tasks.text.normalise import normalise, text_hash
from tasks.text.redaction import find_personal, redact
from tasks.text.words import sentences, singular, tokenise

__all__ = [
    "detect_language",
    "detect_languages",
    "find_personal",
    "normalise",
    "redact",
    "sentences",
    "singular",
    "text_hash",
    "tokenise",
]
