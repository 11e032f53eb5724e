"""What the server answers: JSON, pictures, text; and why it refuses."""

import json
from dataclasses import dataclass, field

from edge_runtime.errors import LitelensError

VERSION = 1
"""Of every JSON answer; it grows when a field changes its meaning or goes."""


@dataclass(frozen=True)
class Answer:
    """A whole response; as an ASGI application, it sends itself."""

    status: int
    """HTTP's code."""
    body: bytes
    content_type: str
    headers: dict[str, str] = field(default_factory=dict)

    async def __call__(self, scope: dict, receive, send) -> None:
        headers = {
            "content-type": self.content_type,
            "content-length": str(len(self.body)),
            "cache-control": "no-store",
            **self.headers,
        }
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self.body})


class Refusal(LitelensError):
    """A request that is not done as asked; the server goes on."""

    def __init__(self, status: int, message: str, hint: str, **more: str):
        """Takes HTTP's code, what was wrong, what to do, and further fields of the JSON answer."""
        super().__init__(message, hint)
        self.status = status
        self.more = more


def to_json(content: dict) -> bytes:
    """With the version, in UTF-8; a name that is no Unicode (from a damaged file system) is shown with "?"."""
    return json.dumps({"version": VERSION, **content}, ensure_ascii=False).encode(errors="replace")


def json_answer(content: dict, status: int = 200) -> Answer:
    return Answer(status, to_json(content), "application/json")


def refusing(refusal: Refusal) -> Answer:
    answer = json_answer({"error": str(refusal), "hint": refusal.hint, **refusal.more}, status=refusal.status)
    if refusal.status == 503:
        answer.headers["retry-after"] = "5"
    if refusal.status in (408, 413):
        # What is left of the body is not worth reading.
        answer.headers["connection"] = "close"
    return answer
