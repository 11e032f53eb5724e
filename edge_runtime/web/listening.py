"""The socket that is listened at, and what one client of it may hold."""

import asyncio
import errno
import ipaddress
import socket

from edge_runtime.errors import LitelensError
from edge_runtime.web.answers import to_json

MOST_CONNECTIONS = 100
"""At once; further ones are closed. The camera and the sinks need file descriptors, too."""
HEAD_TIMEOUT_S = 10.0
"""For a request's head, from the connection or the head's first byte on."""
_SEND_BUFFER_BYTES = 64 * 1024
_GONE_AFTER_S = 20
_BAD_REQUEST_BODY = to_json({"error": "this is no HTTP request", "hint": "ask with a browser or with curl"})
_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_BAD_REQUEST_BODY), _BAD_REQUEST_BODY)
)


class WebError(LitelensError):
    """The live page cannot be served at its address."""


def listen(host: str, port: int) -> socket.socket:
    """Listens at an address.

    Raises:
        WebError: If the port is taken or not allowed, or the address is not this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family)
    except OSError as problem:
        raise WebError(
            f"cannot serve the page at {host}:{port}: {problem.strerror}", _hint(problem.errno, port)
        ) from problem
    # Each connection inherits these. A small buffer, because what lies in it is yesterday's video to a slow client; and
    # a client that has gone without a word, as telephones do, gives its place back after seconds, not after 15 minutes.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # asyncio sets it on sockets that it makes; without, the body waits 40 ms for the head's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _GONE_AFTER_S)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _GONE_AFTER_S * 1000)
    return listener


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine reaches it."""
    return ipaddress.ip_address(_bound_to(listener)).is_loopback


def url(listener: socket.socket) -> str:
    """The address for a browser, of this machine in its network where all of its addresses are listened at."""
    address = ipaddress.ip_address(_bound_to(listener))
    host = _own_address(listener.family) if address.is_unspecified else str(address)
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/"


def limited_protocol() -> type[asyncio.Protocol]:
    """uvicorn's HTTP, with limits that it has not: on connections in all, and on the time for a request's head."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class LimitedHTTP(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            if len(self.connections) > MOST_CONNECTIONS:
                transport.abort()
            else:
                self._expect_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._answering():
                self._expect_nothing()
            elif self._deadline is None:
                self._expect_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._expect_nothing()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            """To what is no HTTP. In the middle of an answer there is nothing to say: uvicorn would fail with a traceback."""
            if self._answering():
                self.cycle.disconnected = True
                self.cycle.message_event.set()
                self.transport.abort()
            else:
                self.transport.write(_BAD_REQUEST)
                self.transport.close()

        def _answering(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _expect_head(self) -> None:
            self._deadline = self.loop.call_later(HEAD_TIMEOUT_S, self._head_is_late)

        def _expect_nothing(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _head_is_late(self) -> None:
            self._deadline = None
            if not self._answering():
                self.transport.abort()

    return LimitedHTTP


def _bound_to(listener: socket.socket) -> str:
    return listener.getsockname()[0].partition("%")[0]


def _own_address(family: socket.AddressFamily) -> str:
    """The address that the network knows this machine by; its name where there is no network."""
    # Documentation addresses (RFC 5737, RFC 3849). Connecting a UDP socket sends nothing.
    beyond = "2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1"
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((beyond, 9))
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostname()


def _hint(error: int | None, port: int) -> str:
    if error == errno.EADDRINUSE:
        return f"another program listens there: see which with `ss -ltnp 'sport = :{port}'`, or take another port"
    if error == errno.EACCES:
        return "ports below 1024 are root's: take another, such as 8080"
    return "name an address of this machine: `ip address` lists them; 127.0.0.1 is this machine alone, 0.0.0.0 all"
