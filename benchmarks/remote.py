"""`litelens bench NAME.tflite --on user@host`: measured there, by the litelens that is installed there; the card comes back.

What is put there lies below the user's cache and is gone afterwards, whether the bench ends, fails, is interrupted or is cut.
"""

import asyncio
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.card.contract import Card
from benchmarks.card.json_file import CardError, read_card
from benchmarks.measuring.pictures import Pictures, find_pictures
from edge_runtime.errors import LitelensError
from edge_runtime.extras import extra
from edge_runtime.model_file import read_model_file

if TYPE_CHECKING:
    from fleet.connection import Connection

INSTALL = "python3 -m venv /opt/litelens/venv && /opt/litelens/venv/bin/pip install ."
"""In a copy of this project."""
_SAME_VERSION = "install the same version of litelens here and there"
_ANSWER_S = 120.0
"""For what is done in a moment, on a board that is busy and whose card is slow."""

# The login shell's PATH has what the user added to it, which a command over ssh does not see. Then where `pip install
# --user` puts it, and the environment that `litelens provision` makes.
_FIND = """
for found in "$("${SHELL:-sh}" -lc 'command -v litelens' 2>/dev/null | grep '^/.*/litelens$' | tail -n 1)" \\
    "$HOME/.local/bin/litelens" /opt/litelens/venv/bin/litelens
do
    if [ -f "$found" ] && [ -x "$found" ]; then echo "$found"; exit; fi
done
"""
# Prints the folder for benches. What cuts have left there, an upload that nobody went on with, is removed after a day.
_PREPARE = """
cache="${XDG_CACHE_HOME:-$HOME/.cache}/litelens/bench"
mkdir -p "$cache" && find "$cache" -mindepth 1 -maxdepth 1 -mtime +0 -exec rm -rf {} + && echo "$cache"
"""
_MEASURE = """
# $1 folder of this bench, $2 folder in which the model arrived; then the command. Prints the card.
folder=$1 arrived=$2
shift 2
trap 'rm -rf "$folder" "$arrived"' EXIT
trap 'exit 143' TERM
trap '' PIPE  # a shell says on stderr that its command was ended, and after a cut nobody reads that
export TMPDIR="$folder"
mkdir -p "$folder" && mv "$arrived" "$folder/model" && "$@" --json "$folder/card.json" >/dev/null && cat "$folder/card.json"
"""
_REMOVE = 'cache=$1; shift; rm -rf "$@"; rmdir "$cache" "$(dirname "$cache")" 2>/dev/null'


class RemoteBenchError(LitelensError):
    """The other machine has no litelens, or it did not give a card that can be read here."""


def bench_on(model: Path, host: str, arguments: list[str], data: Path | None = None) -> Card:
    """Measures a model file on another machine; its progress is shown here, on stderr.

    Args:
        model: The model file, here; NAME_edgetpu.tflite beside it comes along.
        host: user@host[:port], or a Host of ~/.ssh/config.
        arguments: For `litelens bench` there, after the model; none that names a file.
        data: The folder of `--data`, here: the pictures that the bench would read are copied too.

    Raises:
        MissingExtraError: If asyncssh is not installed.
        ModelFileError, SourceError, DataError: If the model or the pictures cannot be used; nothing was sent then.
        FleetError: If the machine cannot be reached, or the connection was cut.
        RemoteBenchError: If it has no litelens, the bench failed there, or its card cannot be read here.
    """
    labels = read_model_file(model).labels
    pictures = find_pictures(data, labels) if data else None
    with extra("fleet", "litelens bench --on"):
        from fleet.connection import connect
    return asyncio.run(_bench_on(connect(host), model, arguments, pictures))


async def _bench_on(
    connecting: AbstractAsyncContextManager["Connection"],
    model: Path,
    arguments: list[str],
    pictures: Pictures | None,
) -> Card:
    from fleet.errors import FleetError
    from fleet.files import sha256_of

    async with connecting as device:
        litelens = await _find_litelens(device)
        version = await _version(device, litelens)
        cache = (await device.check(("sh", "-c", _PREPARE), timeout_s=_ANSWER_S)).rstrip("\n")
        folder, arrived = f"{cache}/{secrets.token_hex(8)}", f"{cache}/{sha256_of(model)}"
        try:
            await _send_model(device, model, arrived)
            if pictures:
                arguments = [*arguments, "--data", await _send_pictures(device, pictures, f"{folder}/data")]
            command = (litelens, "bench", f"{folder}/model/{model.name}", *arguments)
            return _card(await _measure(device, folder, arrived, command, version), device, version)
        finally:
            # After a cut nothing can be removed, and the next upload goes on from what is there.
            with suppress(FleetError):
                await device.run(("sh", "-c", _REMOVE, "sh", cache, folder, arrived), timeout_s=_ANSWER_S)


async def _find_litelens(device: "Connection") -> str:
    found = (await device.check(("sh", "-c", _FIND), timeout_s=_ANSWER_S)).rstrip("\n")
    if not found:
        raise RemoteBenchError(
            f"{device.address} has no litelens: it is not on the login shell's PATH, nor in ~/.local/bin, "
            "nor in /opt/litelens/venv",
            f"{device.address.ssh()}; there, in a copy of this project: {INSTALL}",
        )
    return found


async def _version(device: "Connection", litelens: str) -> str:
    asked = await device.run((litelens, "--version"), timeout_s=_ANSWER_S)
    words = asked.stdout.decode(errors="replace").split()
    if asked.status or not words:
        said = asked.stderr.decode(errors="replace").strip().splitlines()
        raise RemoteBenchError(
            f"{litelens} on {device.address} does not start: {said[-1] if said else f'status {asked.status}'}",
            f"see what it says: {device.address.ssh(litelens, '--version')}",
        )
    version = words[-1]
    here = metadata.version("litelens")
    other = "" if version == here else f"; here it is {here}"
    click.echo(f"{device.address}: litelens {version}, {litelens}{other}", err=True)
    return version


async def _send_model(device: "Connection", model: Path, folder: str) -> None:
    from fleet.files import upload

    await device.check(("mkdir", "-p", folder), timeout_s=_ANSWER_S)
    for file in (model, model.with_name(f"{model.stem}_edgetpu.tflite")):
        if file.is_file():
            with _progress(f"{file.name} to {device.address}", file.stat().st_size) as progress:
                await upload(device, file, f"{folder}/{file.name}", progress=progress)


async def _send_pictures(device: "Connection", pictures: Pictures, target: str) -> str:
    """Copies the split that the bench there will choose, below target; returns the folder to name to it."""
    from fleet.files import upload_together

    name = pictures.data.resolve().name
    files = [path for path, _ in pictures.files]
    # Folders too: that of a class without pictures is expected there as it was here.
    inside = (pictures.data / pictures.split).iterdir()
    classes = [path for path in inside if path.is_dir() and not path.name.startswith(".")]
    named = [(f"{name}/{path.relative_to(pictures.data).as_posix()}", path) for path in [*classes, *files]]
    size_bytes = sum(path.stat().st_size for path in files)
    with _progress(f"{len(files)} pictures to {device.address}", size_bytes) as progress:
        await upload_together(device, named, target, progress=progress)
    return f"{target}/{name}"


async def _measure(
    device: "Connection", folder: str, arrived: str, command: tuple[str, ...], version: str
) -> bytes:
    """The card that the bench wrote."""
    relay = _Relay()
    ended = await device.run(("sh", "-c", _MEASURE, "sh", folder, arrived, *command), on_stderr=relay.take)
    if not ended.status:
        return ended.stdout
    relay.take(b"\n")
    said = relay.last.replace(f"{folder}/model/", "").replace(f"{folder}/data/", "")
    if ended.status == 2:
        raise RemoteBenchError(
            f"litelens {version} on {device.address} does not take these arguments: {said}",
            _SAME_VERSION,
        )
    raise RemoteBenchError(
        f"litelens bench on {device.address} ended with {_cause(ended.status)}: {said or 'it said nothing'}",
        relay.hint or f"look at the machine: {device.address.ssh('dmesg')}",
    )


def _cause(status: int) -> str:
    return "status 137, killed; its memory may be too small" if status == 137 else f"status {status}"


def _card(content: bytes, device: "Connection", version: str) -> Card:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "card.json"
        path.write_bytes(content)
        try:
            return read_card(path)
        except CardError as problem:
            here = metadata.version("litelens")
            raise RemoteBenchError(
                f"the card that litelens {version} made on {device.address} cannot be read here, by litelens {here}: "
                f"{str(problem).replace(str(path), 'it')}",
                _SAME_VERSION,
            ) from problem


class _Relay:
    """Shows what the bench there says, line by line, and keeps its error, which becomes ours."""

    last = ""
    """The error, or else the last line."""
    hint = ""

    def __init__(self):
        self._rest = b""

    def take(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._line(line.decode(errors="replace"))

    def _line(self, line: str) -> None:
        kind, _, text = line.partition(": ")
        if kind == "error":
            self.last = text
        elif kind == "hint":
            self.hint = text
        elif line:
            self.last = line
            click.echo(line, err=True)


@contextmanager
def _progress(what: str, size_bytes: int) -> Iterator[Callable[[int], None]]:
    """Shows on a terminal how much has arrived; tells how many bytes more it is."""
    with click.progressbar(length=size_bytes, label=what, file=sys.stderr) as bar:
        yield bar.update
