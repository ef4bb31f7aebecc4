"""Where alerts go: mail by SMTP, webhooks that understand Slack's `{"text": …}`, and every address Apprise knows.

Addresses hold secrets. They are never shown: an error here has no cause attached and no words of a server or a library
in it, and a target is named by its scheme and host, or by its scheme alone where the host is a secret too.
"""

from __future__ import annotations

import json
import logging
import smtplib
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit, urlunsplit

from tasks.alerts.wording import Message
from tasks.errors import DeliveryError

SMTP_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True)
class Target:
    """One place that alerts go to; for mail, one recipient, so that each is written to once."""

    address: str = field(repr=False)

    @property
    def label(self) -> str:
        """What may be shown of the address."""
        scheme = self.address.partition(":")[0].lower()
        if scheme not in ("smtp", "smtps", "http", "https"):
            return scheme if scheme.isalnum() else "unreadable address"
        try:
            return f"{scheme} {urlsplit(self.address).hostname or ''}".strip()
        except ValueError:
            return scheme

    def send(self, message: Message, *, timeout: float) -> None:
        """Hand the message over; `timeout` bounds each wait, in seconds. Raises `DeliveryError` where that fails."""
        scheme = self.address.partition(":")[0].lower()
        carry = {"smtp": _mail, "smtps": _mail, "http": _webhook, "https": _webhook}.get(scheme, _apprise)
        try:
            carry(self.address, message, timeout)
        except DeliveryError:
            raise
        except Exception as error:  # whatever a library raises may quote the address
            code = getattr(error, "smtp_code", None)
            raise DeliveryError(type(error).__name__ + (f" {code}" if code else "")) from None


def read_targets(text: str) -> list[Target]:
    """The targets in a list of addresses between white space, each once."""
    return [Target(one) for one in dict.fromkeys(one for address in text.split() for one in _recipients(address))]


def deliver(messages: Mapping[Target, Message], *, timeout: float) -> dict[Target, str]:
    """Send to every target side by side; gives what went wrong with each, empty where nothing did.

    After `timeout` seconds a target that still has not answered is given up: its thread is left behind, and dies with
    the process.
    """
    wrong = dict.fromkeys(messages, f"no answer within {timeout:g} s")

    def carry(target: Target, message: Message) -> None:
        try:
            target.send(message, timeout=timeout)
            wrong[target] = ""
        except DeliveryError as error:
            wrong[target] = str(error)

    threads = [threading.Thread(target=carry, args=pair, daemon=True) for pair in messages.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + timeout
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(wrong)


def _recipients(address: str) -> list[str]:
    """A mail address for each recipient that it names; any other address as it is."""
    if not address.lower().startswith(("smtp://", "smtps://")):
        return [address]
    try:
        parts = urlsplit(address)
    except ValueError:
        return [address]
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    people = [person for person in query.pop("to", "").split(",") if person] or [""]
    return [urlunsplit(parts._replace(query=urlencode({**query, "to": person}))) for person in people]


def _mail(address: str, message: Message, timeout: float) -> None:
    """`smtp://user:password@host:587/?from=…&to=…&tls=required|none`; `smtps://` where TLS comes first."""
    parts = urlsplit(address)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if not (parts.hostname and query.get("from") and query.get("to")):
        raise DeliveryError("the address names no host, sender or recipient: smtp://host:587/?from=…&to=…")
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = message.title, query["from"], query["to"]
    # The same each time: a mail server or reader that knows it already shows it once.
    mail["Message-ID"] = f"<{message.key}@penchant.invalid>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    secure, where = ssl.create_default_context(), (parts.hostname, parts.port or SMTP_PORTS[parts.scheme])
    first: dict[str, Any] = {"timeout": timeout, "local_hostname": socket.gethostname()}
    with (
        smtplib.SMTP_SSL(*where, context=secure, **first) if parts.scheme == "smtps" else smtplib.SMTP(*where, **first)
    ) as server:
        if parts.scheme == "smtp" and query.get("tls") != "none":
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=secure)
            elif parts.username or query.get("tls") == "required":
                raise DeliveryError("the server offers no TLS; a password is not sent without it (tls=none sends it)")
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        server.send_message(mail)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An alert is not carried on to an address that nobody configured."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _webhook(address: str, message: Message, timeout: float) -> None:
    """POST `{"text": …}`, as Slack, Mattermost, Rocket.Chat and Discord's `/slack` addresses take it.

    The standard library's client is used because it logs nothing: others log the address, which is the secret.
    """
    headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": message.key}
    body = json.dumps({"text": message.slack}, ensure_ascii=False).encode()
    request = urllib.request.Request(quote(address, safe=":/?#[]@!$&'()*+,;=%~"), body, headers, method="POST")
    try:
        urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout).close()
    except HTTPError as error:
        error.close()
        raise DeliveryError(f"HTTP {error.code}") from None


def _apprise(address: str, message: Message, timeout: float) -> None:
    """Any address of https://github.com/caronc/apprise/wiki, such as `discord://`, `tgram://`, `mailtos://`."""
    for name in ("apprise", "urllib3"):  # what they log about a request holds its address
        logging.getLogger(name).setLevel(logging.CRITICAL)
    import apprise

    service = apprise.Apprise.instantiate(address, suppress_exceptions=True)
    if service is None:
        raise DeliveryError("Apprise does not understand the address; see its wiki for the form of this service's")
    service.socket_connect_timeout = service.socket_read_timeout = timeout
    if not service.notify(title=message.title, body=message.text, body_format=apprise.NotifyFormat.TEXT):
        raise DeliveryError("the service did not take it; try the address with Apprise's own command line")
