"""Personal data is found in both languages, and what only looks like it stays."""

from __future__ import annotations

import re
from itertools import pairwise

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from stdnum import luhn

from tasks.text import find_personal, redact
from tasks.text.redaction import HINT, take_out

PERSONAL = {
    "Mail me at ada.lovelace+shop@example.org, please.": "Mail me at [email], please.",
    "bob (at) example [dot] com": "[email]",
    "有问题写信到xiaoming_88@example.com.cn谢谢": "有问题写信到[email]谢谢",
    "邮箱ａｄａ＠ｅｘａｍｐｌｅ．ｏｒｇ": "邮箱[email]",
    "我的电话是13812345678，请联系": "我的电话是[phone]，请联系",
    "手机：１３８１２３４５６７８。": "手机：[phone]。",
    "138-1234-5678 or 139 8765 4321": "[phone] or [phone]",
    "座机010-62345678": "座机[phone]",
    "客服 400-820-8820": "客服 [phone]",
    "+86 138 1234 5678": "[phone]",
    "Call (415) 555-2671 now": "Call [phone] now",
    "212.555.1234": "[phone]",
    "London: +44 20 7946 0958": "London: [phone]",
    "电话 88886666": "电话 [phone]",
    "身份证11010519491231002X。": "身份证[id]。",
    "my ssn is 536-90-4399.": "my ssn is [id].",
    "SIN: 123-456-782": "SIN: [id]",
    "aadhaar 2341 2341 2346": "aadhaar [id]",
    "CPF 529.982.247-25": "CPF [id]",
    "paid with 4111 1111 1111 1111, ok": "paid with [card], ok",
    "卡号6217000010000000003": "卡号[card]",
    "amex 3782-822463-10005": "amex [card]",
    "IBAN GB82 WEST 1234 5698 7654 32 THANKS": "IBAN [card] THANKS",
    "DE89370400440532013000": "[card]",
}
PLAIN = [
    "It cost $1,299.00, or 12999.00 USD; 199元, 1299999块.",
    "paid $4111111111111111",  # a price, whatever its checksum
    "order 13812345678, invoice no. 13812345678",
    "订单号13812345678，快递单号 6217000010000000003",
    "Model SM-G9730, part 010-62345678, ISBN 9787111128069, EAN 4006381333931",
    "型号 138-1234-5678",
    "2026-01-05 08:00:00, 2024.01.05, 31/12/2025, 2023年12月25日",
    "1234567890 steps, 10000000 rows, 3.14159265358979",
    "4111111111111112",  # the checksum is wrong
    "11010519491231002 and 110105194912310021",  # too short; wrong checksum
    "000-12-3456 and 666-12-3456",  # numbers that were never given out
    "123-456-782",  # a sound checksum that nothing calls an insurance number
    "rated 5/5 in 2019 2020 2021, 4.5 of 5, 8 out of 10",
    "192.168.100.200 and 10.0.19041.1237",
    "https://shop.example.com/item/13812345678?card=4111111111111111",
    "iPhone 12 256 128 64 3000, sizes 38 40 42 44 46 48",
    "5 4 3 2 1 0 stars, 1920x1080, 3840x2160",
    "a @ b, @ada, user@localhost, 50 @ 3.99",
    "我打了10分，用了365天，充电5000毫安，屏幕1920×1080",
]


@pytest.mark.parametrize("text", PERSONAL)
def test_personal_data_gives_way_to_a_mark(text: str) -> None:
    assert redact(text) == PERSONAL[text]
    assert re.search(HINT, text)


@pytest.mark.parametrize("text", PLAIN)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("region", ["US", "GB", "CN", "DE", "IN", "BR"])
def test_international_numbers_of_the_library_are_found(region: str) -> None:
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    assert redact(f"Ask at {written} please") == "Ask at [phone] please"


ISSUERS = ["4", "51", "37", "6011", "62", "3530"]


@given(st.sampled_from(ISSUERS), st.integers(0, 10**15), st.sampled_from(["", " ", "-"]))
def test_cards_of_any_issuer_are_found_and_a_wrong_checksum_is_none(prefix: str, number: int, gap: str) -> None:
    body = (prefix + f"{number:015d}")[: 14 if prefix == "37" else 15]
    digit = luhn.calc_check_digit(body)
    sound, wrong = body + digit, body + str((int(digit) + 1) % 10)
    widths = (4, 6, 5) if prefix == "37" else (4, 4, 4, 4)
    ends = [sum(widths[: n + 1]) for n in range(len(widths))]
    write = lambda digits: gap.join(digits[e - w : e] for e, w in zip(ends, widths, strict=True))  # noqa: E731
    assert redact(f"paid by {write(sound)} today") == "paid by [card] today"
    assert "[card]" not in redact(f"paid by {write(wrong)} today")


PIECES = st.sampled_from([*PERSONAL, *PLAIN, "@", "1", "138", " ", "-", "(", ")", "+", "[", "call", "电话", "４", "\n"])


@given(st.lists(PIECES | st.text(max_size=6), max_size=8).map("".join))
@example("0" * 5_000)
@example("a@" * 2_000)
@example("(1 " * 2_000)
def test_twice_is_once_and_only_hinted_texts_hold_any(text: str) -> None:
    once, pieces = take_out(text)
    assert redact(once) == once
    found = find_personal(text)
    assert pieces >= len(found)
    assert not found or re.search(HINT, text)
    assert all(a.end <= b.start for a, b in pairwise(found))
