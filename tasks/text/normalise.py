"""Text as people wrote it, brought to one form: the same words give the same characters, and stay readable.

The order of the steps matters. What cannot be seen goes first, because it hides markup (`<b\u200br>`); tags go before
entities are resolved, because `a &lt; b` is not markup; and the whole is repeated until nothing changes, because text
that passed through several systems was escaped several times. Punctuation is never touched, so links stay whole.
"""

from __future__ import annotations

import hashlib
import html
import html.entities
import re
import unicodedata

_LINE_END = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control characters, zero-width and bidirectional marks, tags, and halves of surrogate pairs."""

_BLOCK = (
    "address article aside blockquote br center dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 "
    "header hr li main nav ol option p pre section select table tbody td tfoot th thead title tr ul"
)
_INLINE = (
    "a abbr acronym audio b big body button cite code del dfn em embed font head html i iframe img input ins kbd label "
    "link mark meta nobr noscript object param picture q s samp small source span strike strong sub sup svg time tt u "
    "var video wbr"
)
_HIDDEN = tuple(
    (re.compile(f"{opening}.*?{closing}", re.I | re.S), re.compile(closing, re.I))
    for opening, closing in (
        ("<!--", "-->"),
        (r"<script\b[^<>]*>", r"</script\s*>"),
        (r"<style\b[^<>]*>", r"</style\s*>"),
    )
)
_REST = r"(?:\s[^<>=]*=[^<>]*|\s*/?)>"
"""After its name a tag has attributes or nothing: in `a <b and c> d` there is no tag."""
_BLOCK_TAG = re.compile(rf"</?(?:{_BLOCK.replace(' ', '|')}){_REST}", re.I)
_INLINE_TAG = re.compile(rf"</?(?:{_INLINE.replace(' ', '|')}|script|style){_REST}", re.I)
_AMPERSAND = re.compile(r"&(?:amp;|#0*38;|#[xX]0*26;)+")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_MARKUP = re.compile("[<&]")

_SPACES = re.compile(r"[^\S\n]+")
_BREAKS = re.compile(r" ?\n[ \n]*")
_UNEVEN = re.compile(r"[^\S ]|  |^ | $")
_ROUNDS = 8
"""Times that markup may be wrapped in markup; no honest text needs more, and a hostile one must not cost more."""


def normalise(text: str) -> str:
    """`text` in Unicode NFC, without markup, entities, control and zero-width characters, and with single spaces.

    Tags that break a line become one line break; every other run of white space becomes one space. Names of tags and
    entities that HTML does not know (`<3`, `AT&T`, `<you@example.org>`) stay. Applying it twice is applying it once.
    """
    plain = _seen(text)
    for _ in range(_ROUNDS):
        if not _MARKUP.search(plain):
            return plain
        before, plain = plain, _seen(_unescape(_strip_tags(plain)))
        if plain == before:
            return plain
    return _seen(_MARKUP.sub(" ", plain))


def text_hash(normalised: str) -> str:
    """128-bit BLAKE2b of the text in UTF-8, as 32 hexadecimal digits."""
    return hashlib.blake2b(normalised.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _seen(text: str) -> str:
    """The text without what cannot be seen, composed, with white space folded."""
    if not (text.isascii() and text.isprintable()):
        text = unicodedata.normalize("NFC", _UNSEEN.sub("", _LINE_END.sub("\n", text)))
    if _UNEVEN.search(text):
        text = _BREAKS.sub("\n", _SPACES.sub(" ", text)).strip()
    return text


def _strip_tags(text: str) -> str:
    if "<" not in text:
        return text
    for hidden, closing in _HIDDEN:
        end = max((match.end() for match in closing.finditer(text)), default=0)
        # only as far as the last closing mark, so that openings without one cost no search to the end of the text
        text = hidden.sub(" ", text[:end]) + text[end:]
    return _INLINE_TAG.sub("", _BLOCK_TAG.sub("\n", text))


def _unescape(text: str) -> str:
    return _ENTITY.sub(_resolve, _AMPERSAND.sub("&", text)) if "&" in text else text


def _resolve(match: re.Match[str]) -> str:
    entity = match.group()
    known = entity[1] == "#" or entity[1:] in html.entities.html5
    return html.unescape(entity) if known else entity
