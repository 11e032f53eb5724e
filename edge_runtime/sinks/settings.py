"""Who is told, and how: the settings of all sinks."""

import re
import socket
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import SplitResult, urlsplit

from edge_runtime.config_tables import settings_of
from edge_runtime.errors import ConfigError

# The sinks themselves are imported by open_sinks when they are used: a run that only prints starts 0.1 s sooner.

MQTT_PORTS = {"mqtt": 1883, "mqtts": 8883}
MOST_PREFIX_BYTES = 200
MOST_PIN = 27
"""GPIO0 to GPIO27 are led out on a Raspberry Pi's header."""
LEAST_CAP_BYTES = 64 * 1024
"""A database of less would hold little more than SQLite's own pages."""
What = Literal["all", "events"]


@dataclass(frozen=True)
class JsonFileSettings:
    """A file of JSON lines."""

    path: str
    what: What = "all"
    """"all": a line a frame. "events": a line an event."""
    rotate_bytes: int = 10 * 2**20
    """A file that would become larger is renamed to PATH.1, the one of that name to PATH.2, and so on."""
    keep: int = 5
    """So many renamed files are kept."""

    def __post_init__(self):
        if self.what not in get_args(What):
            raise ConfigError(
                f"log: what is {self.what!r:.80}, expected all or events", "all: a line a frame"
            )
        _check_least("log", "rotate_bytes", self.rotate_bytes, 1)
        _check_least("log", "keep", self.keep, 0)


@dataclass(frozen=True)
class MqttSettings:
    """Which broker is told, and under which topics."""

    address: str = field(repr=False)
    """mqtt://HOST or mqtts://HOST (TLS), with :PORT (1883 or 8883) and USER:PASSWORD@ where need be; the environment
    variables LITELENS_MQTT_USERNAME and LITELENS_MQTT_PASSWORD stand in for the latter, which others see in `ps`."""
    prefix: str = ""
    """Topics begin with it, one prefix a camera; "" becomes litelens/HOSTNAME."""
    discovery: str = "homeassistant"
    """Home Assistant's discovery prefix; "" announces nothing."""
    interval_s: float = 10.0
    """The state is published when it changes, and with its scores as often as this."""
    cap_bytes: int = 16 * 2**20
    """What undelivered events may take on disk: about 50,000 events."""

    def __post_init__(self):
        if not self.prefix:
            object.__setattr__(self, "prefix", default_prefix(socket.gethostname()))
        broker_address(self.address)
        _check_topic(self.prefix, "litelens/door")
        if self.discovery:
            _check_topic(self.discovery, "homeassistant")
        _check_least("mqtt", "interval_s", self.interval_s, 0.1)
        _check_least("mqtt", "cap_bytes", self.cap_bytes, LEAST_CAP_BYTES)


@dataclass(frozen=True)
class WebhookSettings:
    """Who is told of events by HTTP."""

    address: str = field(repr=False)
    """http:// or https://, with user:password@ where the receiver wants them; a path is often a secret, too."""
    secret: str = field(default="", repr=False)
    """Signs each request (HMAC-SHA256 of the body, in X-Litelens-Signature); "" takes LITELENS_WEBHOOK_SECRET."""
    timeout_s: float = 10.0
    """For each step of a request: connecting, sending, the answer."""
    cap_bytes: int = 16 * 2**20
    """What undelivered events may take on disk: about 50,000 events."""

    def __post_init__(self):
        web_address(self.address)
        _check_least("webhook", "timeout_s", self.timeout_s, 0.1)
        _check_least("webhook", "cap_bytes", self.cap_bytes, LEAST_CAP_BYTES)


@dataclass(frozen=True)
class HistorySettings:
    """What is remembered."""

    sample_s: float = 60.0
    """Mean scores are kept for every so many seconds."""
    cap_bytes: int = 64 * 2**20
    """What the file may take; the oldest records make room. At 300 bytes a record, five months at one a minute."""

    def __post_init__(self):
        _check_least("history", "sample_s", self.sample_s, 1)
        _check_least("history", "cap_bytes", self.cap_bytes, LEAST_CAP_BYTES)


@dataclass(frozen=True)
class HardExampleSettings:
    """Which frames are saved, and where."""

    folder: str
    low: float = 0.3
    """A frame is uncertain whose best score is from here ..."""
    high: float = 0.7
    """... to here,"""
    margin: float = 0.15
    """or less than this above the second best."""
    every_s: float = 10.0
    """At most one frame in so many seconds."""
    cap_bytes: int = 500 * 10**6
    """What the folder's examples may take; the oldest make room."""
    free_bytes: int = 500 * 10**6
    """So much of the disk is left to others: below it nothing is saved."""

    def __post_init__(self):
        if not 0 <= self.low <= self.high <= 1 or not 0 <= self.margin <= 1:
            raise ConfigError(
                f"hard_examples: low, high and margin are {self.low}, {self.high} and {self.margin}, "
                "expected 0 <= low <= high <= 1 and a margin from 0 to 1",
                "such as 0.3, 0.7 and 0.15",
            )
        _check_least("hard_examples", "every_s", self.every_s, 0)
        _check_least("hard_examples", "cap_bytes", self.cap_bytes, 1)
        _check_least("hard_examples", "free_bytes", self.free_bytes, 0)


@dataclass(frozen=True)
class SinkSettings:
    """Who is told of what a camera sees; None: that one is not."""

    state: str = ""
    """The folder for what must outlive the run: undelivered events, the history; "" becomes
    open_sink.default_state_folder."""
    stdout: Literal["all", "events", "nothing"] = "all"
    """A line of JSON a frame, an event, or none."""
    log: JsonFileSettings | None = None
    mqtt: MqttSettings | None = None
    webhook: WebhookSettings | None = None
    gpio: tuple[str, ...] = ()
    """Pins that are on while a label is in view, each PIN=LABEL: "17=cat" is GPIO17, which is place 11 of the header."""
    history: HistorySettings | None = None
    hard_examples: HardExampleSettings | None = None

    def __post_init__(self):
        if self.stdout not in ("all", "events", "nothing"):
            raise ConfigError(
                f"stdout is {self.stdout!r:.80}, expected all, events or nothing", "such as events"
            )
        pins = [pin for pin, _ in map(pin_and_label, self.gpio)]
        if len(set(pins)) < len(pins):
            raise ConfigError(f"gpio: a pin is named twice in {', '.join(self.gpio)}", "name one label a pin")


def sink_settings(tables: dict[str, Any]) -> SinkSettings:
    """Settings from what TOML gives: `SinkSettings`' fields by name, each sink a table of its own fields.

    Raises:
        ConfigError: If a name is unknown, a value has the wrong type or is out of bounds.
    """
    return settings_of(SinkSettings, tables)


def web_address(address: str) -> SplitResult:
    """Takes a web address apart.

    Raises:
        ConfigError: If it is none; the message does not repeat it, as it may hold a secret.
    """
    hint = "such as --webhook https://example.org/hook"
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018  raises on what is no port
        (parts.hostname or "").encode("idna")
        address.encode("ascii")
    except ValueError:  # also UnicodeError; its text repeats a part of the address
        raise ConfigError("the webhook's address is no web address", hint) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("the webhook's address does not begin with http://HOST or https://HOST", hint)
    if any(character <= " " or character == "\x7f" for character in address):
        raise ConfigError("the webhook's address has spaces or control characters", hint)
    return parts


def broker_address(address: str) -> SplitResult:
    """Takes a broker's address apart.

    Raises:
        ConfigError: If it is none; the message does not repeat it, as it may hold a password.
    """
    hint = "such as --mqtt mqtt://broker.local, or mqtts://USER:PASSWORD@broker.example.org:8883"
    try:
        parts = urlsplit(address)
        port = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError:  # also UnicodeError; its text repeats a part of the address
        raise ConfigError("the MQTT broker's address is no address", hint) from None
    if parts.scheme not in MQTT_PORTS or not parts.hostname or port == 0:
        raise ConfigError("the MQTT broker's address does not begin with mqtt://HOST or mqtts://HOST", hint)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigError("the MQTT broker's address goes on after the host and port", hint)
    return parts


def _check_topic(prefix: str, example: str) -> None:
    """Refuses what cannot begin a topic.

    Raises:
        ConfigError: If prefix is no printable text of 1 to 200 bytes, has the wildcards + or #, an empty level
            (as in a//b), or begins with $, which belongs to the broker.
    """
    allowed = prefix.isprintable() and not set("+#") & set(prefix) and not prefix.startswith("$")
    if not allowed or not all(prefix.split("/")) or len(prefix.encode()) > MOST_PREFIX_BYTES:
        raise ConfigError(
            f"{prefix!r:.220} cannot begin MQTT topics, expected printable text of at most {MOST_PREFIX_BYTES} bytes, "
            "levels parted by single /, without + and #, not beginning with $",
            f"such as {example}",
        )


def default_prefix(hostname: str) -> str:
    """``litelens/HOSTNAME``, of the letters, digits, "-" and "_" in it."""
    return "litelens/" + (re.sub(r"[^a-zA-Z0-9_-]+", "-", hostname)[:60] or "camera")


def pin_and_label(text: str) -> tuple[int, str]:
    """Reads "17=cat".

    Raises:
        ConfigError: If it is not a number from 0 to MOST_PIN, "=" and a label.
    """
    number, _, label = text.partition("=")
    if not re.fullmatch("[0-9]{1,2}", number) or int(number) > MOST_PIN or not label:
        raise ConfigError(
            f"gpio: {text!r:.80} is no PIN=LABEL with a pin from 0 to {MOST_PIN}", "such as --gpio 17=cat"
        )
    return int(number), label


def _check_least(sink: str, name: str, value: float, least: float) -> None:
    if not value >= least:  # also a NaN
        raise ConfigError(f"{sink}: {name} is {value}, expected at least {least}", f"set {name} higher")
