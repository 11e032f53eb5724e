"""Who may ask for what: everybody on this machine, and from elsewhere those who show the token.

Around the whole application, so that no route can be forgotten.
"""

import secrets
from urllib.parse import parse_qs, urlsplit

from edge_runtime.web.answers import Answer, Refusal, refusing

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_OPEN = ("/healthz", "/live.css", "/icon.svg")  # the last two for the page that asks for the token
_COOKIE_AGE_S = 30 * 24 * 3600
_HEADERS = {
    # Scripts, styles and pictures of this server alone, nothing inline, and in nobody's frame.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # No other site's page can show the camera, either.
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Access:
    """An ASGI application that asks before it lets a request through to another."""

    def __init__(self, app, token: str, bound_to: str, port: int, login_page: bytes):
        """Takes the rules.

        Args:
            app: The application that is guarded.
            token: What a client must show; "" lets everybody in who calls this server by a name of this machine.
            bound_to: The IP address that is listened at.
            port: Part of the cookie's name: cookies do not tell two servers on one machine apart by port.
            login_page: HTML for a browser without the token.
        """
        self._app = app
        self._token = token
        self._names = _LOOPBACK_NAMES | {bound_to}
        self._cookie = f"litelens_{port}"
        self._login_page = login_page

    async def __call__(self, scope: dict, receive, send) -> None:
        async def send_with_headers(message: dict) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        request = _Request(scope)
        try:
            answer = self._login(request) or self._app
            if answer is self._app:
                self._check(request)
        except Refusal as refusal:
            answer = self._refused(request, refusal)
        await answer(scope, receive, send_with_headers)

    def _login(self, request: "_Request") -> Answer | None:
        """Turns the token of a link into a cookie, and the link into one that can be seen by others."""
        if not self._token or request.path != "/" or request.method != "GET" or not request.query_token:
            return None
        if not self._is_token(request.query_token):
            raise _unauthorized("the token in the address is not this server's")
        cookie = f"{self._cookie}={self._token}; Max-Age={_COOKIE_AGE_S}; Path=/; HttpOnly; SameSite=Strict"
        return Answer(303, b"", "text/plain", {"location": "/", "set-cookie": cookie})

    def _check(self, request: "_Request") -> None:
        """Lets a request through.

        Raises:
            Refusal: If not.
        """
        if not self._token and request.host_name not in self._names:
            # DNS rebinding: a foreign page whose own name has become 127.0.0.1.
            raise Refusal(
                403, f"{request.host[:100]!r} is no name of this machine", "open the page at http://127.0.0.1"
            )
        if request.is_of_another_site:
            raise Refusal(403, "another site's page asked for this", "open it in a tab of its own")
        if request.path in _OPEN and request.method in ("GET", "HEAD"):
            return
        by_header = bool(self._token) and self._is_token(request.bearer)
        if self._token and not by_header and not self._is_token(request.cookie(self._cookie)):
            raise _unauthorized("no token, or not this server's")
        if request.method not in ("GET", "HEAD") and not by_header and not request.is_of_same_origin:
            raise Refusal(
                403,
                "a request that changes something needs this page's Origin header, or the token as bearer",
                f"add the header Origin: http://{request.host[:100]}",
            )

    def _is_token(self, shown: str) -> bool:
        return secrets.compare_digest(shown.encode(errors="replace"), self._token.encode())

    def _refused(self, request: "_Request", refusal: Refusal) -> Answer:
        if refusal.status == 401 and request.wants_html:
            return Answer(401, self._login_page, "text/html; charset=utf-8")
        answer = refusing(refusal)
        if refusal.status == 401:
            answer.headers["www-authenticate"] = "Bearer"
        return answer


class _Request:
    """What the rules look at."""

    def __init__(self, scope: dict):
        self._headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.host = self._headers.get(b"host", "")
        self.host_name = _host_name(self.host)
        self.query_token = _query_token(scope["query_string"])

    @property
    def bearer(self) -> str:
        scheme, _, token = self._headers.get(b"authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def cookie(self, name: str) -> str:
        pairs = (pair.strip().partition("=") for pair in self._headers.get(b"cookie", "").split(";"))
        return next((value for key, _, value in pairs if key == name), "")

    @property
    def is_of_same_origin(self) -> bool:
        """Whether a page of this server made the request, as the browser says. The scheme may differ: a proxy's is https."""
        _, _, origin = self._headers.get(b"origin", "").partition("://")
        return bool(origin) and origin == self.host

    @property
    def is_of_another_site(self) -> bool:
        """Whether another server's page wants it for itself; a link to here is none of that."""
        foreign = self._headers.get(b"sec-fetch-site", "") in ("cross-site", "same-site")
        return foreign and self._headers.get(b"sec-fetch-mode") != "navigate"

    @property
    def wants_html(self) -> bool:
        return "text/html" in self._headers.get(b"accept", "")


def _host_name(host: str) -> str:
    """Without port and brackets; "" where it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _query_token(query: bytes) -> str:
    try:
        return parse_qs(query.decode("latin-1"), max_num_fields=10).get("token", [""])[0]
    except ValueError:
        return ""


def _unauthorized(message: str) -> Refusal:
    return Refusal(
        401,
        message,
        "open the address that litelens printed when it started, or send Authorization: Bearer TOKEN",
    )
