"""Events as HTTP POST requests."""

import base64
import hashlib
import hmac
import http.client
import os
import ssl
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time
from urllib.parse import SplitResult, unquote, urljoin

from edge_runtime.deciding.observation import Event
from edge_runtime.errors import ConfigError
from edge_runtime.sinks.background import Backoff, NotDelivered, Refused
from edge_runtime.sinks.json_lines import strict_json
from edge_runtime.sinks.outbox import EventSink
from edge_runtime.sinks.settings import WebhookSettings, web_address

SECRET_VARIABLE = "LITELENS_WEBHOOK_SECRET"
SIGNATURE_HEADER = "X-Litelens-Signature"
MOST_REDIRECTS = 5
MOST_RETRY_AFTER_S = 3600.0
"""A receiver that asks to be left alone for longer is tried again after an hour all the same."""
# Of the refusals, these two say "not now": the receiver waited too long for us, or has too much to do.
_NOT_NOW = (http.client.REQUEST_TIMEOUT, http.client.TOO_MANY_REQUESTS)
_MOVED = (301, 302, 307, 308)


class Webhook(EventSink):
    """Posts each event, oldest first, until the receiver has confirmed it with a status of 200 to 299.

    What happens otherwise: no answer, 408, 429 and 500 to 599 are tried again, after 1 s doubling to 60 s or what
    Retry-After says; other refusals (400 to 499) are set aside in the outbox, reported, and tried once more by the
    next run. A redirect is followed on the same host alone.
    """

    def __init__(self, settings: WebhookSettings, outbox: Path):
        """Takes where to post, and the file that holds events until they are delivered."""
        super().__init__("webhook", outbox, settings.cap_bytes)
        self._address = web_address(settings.address)
        self._secret = (settings.secret or os.environ.get(SECRET_VARIABLE, "")).encode()
        self._timeout_s = settings.timeout_s

    def work(self) -> None:
        backoff = Backoff()
        while not self.done:
            events = self.outbox.oldest(1)
            if not events:
                # With events waiting that the disk does not give yet, another look is due soon.
                self.rest(0.05 if self.stopping else 1.0 if self.outbox.waiting else None)
                continue
            try:
                self._post(events[0])
            except NotDelivered as problem:
                self.error = str(problem)
                if self.stopping:
                    return
                self.pause(max(backoff.next_s(), problem.wait_s))
            except Refused as problem:
                self.outbox.refuse(events[0], str(problem))
                backoff.reset()
            else:
                self.outbox.delivered(events)
                self.delivered += 1
                self.error = ""
                backoff.reset()

    def _post(self, event: Event) -> None:
        body = strict_json(vars(event)).encode()
        address = self._address
        for _ in range(MOST_REDIRECTS):
            status, headers = self._request(address, body)
            if status not in _MOVED or "Location" not in headers:
                break
            address = _moved(address, headers["Location"])
        self._check(status, headers)

    def _request(self, address: SplitResult, body: bytes) -> tuple[int, http.client.HTTPMessage]:
        connection = self._connection(address)
        target = (address.path or "/") + (f"?{address.query}" if address.query else "")
        try:
            connection.request("POST", target, body, self._headers(body))
            answer = connection.getresponse()
            return answer.status, answer.headers
        # Also ssl.SSLError, and a host that has no address.
        except (OSError, http.client.HTTPException) as problem:
            reason = str(problem) or type(problem).__name__
            raise NotDelivered(f"{shown(address)}: {reason}") from problem
        finally:
            connection.close()

    def _connection(self, address: SplitResult) -> http.client.HTTPConnection:
        host, port = address.hostname, address.port
        if address.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=context)
        return http.client.HTTPConnection(host, port, timeout=self._timeout_s)

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "litelens", "Connection": "close"}
        if self._secret:
            headers[SIGNATURE_HEADER] = signature(body, self._secret)
        if self._address.username is not None:
            pair = f"{unquote(self._address.username)}:{unquote(self._address.password or '')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return headers

    def _check(self, status: int, headers: http.client.HTTPMessage) -> None:
        if 200 <= status < 300:
            return
        answer = f"{shown(self._address)} answered {status} {http.client.responses.get(status, '')}".rstrip()
        if 400 <= status < 500 and status not in _NOT_NOW:
            raise Refused(answer)
        raise NotDelivered(answer, retry_after_s(headers))


def signature(body: bytes, secret: bytes) -> str:
    """What `SIGNATURE_HEADER` holds: ``sha256=`` and the HMAC of the body in hexadecimal digits."""
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def _moved(address: SplitResult, location: str) -> SplitResult:
    """Where a redirect leads, if that is the same host and as safe."""
    try:
        moved = web_address(urljoin(address.geturl(), location))
    except (ValueError, ConfigError) as problem:
        raise NotDelivered(f"{shown(address)} redirects to no web address") from problem
    safe = moved.scheme in (address.scheme, "https")
    # Tried again, not refused: a hotel's login page redirects everything, and goes away.
    if moved.hostname != address.hostname or not safe:
        raise NotDelivered(
            f"{shown(address)} redirects to {shown(moved)}, which is not followed: name that address yourself"
        )
    return moved


def retry_after_s(headers: http.client.HTTPMessage) -> float:
    """Seconds that a receiver asks to be left alone, 0 to `MOST_RETRY_AFTER_S`; 0 where it says nothing or nonsense."""
    said = headers.get("Retry-After", "").strip()
    try:
        if said.isdecimal():
            seconds = float(said)
        else:
            # Against the receiver's own clock where it tells: ours may be wrong by years.
            now = parsedate_to_datetime(headers["Date"]).timestamp() if "Date" in headers else time()
            seconds = parsedate_to_datetime(said).timestamp() - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    return min(max(0.0, seconds), MOST_RETRY_AFTER_S)


def shown(address: SplitResult) -> str:
    """An address as messages show it: without user, password, path and query, which may be secrets."""
    host = f"[{address.hostname}]" if ":" in address.hostname else address.hostname
    return f"{address.scheme}://{host}" + (f":{address.port}" if address.port else "")
