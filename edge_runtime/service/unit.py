"""The systemd unit of a camera that runs for months: watched, restarted, and allowed little.

Settings: systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.resource-control(5). Held by the tests
under a systemd 252, which is Raspberry Pi OS bookworm's.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import LitelensError

UNITS = Path("/etc/systemd/system")
MARK = "# Written by litelens service install: install again to change it; systemctl edit adds to it."
"""The first line of every unit of ours: a file without it is not overwritten and not removed."""
BACKOFF_SINCE = 254
"""The first systemd that knows RestartSteps=; an older one warns of it at every boot."""
DEVICE_GROUPS = ("video", "render", "plugdev", "gpio", "apex")
"""Who may open cameras, a Coral on USB, pins and a Coral on PCI, where the machine has these groups."""
HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))
"""Where the unit sees nothing but what it is given: ProtectHome= and PrivateTmp=."""
_PLAIN = re.compile(r"[\w@+=:,./-]+", re.ASCII)


class ServiceError(LitelensError):
    """A service cannot be installed, asked or removed as it was wanted."""


@dataclass(frozen=True)
class Unit:
    """What differs from one camera's unit to the next."""

    name: str
    """Without ".service"; the state folder's name too."""
    python: Path
    """The interpreter that litelens is installed for."""
    model: Path
    """Absolute."""
    arguments: tuple[str, ...]
    """Of ``litelens run``, after the model; without ``--config``."""
    config: Path | None
    """The file of ``--config``, absolute. systemd hands it over, so that root alone need be able to read it: arguments,
    and the unit itself, are read by everybody, and it may hold passwords."""
    user: str | None
    """None lets systemd make a user that exists while the service runs."""
    groups: tuple[str, ...]
    """Of DEVICE_GROUPS, those that exist: systemd starts no service with a group that does not; and the store's."""
    needs: tuple[Path, ...]
    """Folders below HIDDEN that the service reads: its Python, litelens, the model's."""
    systemd_version: int
    store: Path | None = None
    """The store that the model is in, which the service writes; None where it is a file by itself."""

    @property
    def title(self) -> str:
        """What a person calls the model: in a store, the file's own name is only "current"."""
        return self.model.parent.name if self.store else self.model.name

    def text(self) -> str:
        """The unit file.

        Raises:
            ServiceError: If a folder that it needs cannot be named in a unit.
        """
        # -I: no module from the working directory, which the service may write into.
        # faulthandler: the watchdog's SIGABRT leaves in the log where every thread stood.
        words = (
            self.python,
            "-I",
            "-X",
            "faulthandler",
            "-m",
            "litelens",
            "run",
            self.model,
            *self.arguments,
        )
        command = [quoted(os.fspath(word)) for word in words]
        if self.config:
            command += ["--config", "%d/config"]
        return _TEMPLATE.format(
            mark=MARK,
            name=self.name,
            title=_specifiers("".join(c if c.isprintable() else "?" for c in self.title)),
            command=" ".join(command),
            restart="\n".join(self._restart()),
            identity="\n".join(self._identity()),
            needs="\n".join(self._folders()) or "# nothing of it",
        )

    def _folders(self) -> list[str]:
        lines = [f"BindReadOnlyPaths={_folder(folder)}" for folder in self.needs]
        if self.store is None:
            return lines
        hidden = hidden_folders([self.store])
        return [*lines, f"{'BindPaths' if hidden else 'ReadWritePaths'}={_folder(self.store)}"]

    def _restart(self) -> list[str]:
        if self.systemd_version < BACKOFF_SINCE:
            return ["RestartSec=5"]
        return ["RestartSec=1", "RestartSteps=8", "RestartMaxDelaySec=60"]

    def _identity(self) -> list[str]:
        lines = [f"User={self.user}" if self.user else "DynamicUser=yes"]
        lines += [f"SupplementaryGroups={' '.join(self.groups)}"] if self.groups else []
        return lines + ([f"LoadCredential=config:{_checked(self.config)}"] if self.config else [])


_TEMPLATE = """\
{mark}
[Unit]
Description=litelens: {title} watches a camera
# Behind the network at the start, so before it at shutdown: what waits can still be sent.
After=network.target
# Never gives up for good: what is broken may be mended next week.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
# The loop feeds it, between frames.
WatchdogSec=30
TimeoutStopSec=10
# Only the loop is told to end; a child of its own that tries a new model is not, and would look crashed.
KillMode=mixed
Restart=always
{restart}

{identity}
StateDirectory={name}
StateDirectoryMode=0750
WorkingDirectory=%S/{name}
Environment=HOME=%S/{name}
UMask=0027
LimitCORE=0
MemoryMax=75%

# Read-only but for the state folder and the models' store; of home and temporary folders it sees:
ProtectSystem=strict
ProtectHome=tmpfs
PrivateTmp=yes
{needs}

# Cameras, a Coral, pins, the board's firmware; no other device.
DevicePolicy=closed
DeviceAllow=char-video4linux rw
DeviceAllow=char-media rw
DeviceAllow=char-dma_heap rw
DeviceAllow=char-usb_device rw
DeviceAllow=char-apex rw
DeviceAllow=char-gpiochip rw
DeviceAllow=char-*gpiomem* rw
DeviceAllow=/dev/vcio rw

# Not MemoryDenyWriteExecute= (GStreamer and libffi make code as they run), not PrivateUsers= (the groups above
# would be nobody's), not PrivateDevices= and ProcSubset= (cameras; the interpreter reads /proc/cpuinfo).
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectProc=invisible
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def quoted(word: str) -> str:
    """One word of an ExecStart= line, so that systemd hands exactly it to the program.

    systemd splits at spaces, takes quotes away, reads C's escapes, and replaces %specifiers and $VARIABLES.
    """
    if _PLAIN.fullmatch(word):
        return word
    return f'"{"".join(map(_escaped, word))}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character in "$%":
        return character * 2
    if character.isprintable():
        return character
    # Line breaks and other controls; a lone surrogate stands for a byte that is no UTF-8.
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors="surrogateescape"))


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")


def _checked(path: Path) -> str:
    """A path where systemd takes the rest of the line, with its specifiers escaped."""
    text = os.fspath(path)
    if not text.isprintable() or text.endswith(("\\", " ")):
        raise ServiceError(f"{text!r} cannot be named in a systemd unit", "rename the file or the folder")
    return _specifiers(text)


def _folder(path: Path) -> str:
    """A path for BindReadOnlyPaths=, where a backslash protects the next character and nothing else is read."""
    return '"' + _checked(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def hidden_folders(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Of the folders that a service needs, those it would not see; without those inside another."""
    found = sorted({path for path in paths if any(path.is_relative_to(hidden) for hidden in HIDDEN)})
    return tuple(path for path in found if not any(path != o and path.is_relative_to(o) for o in found))
