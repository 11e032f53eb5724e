"""The verb `run`: from a camera to decisions, for as long as it is left alone."""

import os
import signal
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_runtime.board import Board
from edge_runtime.capture.frame import Source
from edge_runtime.capture.newest import NewestFrames
from edge_runtime.capture.open_camera import is_live, open_camera
from edge_runtime.capture.redaction import redact
from edge_runtime.cli import Skipped, model_argument, threads_option
from edge_runtime.deciding.decider import Decider
from edge_runtime.device.name import CPU
from edge_runtime.live.loop import Live
from edge_runtime.live.model import LoadedModel, load_model
from edge_runtime.live.preparing import Preparing
from edge_runtime.live.reload import RunningModel
from edge_runtime.live.settings import RunSettings, load_settings, to_toml
from edge_runtime.service.notify import Notifier
from edge_runtime.sinks.open_sink import default_state_folder, open_sinks
from edge_runtime.store.served import Served

if TYPE_CHECKING:
    from edge_runtime.updating.follower import Follower

ENDS_WITHIN_S = 1.8
"""After a signal; then the process ends by force, whatever hangs: a driver, a disk. Undelivered events are on disk."""
# 130 is what a shell reports for a program that Ctrl-C ended: 128 + SIGINT.
_CODES = {signal.SIGTERM: 0, signal.SIGINT: 130}

_GROUPS = {
    "Camera": ("camera", "roi", "max_frames"),
    "Decision": ("smooth", "hysteresis", "min_interval"),
    "Model": ("device", "threads", "follow", "root", "channel"),
    "Output": (
        *(
            "events_only",
            "quiet",
            "log",
            "mqtt",
            "mqtt_prefix",
            "webhook",
            "gpio",
            "history",
            "hard_examples",
            "state",
        ),
        *("web", "web_pictures"),
    ),
}
"""Heading to options, as `litelens run --help` shows them."""


class _Grouped(click.Command):
    """A command whose many options stand under headings."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        options = {
            option.name: option for option in self.get_params(context) if isinstance(option, click.Option)
        }
        for heading, names in _GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([options.pop(name).get_help_record(context) for name in names])
        with formatter.section("Other options"):
            formatter.write_dl([option.get_help_record(context) for option in options.values()])


@click.command(cls=_Grouped)
@model_argument
@click.option(
    "--camera", metavar="SOURCE", help="0 (/dev/video0), picamera, rtsp://..., demo, a file, a folder ..."
)
@click.option(
    "--roi", metavar="X,Y,W,H", help="Look at this part only: pixels, or fractions (0.1,0.2,0.5,0.5)."
)
@click.option("--max-frames", type=click.IntRange(min=1), metavar="N", help="Stop after N frames.")
@click.option(
    "--smooth",
    metavar="HOW",
    help=f"none, average:N frames, votes:K/N frames.  [default: {RunSettings.smooth}]",
)
@click.option(
    "--hysteresis",
    type=click.FloatRange(0, 1),
    metavar="MARGIN",
    help=f"A label leaves so far below the score that it enters with.  [default: {RunSettings.hysteresis}]",
)
@click.option(
    "--min-interval",
    type=click.FloatRange(min=0),
    metavar="S",
    help="What is in view changes at most once in S seconds.",
)
@click.option(
    "--device",
    metavar="DEVICE",
    help=f"cpu, edgetpu[:usb|:pci][:N] or auto.  [default: {RunSettings.device}]",
)
@threads_option
@click.option(
    "--follow", metavar="URL", help="Take new versions of STORE/NAME/current from a signed repository."
)
@click.option("--root", metavar="ROOT.json", help="With --follow: the root metadata that this device trusts.")
@click.option("--channel", metavar="CHANNEL", help="With --follow: stable or beta.  [default: stable]")
@click.option("--events-only", is_flag=True, help="Print a line an event, not a line a frame.")
@click.option("--quiet", is_flag=True, help="Print no lines.")
@click.option("--log", metavar="FILE", help="Append the lines to a file, which is rotated.")
@click.option(
    "--mqtt", metavar="ADDRESS", help="Publish state and events: mqtt://[USER:PASSWORD@]HOST[:PORT]"
)
@click.option("--mqtt-prefix", metavar="TOPIC", help="Topics begin with it.  [default: litelens/HOSTNAME]")
@click.option("--webhook", metavar="ADDRESS", help="Post events to https://...")
@click.option("--gpio", multiple=True, metavar="PIN=LABEL", help="Switch a pin on while a label is in view.")
@click.option("--history", is_flag=True, help="Keep events and mean scores in SQLite.")
@click.option("--hard-examples", metavar="FOLDER", help="Save frames the model is unsure of.")
@click.option(
    "--state", metavar="FOLDER", help="Undelivered events and history.  [default: ~/.local/state/litelens]"
)
@click.option("--web", metavar="HOST:PORT", help="Serve the live page, such as 127.0.0.1:8080.")
@click.option("--web-pictures", metavar="FOLDER", help="Where the page saves frames, in a folder a class.")
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="Settings in TOML; flags win."
)
@click.option(
    "--print-config", is_flag=True, help="Print all settings as such a file, passwords too, and end."
)
def run(model: Path, config: Path | None, print_config: bool, **flags: Any) -> None:
    """Watch a camera: label its frames as they come, and tell what comes into view and leaves.

    Prints one JSON object a frame. Of a live camera only the newest frame is looked at; of a video or a folder,
    every one. Ctrl-C and SIGTERM end it, SIGHUP or a new model file has the model loaded again.

    \b
    litelens run parts.tflite --camera 0 --web 127.0.0.1:8080
    """
    if config is None and flags["camera"] is None:
        raise click.UsageError("Missing option '--camera'.")
    settings = load_settings(config, _tables(**flags))
    if print_config:
        click.echo(to_toml(settings), nl=False)
        return
    watch(model, settings)


def watch(path: Path, settings: RunSettings) -> None:
    """Puts the parts together and runs them until the source ends or a signal comes.

    Raises:
        LitelensError: What the parts raise when they are opened.
        SystemExit: With 130 after Ctrl-C.
    """
    state = Path(settings.sinks.state) if settings.sinks.state else default_state_folder()

    def load_again() -> LoadedModel:
        in_use = model.current.device.used != CPU
        return load_model(path, settings.device, settings.threads, state, in_use=in_use)

    follower = _follower(path, settings)
    stop, skipped, served = threading.Event(), Skipped(), Served(path, _report)
    with _Signals(stop) as signals:
        served.started()  # before the model is loaded: it may go back to the version before
        model = RunningModel(load_model(path, settings.device, settings.threads, state), load_again, _report)
        source = _open(settings, model, skipped, stop)
        live = Live(
            source,
            model,
            Decider(model.current.labels, model.current.thresholds, settings.deciding),
            open_sinks(settings.sinks, model=model.status, live=source.live),
            camera=redact(settings.camera),
            stop=stop,
            report=_report,
            notifier=Notifier(),
            board=Board().status,
            region=settings.region,
            max_frames=settings.max_frames,
            follow=follower and follower.status,
        )
        with _page(live, settings), served.watched(live.status), follower or nullcontext():
            signals.run(live, wait=source.live)
        skipped.sum_up()
        if frames := live.status().skipped:
            _report(f"{frames} frame{'s' if frames > 1 else ''} skipped in all")
    if signals.received:
        sys.exit(_CODES[signals.received])


class _Signals:
    """SIGTERM and Ctrl-C end what runs in the ``with`` block, SIGHUP has the model loaded again."""

    def __init__(self, stop: threading.Event):
        """Takes what is set when the run is to end."""
        self.received: signal.Signals | None = None
        """What ended the run; None where it ended by itself."""
        self._stop = stop
        self._live: Live | None = None
        self._wait = False
        self._before: dict[signal.Signals, Any] = {}
        self._came, self._tell = os.pipe()

    def __enter__(self) -> "_Signals":
        for number, handler in (
            (signal.SIGTERM, self._end),
            (signal.SIGINT, self._end),
            (signal.SIGHUP, self._reload),
        ):
            self._before[number] = signal.signal(number, handler)
        os.set_blocking(self._tell, False)
        signal.set_wakeup_fd(self._tell)
        threading.Thread(target=self._end_by_force, name="litelens end", daemon=True).start()
        return self

    def __exit__(self, kind: type | None, *exception: object) -> bool:
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        return kind is KeyboardInterrupt

    def run(self, live: Live, wait: bool) -> None:
        """Runs the loop; `wait` says whether it notices by itself that it is to stop, and soon."""
        self._live, self._wait = live, wait
        live.run()

    def _end(self, number: int, _) -> None:
        if self.received is not None:
            return
        self.received = signal.Signals(number)
        self._stop.set()
        if not self._wait:
            # It may be reading a large file, or writing to a pipe that nobody empties.
            raise KeyboardInterrupt

    def _reload(self, *_) -> None:
        if self._live:
            self._live.reload()

    def _end_by_force(self) -> None:
        # Told by Python's own handler, in C: the main thread may hang in an invoke, and would call none of ours.
        while (number := os.read(self._came, 1)[0]) not in _CODES:
            pass
        time.sleep(ENDS_WITHIN_S)
        os._exit(_CODES[number])


def _open(settings: RunSettings, model: RunningModel, skipped: Skipped, stop: threading.Event) -> Source:
    """The newest frames of a live camera, or all of a file's or folder's.

    Raises:
        SourceError: If it is missing, or no source.
        MissingExtraError: If it needs a library that is not installed.
    """
    camera = settings.camera
    if not is_live(camera):
        return open_camera(camera, skipped)

    def opener() -> Source:
        return Preparing(
            open_camera(camera, skipped), settings.region, lambda: model.current.classifier.input_size
        )

    # systemd starts a service at boot, perhaps before the camera; a person who mistyped it wants the error.
    return NewestFrames(camera, opener, stop=stop, patient="NOTIFY_SOCKET" in os.environ)


def _page(live: Live, settings: RunSettings) -> AbstractContextManager:
    if settings.web is None:
        return nullcontext()
    from edge_runtime.web.server import WebServer  # its libraries take a third of a second to load

    return WebServer(live, settings.web)


def _follower(model: Path, settings: RunSettings) -> "Follower | None":
    if settings.follow is None:
        return None
    from edge_runtime.updating.open_follower import open_follower  # some ms that others need not wait for

    return open_follower(model, settings.follow, _report)


def _report(line: str) -> None:
    with suppress(OSError):  # a log that is full or gone is no reason to end
        click.echo(line, err=True)


def _tables(
    *,
    events_only: bool,
    quiet: bool,
    log: str | None,
    mqtt: str | None,
    mqtt_prefix: str | None,
    webhook: str | None,
    gpio: tuple[str, ...],
    history: bool,
    hard_examples: str | None,
    web: str | None,
    web_pictures: str | None,
    follow: str | None,
    root: str | None,
    channel: str | None,
    **same: Any,
) -> dict[str, Any]:
    """Flags under the names that the config file has for them."""
    return {
        **same,
        "stdout": "nothing" if quiet else "events" if events_only else None,
        "log": {"path": log},
        "mqtt": {"address": mqtt, "prefix": mqtt_prefix},
        "webhook": {"address": webhook},
        "gpio": list(gpio) or None,
        "history": {} if history else None,
        "hard_examples": {"folder": hard_examples},
        "web": {"address": web, "pictures": web_pictures},
        "follow": {"address": follow, "root": root, "channel": channel},
    }
