"""The live page's server: uvicorn, in a thread of its own beside the loop."""

import asyncio
import secrets
import socket
from contextlib import suppress
from threading import Thread
from urllib.parse import urlencode

import click

from edge_runtime.extras import extra
from edge_runtime.web.access import Access
from edge_runtime.web.app import STATIC, build_app
from edge_runtime.web.listening import is_loopback, limited_protocol, listen, url
from edge_runtime.web.saving import ClassFolders
from edge_runtime.web.settings import TOKEN_VARIABLE, WebSettings
from edge_runtime.web.snapshot import Snapshot
from edge_runtime.web.streams import Values, Video
from edge_runtime.web.thumbnails import Thumbnails
from edge_runtime.web.view import LiveView

_MOST_HEAD_BYTES = 16 * 1024
_KEEP_ALIVE_S = 5
_BACKLOG = 128
# Stopping takes a second at most; before and after this wait, uvicorn and the threads take up to 0.4.
_ANSWERS_END_S = 0.4
_STOPPED_S = 1.0


class WebServer:
    """Serves the page while its ``with`` block lasts.

    Example:
        >>> with WebServer(live, WebSettings("127.0.0.1:8080")):                # doctest: +SKIP
        ...     live.run()
    """

    url: str
    """The page's address, without the token; set in the ``with`` block."""
    token: str
    """What a client must show, "" where none is demanded; set in the ``with`` block."""

    def __init__(self, live: LiveView, settings: WebSettings):
        """Takes what to show and how; nothing is opened yet.

        Raises:
            MissingExtraError: If Starlette or uvicorn is not installed.
        """
        with extra("web", "the live page"):
            import starlette  # noqa: F401
            import uvicorn  # noqa: F401
        self._live = live
        self._settings = settings

    def __enter__(self) -> "WebServer":
        """Listens, starts the threads, and says on stderr where the page is.

        Raises:
            WebError: If the port is taken, or the address is not this machine's.
            ConfigError: If the environment's token is none.
            WriteError: If the folder for pictures cannot be written.
        """
        settings = self._settings
        given = settings.given_token()
        folders = ClassFolders(settings.pictures, settings.keep_free_bytes) if settings.pictures else None
        listener = listen(*settings.host_and_port())
        self.url = url(listener)
        self.token = given or ("" if is_loopback(listener) else secrets.token_urlsafe())
        self._server_loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        thumbnails = Thumbnails(self._live)
        snapshot = Snapshot(self._live, folders, thumbnails)
        self._streams = (
            Video(self._live, self._server_loop),
            Values(self._live, self._server_loop, snapshot, thumbnails),
        )
        self._followers = (thumbnails, *self._streams)
        app = Access(
            build_app(self._live, snapshot, folders, thumbnails, *self._streams),
            self.token,
            *listener.getsockname()[:2],
            login_page=(STATIC / "login.html").read_bytes(),
        )
        self._thread = Thread(name="litelens web", target=self._run, args=(app, listener), daemon=True)
        for thread in (*self._followers, self._thread):
            thread.start()
        self._announce(given)
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends all streams and stops, within a second."""
        for follower in self._followers:
            follower.stop()
        with suppress(RuntimeError):  # the server's thread has failed, and said why
            self._server_loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_STOPPED_S)

    def _run(self, app: Access, listener: socket.socket) -> None:
        with asyncio.Runner(loop_factory=lambda: self._server_loop) as runner:
            runner.run(self._serve(app, listener))

    async def _serve(self, app: Access, listener: socket.socket) -> None:
        import uvicorn

        config = uvicorn.Config(
            app,
            http=limited_protocol(),
            ws="none",
            loop="asyncio",
            lifespan="off",
            interface="asgi3",
            log_config=None,  # errors reach stderr by Python's own means
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_ANSWERS_END_S,
            h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for stream in self._streams:
            stream.end()
        server.should_exit = True
        await serving
        # The threads hand over to this loop: it outlives them.
        for follower in self._followers:
            follower.stop()
            await asyncio.to_thread(follower.join)

    def _announce(self, given: str) -> None:
        if given:
            click.echo(f"live page: {self.url} (asks for the token that you chose)", err=True)
        elif self.token:
            click.echo(f"live page: {self.url}?{urlencode({'token': self.token})}", err=True)
            click.echo(
                f"who has this link sees the camera; {TOKEN_VARIABLE} keeps one token for every start",
                err=True,
            )
        else:
            click.echo(f"live page: {self.url}", err=True)
