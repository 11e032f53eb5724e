"""Where a machine is: user@host[:port], or a name that ~/.ssh/config knows."""

import re
import shlex
from dataclasses import dataclass

from fleet.errors import AddressError

# No "-" to begin with: other programs would take it for an option. A zone may follow an IPv6 address: fe80::1%eth0.
_ADDRESS = re.compile(
    r"(?:(?P<user>[\w.][\w.@+-]*)@)?"
    r"(?:(?P<host>[\w.][\w.-]*)|\[(?P<ipv6>[0-9a-f:.]*:[0-9a-f:.]*(?:%[\w.-]+)?)\])"
    r"(?::(?P<port>[0-9]{1,5}))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Address:
    """A machine and the user to be there."""

    user: str | None
    """None: as ~/.ssh/config says, else the user's name here."""
    host: str
    """A name, an IP address without brackets, or a `Host` of ~/.ssh/config."""
    port: int | None
    """None: as ~/.ssh/config says, else 22."""

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Reads user@host:port; user and port may be absent, and an IPv6 address stands in brackets.

        Raises:
            AddressError: If text is nothing of the kind.
        """
        found = _ADDRESS.fullmatch(text)
        port = int(found["port"]) if found and found["port"] else None
        if not found or (port is not None and not 0 < port < 2**16):
            raise AddressError(
                f"{text!r} names no machine, expected user@host or user@host:port",
                "for example pi@raspberrypi.local, pi@192.168.1.20:2222, pi@[fe80::1%eth0] or a Host of ~/.ssh/config",
            )
        return cls(found["user"], found["host"] or found["ipv6"], port)

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{user}{host}{f':{self.port}' if self.port else ''}"

    def ssh(self, *words: str) -> str:
        """The command line by which a person reaches the machine, and runs there what the words say."""
        return self._by("ssh", *words)

    def ssh_copy_id(self) -> str:
        """The command line that lets a person's key in."""
        return self._by("ssh-copy-id")

    def _by(self, program: str, *words: str) -> str:
        port = ("-p", str(self.port)) if self.port else ()
        user = f"{self.user}@" if self.user else ""
        return shlex.join((program, *port, f"{user}{self.host}", *words))
