"""Files over HTTP, bounded in length and in time: what the server promises is not believed.

Speaks to one host, asks for no compression, keeps no cookie and says nothing of the device.
"""

import http.client
import signal
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO
from urllib.parse import SplitResult, urljoin, urlsplit

from edge_runtime.store.history import printable
from edge_runtime.updating.errors import NotReached, RepositoryRefused, UpdateError

MOST_METADATA_BYTES = 1024 * 1024
"""A million bytes of JSON take some ten million of memory; a real repository's metadata have a few thousand."""
MOST_REDIRECTS = 3
HEADERS = {"User-Agent": "litelens", "Accept-Encoding": "identity"}
"""All that is sent besides the path, Host and Connection."""
_CHUNK_BYTES = 64 * 1024
_MOVED = (301, 302, 303, 307, 308)
_ABSENT = (403, 404)  # an object store without leave to list says 403 of what is not there
_NAME_IT = "name the folder that litelens publish writes, as the web server serves it: https://HOST/FOLDER"


def repository_address(address: str) -> SplitResult:
    """Takes a repository's address apart; its path ends with a slash.

    Raises:
        UpdateError: If it is no http:// or https:// address of a folder.
    """
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018  raises on what is no port
        address.encode("ascii")
    except ValueError as problem:  # also UnicodeError
        raise UpdateError(f"{address!r} is no web address: {problem}", _NAME_IT) from problem
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UpdateError(f"{address!r} does not begin with http://HOST or https://HOST", _NAME_IT)
    if parts.username is not None or parts.query or parts.fragment:
        raise UpdateError(
            f"the address on {parts.hostname} has a user, a ? or a #, expected a folder that everybody can read",
            _NAME_IT,
        )
    if any(character <= " " or character == "\x7f" for character in address):
        raise UpdateError(f"{address!r} has spaces or control characters", _NAME_IT)
    return parts._replace(path=parts.path.rstrip("/") + "/")


@contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """Ends what runs in the ``with`` block when the time is up, whatever it waits for; in the main thread alone.

    A limit for each read does not do: a server that sends a byte now and then keeps to it for days.

    Raises:
        NotReached: When the time is up.
    """

    def end(*_) -> None:
        raise NotReached(
            f"{what} was not there within {seconds:.0f} s",
            "the line or the server is too slow; it is tried again later",
        )

    before = signal.signal(signal.SIGALRM, end)
    # Again every second: an exception that comes while Python cleans up is only printed.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Downloads:
    """One host's files; what `tuf.ngclient.Updater` needs of a fetcher."""

    def __init__(self, address: SplitResult, folder: Path, idle_s: float):
        """Takes the repository's address, where temporary files may lie, and for how long the server may be silent."""
        self.asked = ""
        """The address that was asked for last; "" before the first."""
        self.server_time: datetime | None = None
        """What the server's clock said last; nobody vouches for it."""
        self._address, self._folder, self._idle_s = address, folder, idle_s
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> "Downloads":
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """The content of a metadata file.

        Raises:
            tuf.api.exceptions.DownloadHTTPError: If the server has no such file.
            NotReached: If it does not answer, or not to the end.
            RepositoryRefused: If it sends more than max_length, something compressed, or to another host.
        """
        return b"".join(self._chunks(url, min(max_length, MOST_METADATA_BYTES)))

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """The content of a model file, as a temporary file; raises what `download_bytes` does."""
        with tempfile.TemporaryFile(dir=self._folder) as file:
            for chunk in self._chunks(url, max_length):
                file.write(chunk)
            file.seek(0)
            yield file

    def _chunks(self, url: str, most_bytes: int) -> Iterator[bytes]:
        answer = self._get(url)
        try:
            self._check(answer, most_bytes)
            taken = 0
            while chunk := answer.read(min(_CHUNK_BYTES, most_bytes + 1 - taken)):
                taken += len(chunk)
                if taken > most_bytes:
                    raise RepositoryRefused(
                        f"{self.asked} does not end after the {most_bytes} bytes that it may have", _TAMPERED
                    )
                yield chunk
            if answer.length:  # an answer cut short ends like a whole one
                raise NotReached(f"{self.asked} broke off {answer.length} bytes before its end", _LATER)
        except (OSError, http.client.HTTPException) as problem:
            raise self._not_reached(problem) from problem
        finally:
            if not answer.isclosed():
                self._close()  # the rest of an answer would be taken for the next one

    def _check(self, answer: http.client.HTTPResponse, most_bytes: int) -> None:
        from tuf.api.exceptions import DownloadHTTPError

        if answer.status in _ABSENT:
            if answer.length is not None and answer.length <= _CHUNK_BYTES:
                answer.read()  # so that the connection serves the next request, too
            raise DownloadHTTPError(f"{self.asked} answered {answer.status}", answer.status)
        if answer.status != 200:
            raise NotReached(f"{self.asked} answered {answer.status} {answer.reason!r:.80}", _LATER)
        encoding = answer.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise RepositoryRefused(
                f"{self.asked} comes compressed ({encoding!r:.40}), which nobody asked for", _TAMPERED
            )
        if (answer.length or 0) > most_bytes:
            raise RepositoryRefused(
                f"{self.asked} has {answer.length} bytes, where {most_bytes} are the most that it may have",
                _TAMPERED,
            )

    def _get(self, url: str) -> http.client.HTTPResponse:
        """The answer to a request, redirects on the same host followed, nothing of its content read."""
        address = urlsplit(url)
        for _ in range(MOST_REDIRECTS):
            answer = self._request(address)
            self._note_time(answer)
            if answer.status not in _MOVED:
                return answer
            self._close()
            address = _moved(address, answer.headers.get("Location", ""))
        raise NotReached(f"{url} is redirected again and again", _LATER)

    def _request(self, address: SplitResult) -> http.client.HTTPResponse:
        self.asked = address.geturl()
        kept = self._connection is not None and _same_server(address, self._address)
        if not kept:
            self._close()
            self._connection, self._address = _connection(address, self._idle_s), address
        try:
            target = (address.path or "/") + (f"?{address.query}" if address.query else "")
            self._connection.request("GET", target, headers=HEADERS)
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException) as problem:
            self._close()
            if kept and isinstance(problem, ConnectionError):  # it was idle, and the server has closed it
                return self._request(address)
            raise self._not_reached(problem) from problem

    def _not_reached(self, problem: Exception) -> NotReached:
        return NotReached(f"{self.asked}: {plain(problem)}", _LATER)

    def _note_time(self, answer: http.client.HTTPResponse) -> None:
        with suppress(ValueError, TypeError, IndexError):
            self.server_time = parsedate_to_datetime(answer.headers.get("Date"))

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


_LATER = "see whether this device is online and the address is right; it is tried again later"
_TAMPERED = "the server or somebody on the way has altered it: ask who publishes to look at the server"


def plain(problem: BaseException) -> str:
    """An error's text on one line of a terminal, whatever a server has put into it."""
    return printable(str(problem)[:200]) or type(problem).__name__


def _connection(address: SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    # The port is always named: http.client would look for one in an IPv6 address.
    if address.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            address.hostname, address.port or 443, timeout=timeout_s, context=context
        )
    return http.client.HTTPConnection(address.hostname, address.port or 80, timeout=timeout_s)


def _same_server(one: SplitResult, other: SplitResult) -> bool:
    return (one.scheme, one.hostname, one.port) == (other.scheme, other.hostname, other.port)


def _moved(address: SplitResult, location: str) -> SplitResult:
    """Where a redirect leads, if that is the same host and as safe."""
    try:
        moved = urlsplit(urljoin(address.geturl(), location))
        same_host = moved.hostname == address.hostname
        moved.port  # noqa: B018  raises on what is no port
    except ValueError as problem:
        raise RepositoryRefused(f"{address.geturl()} redirects to no web address", _TAMPERED) from problem
    if not same_host or moved.scheme not in (address.scheme, "https"):
        raise RepositoryRefused(
            f"{address.geturl()} redirects to {moved.geturl()!r:.120}, which is not followed",
            "if that is where the repository is now, name that address",
        )
    return moved
