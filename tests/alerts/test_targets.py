"""Targets take alerts over real servers; what goes wrong is told without a secret."""

from __future__ import annotations

import logging
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from tasks.alerts import Message, Target, deliver, read_targets
from tasks.errors import DeliveryError
from tests.alerts.servers import LOOPBACK, certificate, free_port, hanging, only, smtp, webhook

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")  # the test server's own worry
SECRET = "s3cr3t-w0rd"
MESSAGE = Message("0a1b", "[Penchant] p failed", "plain words — 数", "*slack* words — 数", "<p>html words</p>")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def send(address: str, seconds: float = 5) -> str:
    """What went wrong with one address; it names one target."""
    (target,) = read_targets(address)
    return deliver({target: MESSAGE}, timeout=seconds)[target]


def mail(port: int, more: str = "", user: str = "", scheme: str = "smtp") -> str:
    return f"{scheme}://{user}{LOOPBACK}:{port}/?from=penchant@example.org&to=ops@example.org{more}"


def test_a_webhook_gets_slack_s_json_and_a_key_that_stays_the_same() -> None:
    with webhook() as hooked:
        assert [send(hooked.address()), send(hooked.address())] == ["", ""]
    (path, headers, body), (_, again, _) = hooked.posts
    assert path == "/services/T0/B0/secret"
    assert body == {"text": "*slack* words — 数"}
    assert headers["Idempotency-Key"] == again["Idempotency-Key"] == "0a1b"


@pytest.mark.parametrize("answer", [302, 307, 404, 500])
def test_a_webhook_that_does_not_take_it_is_an_error_and_a_redirect_is_not_followed(answer: int) -> None:
    with webhook() as hooked:
        hooked.answer = answer
        assert send(hooked.address()) == f"HTTP {answer}"
    assert len(hooked.posts) == 1


def test_mail_comes_in_both_forms_with_an_id_that_stays_the_same() -> None:
    with smtp() as postbox:
        assert [send(mail(postbox.port)), send(mail(postbox.port))] == ["", ""]
    first, second = postbox.mails
    assert (first["Subject"], first["From"], first["To"]) == (MESSAGE.title, "penchant@example.org", "ops@example.org")
    assert first["Message-ID"] == second["Message-ID"] == "<0a1b@penchant.invalid>"
    parts = {part.get_content_type(): part.get_content().strip() for part in first.iter_parts()}
    assert parts == {"text/plain": "plain words — 数", "text/html": "<p>html words</p>"}


def test_each_recipient_is_a_target_of_its_own() -> None:
    address = f"smtp://{LOOPBACK}:2525/?from=a@example.org&to=b@example.org,c@example.org"
    targets = read_targets(f"{address}\n  https://hooks.example.org/1 https://hooks.example.org/1")
    assert len(targets) == 3
    assert [t.label for t in targets] == [f"smtp {LOOPBACK}"] * 2 + ["https hooks.example.org"]


def test_a_password_is_used_but_not_over_a_plain_connection_unless_asked() -> None:
    with smtp(**only(b"penchant", SECRET.encode())) as postbox:
        assert "TLS" in send(mail(postbox.port, user=f"penchant:{SECRET}@"))
        assert send(mail(postbox.port, "&tls=none", f"penchant:{SECRET}@")) == ""
        assert send(mail(postbox.port, "&tls=none", "penchant:wrong@")) == "SMTPAuthenticationError 535"
        assert "TLS" in send(mail(postbox.port, "&tls=required"))
    assert len(postbox.mails) == 1


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_mail_is_ciphered_and_an_unknown_certificate_is_refused(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = certificate(tmp_path)
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(pem)
    way = {"tls_context": secure, "require_starttls": True} if scheme == "smtp" else {"ssl_context": secure}
    users = {**only(b"penchant", SECRET.encode()), "auth_require_tls": scheme == "smtp"}
    with smtp(**way, **users) as postbox:
        address = mail(postbox.port, user=f"penchant:{SECRET}@", scheme=scheme).replace(LOOPBACK, "localhost")
        assert send(address) == "SSLCertVerificationError"
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        assert send(address) == ""
    assert len(postbox.mails) == 1


def test_an_apprise_address_is_understood() -> None:
    with webhook() as hooked:
        assert send(f"json://{LOOPBACK}:{hooked.port}/hook/{SECRET}") == ""
    assert hooked.posts[0][2]["title"] == MESSAGE.title
    assert hooked.posts[0][2]["message"] == MESSAGE.text


def test_a_target_that_hangs_is_given_up_in_time_and_holds_up_no_other() -> None:
    with hanging() as port, webhook() as hooked:
        (slow,) = read_targets(f"http://{LOOPBACK}:{port}/{SECRET}")
        (mute,) = read_targets(mail(port))
        (foreign,) = read_targets(f"json://{LOOPBACK}:{port}/{SECRET}")
        (good,) = read_targets(hooked.address())
        began = time.monotonic()
        wrong = deliver(dict.fromkeys((slow, mute, foreign, good), MESSAGE), timeout=1)
        assert time.monotonic() - began < 2.5
    assert wrong[good] == ""
    assert all(wrong[target] for target in (slow, mute, foreign))


DEAD = {
    "refused webhook": lambda: f"http://{LOOPBACK}:{free_port()}/{SECRET}",
    "refused mail": lambda: mail(free_port(), user=f"penchant:{SECRET}@"),
    "refused Apprise": lambda: f"json://u:{SECRET}@{LOOPBACK}:{free_port()}/{SECRET}",
    "unknown host": lambda: f"https://hooks.invalid/{SECRET}",
    "mail to nobody": lambda: f"smtp://penchant:{SECRET}@{LOOPBACK}/",
    "unknown scheme": lambda: f"nowhere://{SECRET}",
    "no address": lambda: SECRET,
    "a broken bracket": lambda: f"smtp://[{SECRET}",
    "a port that is none": lambda: f"https://{LOOPBACK}:{SECRET}/x",
    "a control character": lambda: f"https://{LOOPBACK}:1/\x7f{SECRET}",
    "an unknown token": lambda: f"slack://{SECRET}/x",
}


@pytest.mark.parametrize("kind", DEAD)
def test_nothing_secret_stands_in_an_error_a_log_or_a_name(
    kind: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    (target,) = read_targets(DEAD[kind]())
    with pytest.raises(DeliveryError) as wrong:
        target.send(MESSAGE, timeout=2)
    assert wrong.value.__suppress_context__ or wrong.value.__context__ is None
    out, err = capfd.readouterr()
    for said in (str(wrong.value), target.label, repr(target), caplog.text, out, err):
        assert SECRET not in said


def test_nothing_secret_is_logged_when_all_goes_well(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with webhook() as hooked, smtp(**only(b"penchant", SECRET.encode())) as postbox:
        addresses: list[Any] = [
            hooked.address(SECRET),
            mail(postbox.port, "&tls=none", f"penchant:{SECRET}@"),
            f"json://{LOOPBACK}:{hooked.port}/{SECRET}",
        ]
        assert [send(address) for address in addresses] == ["", "", ""]
    assert SECRET not in caplog.text


def test_a_label_shows_no_more_than_scheme_and_host() -> None:
    assert Target(f"https://u:{SECRET}@hooks.example.org:99/{SECRET}?t={SECRET}").label == "https hooks.example.org"
    assert Target(f"discord://{SECRET}/{SECRET}").label == "discord"
