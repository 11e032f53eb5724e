"""Tells systemd how the loop does, in sd_notify's protocol: datagrams to the socket that NOTIFY_SOCKET names.

https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic, monotonic_ns


class Notifier:
    """What ``Type=notify`` and ``WatchdogSec=`` of a unit expect from the process; without systemd it does nothing.

    No method blocks or raises: the watchdog would kill a loop that waits for systemd.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ):
        """Reads where systemd listens (NOTIFY_SOCKET) and how often it must hear from the loop (WATCHDOG_USEC).

        Args:
            environ: The process's environment.
        """
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog_interval_s = _watchdog_interval_s(environ) if self._address else None
        """The least time between two messages of `watchdog`, or None where systemd does not watch."""
        self._watchdog_due_s = 0.0
        self._status = ""

    def ready(self) -> None:
        """Says that the loop runs: after the start, and after `reloading`."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Says that a reload began; `ready` must follow, whether the new file is taken or refused."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={monotonic_ns() // 1000}")

    def watchdog(self) -> None:
        """Says that the loop goes round: called on every turn, it sends three times in systemd's interval."""
        if self.watchdog_interval_s is not None and (now_s := monotonic()) >= self._watchdog_due_s:
            self._watchdog_due_s = now_s + self.watchdog_interval_s
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Says that the process is about to end, and means to."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Sets the line that ``systemctl status`` shows; the same line is not sent twice in a row."""
        # A line break would begin another assignment: a label could say READY=1.
        line = " ".join(text.split())
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        # Nobody listens, or the queue is full: the watchdog's next message is the second try.
        with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as sender:
            sender.sendto(message.encode(errors="replace"), self._address)


def _address(notify_socket: str) -> str | None:
    """The socket's path, or its name in the abstract namespace, which systemd writes with an @."""
    if notify_socket.startswith("@"):
        return "\0" + notify_socket[1:]
    return notify_socket if notify_socket.startswith("/") else None


def _watchdog_interval_s(environ: Mapping[str, str]) -> float | None:
    timeout_us = environ.get("WATCHDOG_USEC", "")
    # WATCHDOG_PID is another's where a parent handed its environment on.
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or not timeout_us.isdecimal():
        return None
    return int(timeout_us) / 1e6 / 3 or None
