"""Where the page is served, and what it may do."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import ConfigError

TOKEN_VARIABLE = "LITELENS_WEB_TOKEN"
_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.%]+)\]|(?P<host>[^\s:\[\]/]+)):(?P<port>[0-9]{1,5})")
# What a header and a cookie can carry as it is (RFC 6750's b64token), and too much to be guessed.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,256}")


@dataclass(frozen=True)
class WebSettings:
    """How to serve the live page."""

    address: str = "127.0.0.1:8080"
    """HOST:PORT or [IPV6]:PORT. Any but a loopback address demands a token. Port 0 is any free port."""
    token: str = ""
    """What a browser or client must show; "" takes LITELENS_WEB_TOKEN from the environment. Without both, an
    address other than loopback gets a random one."""
    pictures: Path | None = None
    """The folder that frames are saved to, in a folder a class; None: nothing can be saved."""
    keep_free_bytes: int = 512 * 2**20
    """No frame is saved that leaves less room than this on the disk."""

    def __post_init__(self):
        """Checks the values.

        Raises:
            ConfigError: If one is not as its field says.
        """
        self.host_and_port()
        if self.token and not _TOKEN.fullmatch(self.token):
            raise _bad_token("the token")
        if self.keep_free_bytes < 0:
            raise ConfigError(
                f"keep_free_bytes is {self.keep_free_bytes}, expected 0 or more", "name a number of bytes"
            )

    def host_and_port(self) -> tuple[str, int]:
        """The two parts of the address.

        Raises:
            ConfigError: If it has no such parts.
        """
        parts = _ADDRESS.fullmatch(self.address)
        if not parts or int(parts["port"]) > 65535:
            raise ConfigError(
                f"{self.address!r} is no address to serve the page at, expected HOST:PORT",
                "this machine alone: --web 127.0.0.1:8080; the whole network: --web 0.0.0.0:8080",
            )
        return parts["ipv6"] or parts["host"], int(parts["port"])

    def given_token(self) -> str:
        """The token that the user chose, or "".

        Raises:
            ConfigError: If the environment's is short or has characters that a header cannot carry.
        """
        token = self.token or os.environ.get(TOKEN_VARIABLE, "")
        if token and not _TOKEN.fullmatch(token):
            raise _bad_token(TOKEN_VARIABLE)
        return token


def _bad_token(name: str) -> ConfigError:
    # The value stays out of the message: it is a secret, and messages are logged.
    return ConfigError(
        f"{name} is no token: expected 16 to 256 of the characters A-Z a-z 0-9 . _ ~ + / = -",
        'make one: python3 -c "import secrets; print(secrets.token_urlsafe())"',
    )
