"""Downloads an archive: verified by its sha256, resumed after a cut, cached."""

import http.client
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import click

from edge_runtime.errors import ConfigError, DataError
from trainer.sources.cache import cache_folder, locked, sha256_of, writing

_TIMEOUT_S = 60
_PAUSES_S = (1, 2, 5)
"""Before another try where the last brought nothing; one that brought something sets the count back."""
_CHUNK = 1 << 18
_TELL_EVERY_S = 10


def is_url(spec: str) -> bool:
    """Whether it is an http or https address."""
    return re.match(r"https?://", spec, re.IGNORECASE) is not None


def check_sha256(sha256: str, needed_for: str) -> str:
    """A sha256 in lower case.

    Raises:
        ConfigError: If it is empty or no sha256.
    """
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ConfigError(
            f"{needed_for} needs the sha256 of the file, 64 hexadecimal digits, got {sha256!r}",
            "give --sha256 SUM as its publisher states it, or that of a copy you trust: sha256sum FILE",
        )
    return sha256.lower()


def download(url: str, sha256: str) -> Path:
    """The file in the cache that has this sha256; downloaded if it is not there yet.

    What came before a cut is kept beside it, also over runs, and the download goes on from there.

    Args:
        url: http or https.
        sha256: From check_sha256.

    Raises:
        DataError: If the server cannot be reached, refuses or breaks off again and again, or sends another
            file; of that nothing is kept.
        WriteError: If the cache cannot be written.
    """
    target = cache_folder() / "downloads" / sha256
    partial = target.with_suffix(".partial")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target):
            if not target.exists():
                _fetch(url, partial)
                _verify(url, partial, sha256)
                partial.rename(target)
    return target


def _fetch(url: str, partial: Path) -> None:
    """Appends to a file until it is whole."""
    click.echo(f"downloading {url}", err=True)
    started = time.monotonic()
    failures = 0
    while True:
        before = _size(partial)
        try:
            if _fetch_rest(url, partial):
                break
            reason = "the connection was cut"
        except urllib.error.HTTPError as problem:
            if problem.code < 500 and problem.code != 429:
                raise DataError(
                    f"{url}: the server says {problem.code} {problem.reason}", "check the address"
                ) from problem
            reason = f"the server says {problem.code} {problem.reason}"
        except (_NetworkError, http.client.HTTPException) as problem:
            reason = str(problem) or type(problem).__name__
        failures = 0 if _size(partial) > before else failures + 1
        if failures > len(_PAUSES_S):
            raise DataError(
                f"{url}: {reason}, after {_size(partial):,} bytes",
                "check the address and the network; the same command goes on from there",
            )
        click.echo(f"{url}: {reason} at {_size(partial):,} bytes, trying again", err=True)
        time.sleep(_PAUSES_S[max(failures - 1, 0)])
    click.echo(f"downloaded {_size(partial) / 1e6:.1f} MB in {time.monotonic() - started:.0f} s", err=True)


class _NetworkError(Exception):
    """An OSError of the connection, apart from those of the disk."""


def _fetch_rest(url: str, partial: Path) -> bool:
    """One request for what is missing; whether the file is whole then."""
    have = _size(partial)
    headers = {"User-Agent": "litelens"} | ({"Range": f"bytes={have}-"} if have else {})
    address = urllib.parse.quote(url, safe=":/?#[]@!$&'()*+,;=%")  # spaces and non-ASCII names
    try:
        response = urllib.request.urlopen(
            urllib.request.Request(address, headers=headers), timeout=_TIMEOUT_S
        )
    except urllib.error.HTTPError as problem:
        if problem.code != 416:
            raise
        # Nothing comes after what is here: that is all of it, or more than all of another file.
        total = re.fullmatch(r"bytes \*/(\d+)", problem.headers.get("Content-Range", ""))
        if total and int(total[1]) == have:
            return True
        partial.unlink()
        raise _NetworkError("the server has another file than the one begun") from problem
    except OSError as problem:  # URLError too
        raise _NetworkError(getattr(problem, "reason", problem)) from problem
    except (ValueError, http.client.InvalidURL) as problem:
        raise DataError(f"{url} is no address: {problem}", "check it") from problem
    with response:
        resumed = response.status == 206
        sent = response.headers.get("Content-Range", "")
        if resumed and not sent.startswith(f"bytes {have}-"):
            raise _NetworkError(f"the server sent {sent or 'no Content-Range'}, asked for bytes {have}-")
        start = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        with partial.open("ab" if resumed else "wb") as file:
            _copy(url, response, file, total)
    return total is None or _size(partial) == total


def _copy(url: str, response: http.client.HTTPResponse, file, total: int | None) -> None:
    told = time.monotonic()
    while True:
        try:
            chunk = response.read1(_CHUNK)
        except OSError as problem:
            raise _NetworkError(problem) from problem
        if not chunk:
            return
        file.write(chunk)
        if time.monotonic() - told > _TELL_EVERY_S:
            told = time.monotonic()
            of = "" if total is None else f" of {total / 1e6:.0f}"
            click.echo(f"{url}: {file.tell() / 1e6:.0f}{of} MB", err=True)


def _verify(url: str, partial: Path, sha256: str) -> None:
    found = sha256_of(partial)
    if found != sha256:
        size = _size(partial)
        partial.unlink()
        raise DataError(
            f"{url} sent {size:,} bytes with the sha256 {found}, expected {sha256}; nothing is kept",
            "check --sha256 and the address: the file is another than the one that was meant",
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
