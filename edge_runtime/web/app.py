"""The routes: the page, its streams, JSON for scripts, and what Prometheus reads."""

import asyncio
import json
from pathlib import Path
from threading import Lock

from edge_runtime.capture.frame import Frame
from edge_runtime.errors import LitelensError
from edge_runtime.web.answers import Answer, Refusal, json_answer, refusing, to_json
from edge_runtime.web.jpeg import LARGEST_SIDE_PX, encode
from edge_runtime.web.metrics import CONTENT_TYPE, exposition
from edge_runtime.web.saving import ClassFolders, Saved
from edge_runtime.web.snapshot import Snapshot
from edge_runtime.web.streams import Stream
from edge_runtime.web.thumbnails import Thumbnails
from edge_runtime.web.view import STALE_AFTER_S, LiveView, age_s, health

STATIC = Path(__file__).parent / "static"
MOST_BODY_BYTES = 4096
_BODY_TIMEOUT_S = 5.0
_FRAME_QUALITY = 90
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def build_app(
    live: LiveView,
    snapshot: Snapshot,
    folders: ClassFolders | None,
    thumbnails: Thumbnails,
    video: Stream,
    values: Stream,
):
    """The ASGI application, still open to everybody."""
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.routing import Route

    pages = Pages(live, snapshot, folders, thumbnails, (video, values))
    routes = [
        Route("/", pages.page),
        *(Route(f"/{name}", pages.file) for name in pages.files),
        Route("/video.mjpg", video, methods=["GET"]),
        Route("/healthz", pages.healthz),
        Route("/metrics", pages.metrics),
        Route("/api/live", values, methods=["GET"]),
        Route("/api/status", pages.status),
        Route("/api/events", pages.events),
        Route("/api/events/{event}.jpg", pages.thumbnail),
        Route("/api/frame.jpg", pages.frame),
        Route("/api/save", pages.save, methods=["POST"]),
    ]
    handlers = {
        HTTPException: _no_such_request,
        Refusal: _refused,
        LitelensError: _failed,
        Exception: _broken,  # uvicorn logs the traceback all the same
    }
    return Starlette(routes=routes, exception_handlers=handlers)


class Pages:
    """One method a route; each takes Starlette's Request. Those that are not `async` run in threads."""

    def __init__(
        self,
        live: LiveView,
        snapshot: Snapshot,
        folders: ClassFolders | None,
        thumbnails: Thumbnails,
        streams: tuple[Stream, ...],
    ):
        self._live = live
        self._snapshot = snapshot
        self._folders = folders
        self._thumbnails = thumbnails
        self._streams = streams
        self._page = (STATIC / "live.html").read_bytes()
        # Read once, by name: what a request asks for never becomes a path.
        self.files = {
            path.name: Answer(200, path.read_bytes(), _TYPES[path.suffix], {"cache-control": "no-cache"})
            for path in STATIC.iterdir()
            if path.suffix in _TYPES
        }
        self._frame_lock = Lock()
        self._encoded: tuple[Frame | None, bytes] = (None, b"")

    def page(self, request) -> Answer:
        """With the first values in it, so that nothing moves when they come."""
        values = self._snapshot.status() | self._snapshot.events() | {"scores": self._snapshot.scores()}
        first = to_json(values).replace(b"<", rb"\u003c")
        return Answer(200, self._page.replace(b"{}", first, 1), "text/html; charset=utf-8")

    def file(self, request) -> Answer:
        return self.files[request.url.path.removeprefix("/")]

    def status(self, request) -> Answer:
        return json_answer(self._snapshot.status())

    def events(self, request) -> Answer:
        return json_answer(self._snapshot.events())

    def thumbnail(self, request) -> Answer:
        jpeg = self._thumbnails.jpeg(request.path_params["event"])
        if jpeg is None:
            raise Refusal(404, "there is no such event, or no picture of it", "/api/events lists them")
        return Answer(200, jpeg, "image/jpeg", {"cache-control": "private, max-age=86400, immutable"})

    def frame(self, request) -> Answer:
        """The newest frame in its full size, made once for all who ask for it."""
        frame = self._newest_frame()
        with self._frame_lock:
            if self._encoded[0] is not frame:
                self._encoded = (frame, encode(frame.image, _FRAME_QUALITY, LARGEST_SIDE_PX))
            return Answer(200, self._encoded[1], "image/jpeg", {"x-frame": str(frame.number)})

    async def save(self, request) -> Answer:
        """Keeps the newest frame for training."""
        if self._folders is None:
            raise Refusal(409, "no folder was named to save to", "start with `--web-pictures FOLDER`")
        name = _class_in(await _body(request.receive))
        saved = await asyncio.to_thread(self._save, name)
        return json_answer({"class": saved.label, "file": saved.file, "count": saved.count}, status=201)

    def healthz(self, request) -> Answer:
        found = health(self._live.status(), self._live.newest())
        status = 503 if found.level == "lost" else 200
        return json_answer({"health": found.level, "reason": found.reason}, status)

    def metrics(self, request) -> Answer:
        clients = {stream.what: stream.clients for stream in self._streams}
        return Answer(200, exposition(self._live, clients), CONTENT_TYPE)

    def _save(self, name: str) -> Saved:
        return self._folders.save(name, self._newest_frame(), self._live.labels)

    def _newest_frame(self) -> Frame:
        newest = self._live.newest()
        if newest is None or age_s(newest) > STALE_AFTER_S:
            raise Refusal(503, "the camera gives no frames", "/api/status says why")
        return newest.frame


async def _body(receive) -> bytes:
    """A request's body.

    Raises:
        Refusal: If it is too large, or does not come.
    """
    body = b""
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refusal(400, "the client went away", "send the whole body")
                body += message["body"]
                if len(body) > MOST_BODY_BYTES:
                    raise Refusal(413, f"the body has more than {MOST_BODY_BYTES} bytes", _SAVE_TAKES)
                if not message["more_body"]:
                    return body
    except TimeoutError:
        raise Refusal(408, f"the body did not come within {_BODY_TIMEOUT_S:.0f} s", _SAVE_TAKES) from None


_SAVE_TAKES = 'send {"class": "NAME"}'


def _class_in(body: bytes) -> str:
    """The class that is named in a body.

    Raises:
        Refusal: If none is.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):  # ten brackets a level: "[[[[["
        content = None
    name = content.get("class") if isinstance(content, dict) else None
    if not isinstance(name, str):
        raise Refusal(400, "the body names no class", _SAVE_TAKES)
    return name


def _refused(request, refusal: Refusal) -> Answer:
    return refusing(refusal)


def _failed(request, error: LitelensError) -> Answer:
    return refusing(Refusal(500, str(error), error.hint))


def _no_such_request(request, problem) -> Answer:
    """Starlette's own: an unknown path, or a method that its route does not take."""
    hint = "docs/live-page.md lists what there is"
    answer = refusing(Refusal(problem.status_code, f"{problem.detail}: {request.url.path[:200]}", hint))
    answer.headers.update(problem.headers or {})
    return answer


def _broken(request, error: Exception) -> Answer:
    return refusing(Refusal(500, "the server failed", "its log says why"))
