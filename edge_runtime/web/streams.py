"""Responses without an end: the video, and the live values.

What is sent is made once for all who look, and only while somebody does. Nobody has a queue: who has taken one piece
gets the newest there is then, so a slow client gets fewer of them.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic

from edge_runtime.deciding.observation import Observation
from edge_runtime.web.answers import Refusal, refusing, to_json
from edge_runtime.web.following import Follower
from edge_runtime.web.jpeg import encode
from edge_runtime.web.snapshot import Snapshot
from edge_runtime.web.thumbnails import Thumbnails
from edge_runtime.web.view import LiveView

MOST_CLIENTS = 8
"""Of the video, and of the live values; a page takes one of each."""
VIDEO_PX = 640
"""No side of the video is longer."""
_AT_MOST_HZ = 10
_VIDEO_QUALITY = 75
_STATUS_EVERY_S = 1.0
_BOUNDARY = b"--frame\r\n"


class Stream(Follower):
    """Makes pieces in a thread, and sends them as an ASGI application in the server's asyncio loop."""

    what: str
    content_type: str

    def __init__(self, live: LiveView, server_loop: asyncio.AbstractEventLoop):
        super().__init__(self.what, live, _AT_MOST_HZ)
        self._server_loop = server_loop
        self.clients = 0
        self._newest: tuple[int, object] = (0, None)
        self._changed = asyncio.Event()
        self._ended = False

    def publish(self, thing: object) -> None:
        """Hands over from the thread."""
        self._server_loop.call_soon_threadsafe(self._take, thing)

    async def pieces(self) -> AsyncIterator[bytes]:
        """What one client is sent, made of what `newest` gives."""
        raise NotImplementedError
        yield b""

    async def newest(self) -> AsyncIterator[object]:
        """Gives what was published last, and then always the newest that it has not given yet."""
        seen = 0
        while not self._ended:
            number, thing = self._newest
            if number == seen:
                await self._changed.wait()
                continue
            seen = number
            yield thing

    def end(self) -> None:
        """Ends all responses; called in the server's loop."""
        self._ended = True
        self._wake()

    async def __call__(self, scope: dict, receive, send) -> None:
        if self.clients >= MOST_CLIENTS:
            refusal = Refusal(
                503, f"{MOST_CLIENTS} clients are served the {self.what} already", "close a page or try later"
            )
            await refusing(refusal)(scope, receive, send)
            return
        headers = [
            (b"content-type", self.content_type.encode()),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),  # nginx would gather pieces
        ]
        with self._client():
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if scope["method"] != "HEAD":
                await self._send_until_gone(receive, send)
        await send({"type": "http.response.body", "body": b""})

    @contextmanager
    def _client(self) -> Iterator[None]:
        self.clients += 1
        if self.clients == 1:
            self.want()
        try:
            yield
        finally:
            self.clients -= 1
            if not self.clients:
                self.unwant()
                self._newest = (0, None)

    async def _send_until_gone(self, receive, send) -> None:
        sending = asyncio.create_task(self._send(send))
        # Told, and not seen from a failed send: while the camera is lost there is nothing to send.
        leaving = asyncio.create_task(_disconnected(receive))
        try:
            ended, _ = await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            leaving.cancel()
        for task in ended:
            task.result()

    async def _send(self, send) -> None:
        async for piece in self.pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})

    def _take(self, thing: object) -> None:
        if self.clients:
            self._newest = (self._newest[0] + 1, thing)
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Video(Stream):
    """JPEG after JPEG (multipart/x-mixed-replace, which an <img> shows as it comes)."""

    what = "video"
    content_type = "multipart/x-mixed-replace; boundary=frame"

    def __init__(self, live: LiveView, server_loop: asyncio.AbstractEventLoop):
        super().__init__(live, server_loop)
        self._once = b""

    def see(self, observation: Observation | None) -> None:
        if observation is None:
            # Chromium shows a part when the next has begun: the last one before a pause is sent twice.
            if self._once:
                self.publish(self._once)
                self._once = b""
            return
        jpeg = encode(observation.frame.image, _VIDEO_QUALITY, VIDEO_PX)
        header = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
        self._once = header + jpeg + b"\r\n" + _BOUNDARY
        self.publish(self._once)

    async def pieces(self) -> AsyncIterator[bytes]:
        yield _BOUNDARY
        async for part in self.newest():
            yield part


class Values(Stream):
    """Server-sent events: `scores` with every piece, `status` when a second has passed or an event got its thumbnail."""

    what = "live values"
    content_type = "text/event-stream"

    def __init__(
        self,
        live: LiveView,
        server_loop: asyncio.AbstractEventLoop,
        snapshot: Snapshot,
        thumbnails: Thumbnails,
    ):
        super().__init__(live, server_loop)
        self._snapshot = snapshot
        self._thumbnails = thumbnails
        self._status_message = b""
        self._status_s = -inf
        self._event = ""

    def see(self, observation: Observation | None) -> None:
        event = self._thumbnails.newest()
        if event != self._event or monotonic() - self._status_s >= _STATUS_EVERY_S:
            status = self._snapshot.status() | self._snapshot.events()
            self._status_message = _message("status", status)
            self._status_s, self._event = monotonic(), event
        self.publish((self._status_message, _message("scores", self._snapshot.scores())))

    async def pieces(self) -> AsyncIterator[bytes]:
        sent = None
        async for status, scores in self.newest():
            yield scores if status is sent else status + scores
            sent = status


def _message(event: str, content: dict) -> bytes:
    return b"event: " + event.encode() + b"\ndata: " + to_json(content) + b"\n\n"


async def _disconnected(receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
