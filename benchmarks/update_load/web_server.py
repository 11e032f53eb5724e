"""A real nginx on loopback that serves a repository as docs/updates.md says, and its log."""

import http.client
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click

# What docs/updates.md tells to write into nginx' http block; a test compares the two.
KEPT_BY_CACHES = r"""
map $status:$uri $kept {
    ~^404:              "public, max-age=60";
    ~/timestamp\.json$  "public, max-age=60";
    default             "public, max-age=31536000, immutable";
}
"""
_CONFIG = """
daemon off;
{user}
worker_processes {workers};
worker_rlimit_nofile 8192;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    {kept}
    log_format look '$connection $status $request_length $bytes_sent $request_uri';
    access_log {log};
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    sendfile on;
    tcp_nopush on;
    server_tokens off;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {site};
        add_header Cache-Control $kept always;
    }}
}}
"""
_STARTS_S = 30.0
_LOGGED_S = 10.0


@dataclass(frozen=True)
class Answered:
    """One request, as the server saw it."""

    connection: int
    status: int
    received_bytes: int
    """By the server: the request, with its headers."""
    sent_bytes: int
    """By the server: the answer, with its headers."""
    path: str


class WebServer:
    """One nginx. TCP's and IP's own bytes are not in its counts."""

    def __init__(self, port: int, log: Path):
        self.address = f"http://127.0.0.1:{port}"
        self._port, self._log, self._marks = port, log, 0

    def answered(self) -> list[Answered]:
        """All requests since the last call."""
        self._marks += 1
        mark = f"/mark-{self._marks}"
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_LOGGED_S)
        connection.request("GET", mark)
        connection.getresponse().read()
        connection.close()
        end_s = time.monotonic() + _LOGGED_S
        # One worker writes them in order, each once it is answered.
        while mark not in (text := self._log.read_text()):
            if time.monotonic() > end_s:
                raise click.ClickException(f"nginx did not log {mark}")
            time.sleep(0.01)
        _, _, since = text.rpartition(f"/mark-{self._marks - 1}\n")
        found = []
        for line in since.splitlines():
            connection_number, status, received, sent, path = line.split()
            if not path.startswith("/mark-"):
                found.append(Answered(int(connection_number), int(status), int(received), int(sent), path))
        return found


@contextmanager
def nginx(site: Path, folder: Path, *, workers: int, logged: bool) -> Iterator[WebServer]:
    """Serves a folder for the ``with`` block.

    Args:
        site: What `litelens publish` wrote.
        folder: For what nginx writes; made.
        workers: Processes; one, where the log is read.
        logged: Whether each request is logged.

    Raises:
        ClickException: If nginx is not installed, or does not start.
    """
    folder.mkdir()
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    log = folder / "access.log"
    log.touch()
    text = _CONFIG.format(
        user="user root;"
        if os.geteuid() == 0
        else "",  # else its workers could not read the temporary folder
        workers=workers,
        folder=folder,
        kept=KEPT_BY_CACHES,
        log=f"{log} look" if logged else "off",
        port=port,
        site=site,
    )
    (folder / "nginx.conf").write_text(text)
    program = needed("nginx", "nginx-light")
    process = subprocess.Popen(
        [program, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process, folder / "error.log")
        yield WebServer(port, log)
    finally:
        process.terminate()
        process.wait(30)


def needed(program: str, package: str) -> str:
    """The path of a program.

    Raises:
        ClickException: If it is not installed; names the Debian package.
    """
    found = shutil.which(program) or shutil.which(f"/usr/sbin/{program}")
    if found is None:
        raise click.ClickException(f"{program} is not installed: sudo apt-get install {package}")
    return found


def _wait_for(port: int, process: subprocess.Popen, log: Path) -> None:
    end_s = time.monotonic() + _STARTS_S
    while process.poll() is None and time.monotonic() < end_s:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.05)
    raise click.ClickException(
        f"nginx did not start: {log.read_text()[-500:] if log.exists() else 'no word'}"
    )
