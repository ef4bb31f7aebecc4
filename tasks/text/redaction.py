"""Personal data in text: found by its form and, where it has one, by its checksum; a mark stands in its place.

Precision comes first, because what is taken for personal data is lost for good: a run of digits counts only where a
checksum, an official numbering plan or the words around it say what it is. Prices, dates, order and model numbers stay.
Numbering plans are those of the library `phonenumbers` (Google's libphonenumber), checksums those of `python-stdnum`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import phonenumbers
from stdnum import iban, luhn
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.cn import ric
from stdnum.in_ import aadhaar
from stdnum.kr import rrn
from stdnum.us import ssn

from tasks.text.links import LINK

Kind = Literal["email", "phone", "id", "card"]

HINT = r"[@＠]|[(\[](?:at|AT)[)\]]|(?:[0-9０-９][^0-9０-９A-Za-z]{0,2}){7}"
"""A pattern of RE2 and `re` alike that every text with personal data matches, and few others do."""
MARKS = {kind: f"[{kind}]" for kind in ("email", "phone", "id", "card")}

_HALF_WIDTH = {0xFF01 + n: 0x21 + n for n in range(94)} | {0x3000: 0x20, 0x2010: 0x2D, 0x2011: 0x2D, 0x2013: 0x2D}
"""Full-width forms and typographic hyphens to ASCII, character by character, so that places stay the same."""

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w.%+-]{1,64}(?:@| ?[(\[]at[)\]] ?)(?:[a-z0-9-]{1,63}(?:\.| ?[(\[]dot[)\]] ?)){1,4}[a-z]{2,24}"
    r"(?![a-z0-9-])",
    re.I | re.A,
)
_EDGE, _END = r"(?<![A-Za-z0-9_.,/#$€£¥￥])", r"(?![A-Za-z0-9_/]|[.,]\d|-\d)"
"""No number begins within a word, a price, a path or another number, and none ends there."""

_FORMS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    (r"[1-9]\d{5}(?:18|19|20)\d{9}[\dXx]", ric.is_valid),  # China: region, birthday, sequence, checksum
    (r"\d{3}-\d{2}-\d{4}", ssn.is_valid),  # USA: the form with hyphens, in the ranges that are given out
    (r"\d{6}-[1-8]\d{6}", rrn.is_valid),  # Korea: birthday, sequence, checksum
    (r"(?<!\d )[2-9]\d{3} \d{4} \d{4}(?! \d)", aadhaar.is_valid),  # India: Verhoeff checksum
    (r"\d{3}\.\d{3}\.\d{3}-\d{2}", cpf.is_valid),  # Brazil: two checksums
)
_IDS = tuple((re.compile(_EDGE + form + _END), valid) for form, valid in _FORMS)
_SIN = re.compile(_EDGE + r"\d{3}[ -]\d{3}[ -]\d{3}" + _END)
_SIN_CUE = re.compile(r"(?:\bSIN\b|social insurance)[^0-9]{0,20}$", re.I)

_ACCOUNT = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
_CARD = re.compile(_EDGE + r"\d(?:[ -]?\d){12,18}" + _END)
_CARD_GROUPS = re.compile(r"\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{1,3})?|\d{4}([ -])\d{6}\2\d{4,5}")
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:6011|64[4-9]\d|65\d{2})\d{12}"  # Discover
    r"|(?:62|81)\d{14,17}"  # UnionPay
    r"|35(?:2[89]|[3-8]\d)\d{12}"  # JCB
    r"|3(?:0[0-5]|[689]\d)\d{11}"  # Diners Club
)
"""Length and first digits of each issuer (ISO/IEC 7812), as the issuers publish them."""

_PHONE = re.compile(
    r"(?<![A-Za-z0-9_.,/#$€£¥￥-])(?:\+|00)?\(?\d(?:[ .()-]{0,2}\d){5,14}"
    + _END
    + r"(?!\s?(?:元|块|円|€|£|USD|RMB|usd))"
)
_DATE = re.compile(r"(?:19|20)\d{2}([ ./-])\d{1,2}\1\d{1,2}\b|\d{1,2}([./-])\d{1,2}\2(?:19|20)\d{2}\b")
_OTHER_NUMBER = re.compile(
    r"(?:order|invoice|tracking|serial|model|item|part|isbn|asin|sku|ean|upc|\bref"
    r"|订单|单号|运单|快递|发票|型号|货号|编号|编码|条码|序列|批次|版本)[\s\w]{0,12}?[^0-9A-Za-z]{0,4}$",
    re.I,
)
_CALLED = re.compile(
    r"(?:(?<!i)phone|mobile|\bcell|\btel|\bcall|\btext me|\bfax|whats ?app|signal|contact|reach|hotline"
    r"|电话|手机|座机|联系|致电|拨打|热线|微信|号码|短信|來電|電話|手機|聯繫)[^0-9\n]{0,20}$",
    re.I,
)
"""Words before a number that say what it is; where both kinds stand there, the last one counts."""
_MOBILE_CN = re.compile(r"1[3-9]\d(?:\d{8}|([ -])\d{4}\1\d{4})")
_LANDLINE_CN = re.compile(r"\(?0\d{2,3}\)?[ -]\d{7,8}|[48]00-\d{3}-?\d{4}|[48]00-\d{4}-\d{3}")
_NANP = re.compile(r"(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}([ .-]))\d{3}[ .-]\d{4}", re.A)
_LOOK_BACK = 40
"""Characters before a number in which its cue may stand."""


class Found(NamedTuple):
    """One piece of personal data in a text, by place; never by value."""

    start: int
    end: int
    kind: Kind


def redact(text: str) -> str:
    """`text` with `[email]`, `[phone]`, `[id]` or `[card]` in the place of personal data; twice is once."""
    return take_out(text)[0]


def take_out(text: str) -> tuple[str, int]:
    """The same, and how many pieces were taken out; again and again, because one piece may have hidden the next."""
    pieces = 0
    while found := find_personal(text):
        pieces += len(found)
        for one in reversed(found):
            text = text[: one.start] + MARKS[one.kind] + text[one.end :]
    return text, pieces


def find_personal(text: str) -> list[Found]:
    """The personal data in `text`, in order and without overlaps: mail addresses, telephone numbers (China,
    North America, and international ones), national ids (China, USA, Canada, India, Korea, Brazil), bank cards of
    the large issuers and IBANs; the last two are of kind `card`.

    Full-width digits count as digits. Digits within a link are no personal data.
    """
    if not _hinted(text):
        return []
    plain = text.translate(_HALF_WIDTH) if not text.isascii() else text
    taken = [match.span() for match in LINK.finditer(plain) if "@" not in match.group()]
    found: list[Found] = []
    for one in (*_emails(plain), *_cards(plain), *_ids(plain), *_phones(plain)):
        if all(one.end <= start or end <= one.start for start, end in taken):
            taken.append((one.start, one.end))
            found.append(one)
    return sorted(found)


_hinted: Callable[[str], object] = re.compile(HINT).search


def _emails(text: str) -> Iterator[Found]:
    return (Found(*match.span(), "email") for match in _EMAIL.finditer(text))


def _ids(text: str) -> Iterator[Found]:
    for form, valid in _IDS:
        yield from (Found(*match.span(), "id") for match in form.finditer(text) if valid(match.group()))
    for match in _SIN.finditer(text):
        if sin.is_valid(match.group()) and _SIN_CUE.search(_before(text, match.start())):
            yield Found(*match.span(), "id")


def _cards(text: str) -> Iterator[Found]:
    for match in _ACCOUNT.finditer(text):
        # words in capitals may follow: the longest beginning whose checksum holds
        for end in range(match.end(), match.start() + 14, -1):
            if text[end - 1] != " " and not text[end : end + 1].isalnum() and iban.is_valid(text[match.start() : end]):
                yield Found(match.start(), end, "card")
                break
    for match in _CARD.finditer(text):
        digits = re.sub(r"[ -]", "", match.group())
        sound = _CARD_GROUPS.fullmatch(match.group()) and _ISSUERS.fullmatch(digits) and luhn.is_valid(digits)
        if sound and not _OTHER_NUMBER.search(_before(text, match.start())):
            yield Found(*match.span(), "card")


def _phones(text: str) -> Iterator[Found]:
    for match in _PHONE.finditer(text):
        number, before = match.group(), _before(text, match.start())
        other, called = _OTHER_NUMBER.search(before), _CALLED.search(before)
        if _DATE.match(number) or (other and not (called and called.start() > other.start())):
            continue
        if _is_phone(number, called=called is not None):
            yield Found(*match.span(), "phone")


def _is_phone(number: str, *, called: bool) -> bool:
    """Whether a number is one of a plan in the form that is used for it, or of a plan after a word that says so."""
    if number.startswith(("+", "00")):
        return _valid("+" + number.lstrip("+0(") if number.startswith("00") else number, None)
    if _MOBILE_CN.fullmatch(number) or _LANDLINE_CN.fullmatch(number):
        return _valid(number, "CN")
    if _NANP.fullmatch(number):
        return _valid(number, "US")
    if not called:
        return False
    local = re.fullmatch(r"[2-9]\d{6,7}|[2-9]\d{2,3}-\d{4}", number) is not None  # without its area code
    return local or any(_valid(number, region) for region in ("CN", "US", "GB"))


def _valid(number: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


def _before(text: str, start: int) -> str:
    return text[max(0, start - _LOOK_BACK) : start]
