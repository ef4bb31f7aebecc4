"""Links, mail addresses and mentions: recognised before anything touches punctuation."""

from __future__ import annotations

import re

LINK = re.compile(
    r"(?:https?|ftp)://[^\s<>\"'，。；！？、（）《》“”]+"
    r"|\bwww\.[^\s<>\"'，。；！？、（）《》“”]+"
    r"|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"
    r"|\b[a-z0-9-]{2,63}\.(?:com|org|net|edu|gov|co\.uk|cn|de|fr|io)\b(?:/[^\s<>\"'，。；！？、]*)?",
    re.I | re.A,
)
"""A link with or without its scheme, or a mail address."""

_HINT = re.compile(r"[.@]\w|://", re.A)


def drop_links(text: str) -> str:
    """`text` with a space in the place of each link and mail address."""
    return LINK.sub(" ", text) if _HINT.search(text) else text
