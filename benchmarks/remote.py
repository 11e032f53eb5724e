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
    from fleet.runtime import Runtime

_SAME_VERSION = "install the same version of litelens here and there"

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
    """The other machine did not give a card that can be read here."""


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
        FleetError: If the machine cannot be reached or has no litelens, or the connection was cut.
        RemoteBenchError: If the bench failed there, or its card cannot be read here.
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
    from fleet.runtime import ANSWER_S, find_runtime

    async with connecting as device:
        runtime = await find_runtime(device)
        _say(runtime)
        cache = (await device.check(("sh", "-c", _PREPARE), timeout_s=ANSWER_S)).rstrip("\n")
        folder, arrived = f"{cache}/{secrets.token_hex(8)}", f"{cache}/{sha256_of(model)}"
        try:
            await _send_model(device, model, arrived)
            if pictures:
                arguments = [*arguments, "--data", await _send_pictures(device, pictures, f"{folder}/data")]
            command = (runtime.program, "bench", f"{folder}/model/{model.name}", *arguments)
            card = await _measure(device, folder, arrived, command, runtime.version)
            return _card(card, device, runtime.version)
        finally:
            # After a cut nothing can be removed, and the next upload goes on from what is there.
            with suppress(FleetError):
                await device.run(("sh", "-c", _REMOVE, "sh", cache, folder, arrived), timeout_s=ANSWER_S)


def _say(runtime: "Runtime") -> None:
    here = metadata.version("litelens")
    other = "" if runtime.version == here else f"; here it is {here}"
    line = f"{runtime.connection.address}: litelens {runtime.version}, {runtime.program}{other}"
    click.echo(line, err=True)


async def _send_model(device: "Connection", model: Path, folder: str) -> None:
    from fleet.files import upload
    from fleet.runtime import ANSWER_S

    await device.check(("mkdir", "-p", folder), timeout_s=ANSWER_S)
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
    from fleet.runtime import cause

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
        f"litelens bench on {device.address} ended with {cause(ended.status)}: {said or 'it said nothing'}",
        relay.hint or f"look at the machine: {device.address.ssh('dmesg')}",
    )


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
