"""`litelens run` for a long time, with all that takes memory: a camera, the page, MQTT and saving.

    python -m benchmarks.soak NAME.tflite VIDEO --minutes 30 --json FILE

The camera is an ffmpeg that plays the video in a loop, in real time, as Motion JPEG over HTTP; the broker is a
mosquitto; somebody watches the page's video all the while and saves a frame with the page's button once a minute.
Frames are counted by the run's own /metrics, ages are those of every line it printed.
"""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.result_file import begin, write_result
from edge_runtime.board import kernel_text

SETTLED_S = 60
"""After so long everything has been loaded and each buffer used: the memory at the start."""
SAVE_EVERY_S = 60


@dataclass(frozen=True)
class Soak:
    """What the run took and gave."""

    seconds: float
    """Between the memory at the start and that at the end."""
    captured: int
    """Frames that the camera gave."""
    dropped: int
    """Frames that a newer one replaced."""
    classified: int
    age_p50_ms: float
    age_p99_ms: float
    start_memory_bytes: int
    """The run's resident set once it has settled."""
    end_memory_bytes: int
    watched_bytes: int
    """Of the page's video."""
    saved: int
    """Frames, by the page's button."""
    messages: int
    """Events that the broker passed on."""
    events: int
    """Events that the run printed."""
    hard_examples: int
    """Frames that the model was unsure of."""


def soak(model: Path, video: Path, seconds: float) -> Soak:
    """Runs it all for so long and counts.

    Raises:
        click.ClickException: If the run ended before its time.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        camera, broker, page = (_free_port() for _ in range(3))
        stack.enter_context(_serving(_program("mosquitto"), "-p", str(broker)))
        loop = ("-v", "error", "-re", "-stream_loop", "-1", "-i", str(video), "-c:v", "mjpeg", "-q:v", "3")
        address = f"http://127.0.0.1:{camera}/"
        stack.enter_context(_serving(_program("ffmpeg"), *loop, "-f", "mpjpeg", "-listen", "1", address))
        _wait_for_port(broker)
        messages = stack.enter_context(_subscriber(broker))
        lines = stack.enter_context((folder / "lines").open("w"))
        run = [
            sys.executable,
            "-m",
            "litelens",
            "run",
            str(model),
            "--camera",
            address,
            "--web",
            f"127.0.0.1:{page}",
        ]
        run += ["--mqtt", f"mqtt://127.0.0.1:{broker}", "--mqtt-prefix", "soak", "--history"]
        run += ["--hard-examples", str(folder / "hard"), "--state", str(folder / "state")]
        run += ["--web-pictures", str(folder / "pictures")]
        process = stack.enter_context(_serving(*run, stdout=lines))
        _wait_for_port(page)
        watched = stack.enter_context(_viewer(page))
        time.sleep(SETTLED_S)
        start = time.monotonic()
        memory, saved = _resident_bytes(process.pid), 0
        while (passed := time.monotonic() - start) < seconds:
            if process.poll() is not None:
                raise click.ClickException(
                    f"litelens run ended after {passed:.0f} s with {process.returncode}"
                )
            saved += _save_a_frame(page)
            time.sleep(min(SAVE_EVERY_S, max(0.0, seconds - passed)))
        end_memory, metrics = _resident_bytes(process.pid), _metrics(page)
        process.terminate()
        process.wait()
        told = [json.loads(line) for line in (folder / "lines").read_text().splitlines()]
        ages = [line["age_ms"] for line in told]
        return Soak(
            time.monotonic() - start,
            int(metrics["litelens_frames_captured_total"]),
            int(metrics["litelens_frames_dropped_total"]),
            int(metrics["litelens_frames_classified_total"]),
            *(float(p) for p in np.percentile(ages, (50, 99))),
            memory,
            end_memory,
            sum(watched),
            saved,
            len(messages),
            sum(len(line["events"]) for line in told),
            sum(1 for _ in (folder / "hard").rglob("*.jpg")),
        )


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if not found:
        raise click.ClickException(f"{name} is not installed: sudo apt-get install {name}")
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def _serving(*command: str, stdout=subprocess.DEVNULL) -> Iterator[subprocess.Popen]:
    with subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


def _wait_for_port(port: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise click.ClickException(f"nothing answers at 127.0.0.1:{port}")


@contextmanager
def _subscriber(port: int) -> Iterator[list[bytes]]:
    """The events that the broker passes on."""
    import paho.mqtt.client as mqtt

    messages: list[bytes] = []
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.on_message = lambda client, data, message: messages.append(message.payload)
    client.on_connect = lambda client, *_: client.subscribe("soak/event", qos=1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield messages
    finally:
        client.loop_stop()


@contextmanager
def _viewer(port: int) -> Iterator[list[int]]:
    """Somebody who watches the page's video: how many bytes came, read by read."""
    received: list[int] = []
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/video.mjpg") as video:

        def watch() -> None:
            while content := video.read(2**16):
                received.append(len(content))

        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        yield received
        watching.join(10)  # the run has ended, and so has the video


def _save_a_frame(port: int) -> int:
    """Presses the page's button; 1 where the frame was saved."""
    # As a browser says: the page asks for it itself.
    headers = {"Content-Type": "application/json", "Origin": f"http://127.0.0.1:{port}"}
    body = json.dumps({"class": "seen"}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/save", body, headers)
    with urllib.request.urlopen(request) as answer:
        return int(answer.status == 201)


def _metrics(port: int) -> dict[str, float]:
    """The values of /metrics, by name; of a family, the last one."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        samples = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#"]
    return {name.partition("{")[0]: float(value) for name, value in samples}


def _resident_bytes(pid: int) -> int:
    for line in kernel_text(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise click.ClickException(f"process {pid} has ended")


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("video", type=click.Path(exists=True, path_type=Path))
@click.option("--minutes", type=float, default=30, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="FILE")
def main(model: Path, video: Path, minutes: float, json_path: Path | None) -> None:
    """Prints frames in, out and dropped, memory at the start and at the end, and the frames' ages."""
    began = begin()
    found = soak(model, video, minutes * 60)
    for name, value in asdict(found).items():
        click.echo(f"{name:20}{value:>14,.1f}" if isinstance(value, float) else f"{name:20}{value:>14,}")
    if json_path:
        write_result(json_path, "soak", began, {"model": model.name, "video": video.name} | asdict(found))


if __name__ == "__main__":
    main()
