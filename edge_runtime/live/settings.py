"""The settings of `litelens run`: flags and a TOML file become one frozen dataclass."""

import dataclasses
import difflib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_runtime.config_tables import settings_of
from edge_runtime.deciding.decider import DecidingSettings
from edge_runtime.deciding.region import Region, parse_region
from edge_runtime.deciding.smoothing import parse_smoothing
from edge_runtime.errors import ConfigError
from edge_runtime.sinks.settings import SinkSettings, sink_settings
from edge_runtime.updating.settings import FollowSettings
from edge_runtime.web.settings import WebSettings


@dataclass(frozen=True)
class RunSettings:
    """Everything that `litelens run` is told, besides the model."""

    camera: str
    """See edge_runtime.capture.open_camera."""
    roi: str = ""
    """The part of each frame that is looked at, as edge_runtime.deciding.region reads it; "": all of it."""
    smooth: str = "average:3"
    """How frames are judged together, as edge_runtime.deciding.smoothing reads it."""
    hysteresis: float = 0.1
    """How far below its threshold, and below the best label, a label in view may fall before it leaves."""
    min_interval: float = 0.0
    """What is in view changes at most once in so many seconds."""
    device: str = "auto"
    """What the model runs on: see edge_runtime.device."""
    threads: int | None = None
    """How many one inference may use; None: the cores, at most 4."""
    max_frames: int | None = None
    """The run ends after so many; None: with the source, or never."""
    sinks: SinkSettings = field(default_factory=SinkSettings)
    web: WebSettings | None = None
    """The live page; None: there is none."""
    follow: FollowSettings | None = None
    """Where new versions of the model come from; None: from nowhere, by itself."""

    def __post_init__(self):
        for name, (kind, lowest, highest) in _BOUNDS.items():
            value = getattr(self, name)
            if value is None and name in ("threads", "max_frames"):
                continue
            numeric = isinstance(value, (int, float) if kind is float else int) and not isinstance(
                value, bool
            )
            if not numeric or not lowest <= value <= highest:
                raise ConfigError(
                    f"{name} is {value!r:.80}, expected {_KINDS[kind]} from {lowest} to {highest}",
                    f"set --{name.replace('_', '-')}",
                )
        for name in ("camera", "roi", "smooth", "device"):
            if not isinstance(getattr(self, name), str):
                raise ConfigError(
                    f"{name} is {getattr(self, name)!r:.80}, expected a text", f'set {name} = "..."'
                )
        self.region, self.deciding  # noqa: B018  raise on what cannot be read

    @property
    def region(self) -> Region | None:
        """What `roi` says."""
        return parse_region(self.roi) if self.roi else None

    @property
    def deciding(self) -> DecidingSettings:
        """What `smooth`, `hysteresis` and `min_interval` say."""
        return DecidingSettings(parse_smoothing(self.smooth), self.hysteresis, self.min_interval)


_KINDS = {int: "a whole number", float: "a number"}
_BOUNDS = {
    "hysteresis": (float, 0, 1),
    "min_interval": (float, 0, 86_400),
    "threads": (int, 1, 256),
    "max_frames": (int, 1, 10**12),
}
_TABLES = {
    "web": (WebSettings, "127.0.0.1:8080"),
    "follow": (FollowSettings, "https://models.example.org/doors"),
}
"""Own settings that are tables, each with an address for an example."""
_SINKS = [field.name for field in dataclasses.fields(SinkSettings)]
_OWN = [field.name for field in dataclasses.fields(RunSettings) if field.name != "sinks"]


def load_settings(file: Path | None, flags: dict[str, Any]) -> RunSettings:
    """Merges a TOML file and flags, which win.

    Args:
        file: Has the fields of RunSettings and of SinkSettings side by side; [web], [follow] and each sink are tables.
        flags: The same as nested dicts. A value that is None was not given, nor was a table of such values.

    Raises:
        ConfigError: If the file cannot be read, or a setting is unknown, missing or out of bounds.
        UpdateError: If the address to follow is none.
    """
    tables = {} if file is None else _read_toml(file)
    for name, value in flags.items():
        if isinstance(value, dict):
            given = {key: flag for key, flag in value.items() if flag is not None}
            if given or not value:
                under = tables.get(name)
                tables[name] = under | given if isinstance(under, dict) else given
        elif value is not None:
            tables[name] = value
    if unknown := tables.keys() - {*_OWN, *_SINKS}:
        name = min(unknown)
        nearest = difflib.get_close_matches(name, (*_OWN, *_SINKS), 1)
        raise ConfigError(
            f"unknown setting {name}",
            f"did you mean {nearest[0]!r}?" if nearest else f"settings are {', '.join((*_OWN, *_SINKS))}",
        )
    if "camera" not in tables:
        raise ConfigError(
            "no camera is named", 'give --camera SOURCE, or camera = "SOURCE" in the config file'
        )
    own = {name: value for name, value in tables.items() if name in _OWN and name not in _TABLES}
    return RunSettings(
        **own,
        sinks=sink_settings({name: value for name, value in tables.items() if name in _SINKS}),
        **{name: _table(name, tables[name]) for name in _TABLES if name in tables},
    )


def to_toml(settings: RunSettings) -> str:
    """All settings as a file that `load_settings` reads, passwords included; what is not set is left out."""
    everything = dataclasses.asdict(settings)
    everything |= everything.pop("sinks")
    plain = {name: value for name, value in everything.items() if not isinstance(value, dict)}
    tables = {name: value for name, value in everything.items() if isinstance(value, dict)}
    parts = [_lines(plain), *(f"\n[{name}]\n{_lines(table)}" for name, table in tables.items())]
    return "".join(parts)


def _lines(values: dict[str, Any]) -> str:
    # A text, a number, a list or true in JSON is one in TOML; as a Path, it is a text. DEL alone TOML wants escaped.
    return "".join(
        f"{name} = {json.dumps(value, ensure_ascii=False, default=str)}\n".replace("\x7f", "\\u007f")
        for name, value in values.items()
        if value is not None
    )


def _table(name: str, table: Any) -> WebSettings | FollowSettings:
    kind, example = _TABLES[name]
    if not isinstance(table, dict):
        raise ConfigError(
            f"{name} is a {type(table).__name__}, expected a table", f'set address = "{example}" in [{name}]'
        )
    return settings_of(kind, table, f"{name}.")


def _read_toml(file: Path) -> dict[str, Any]:
    import tomllib  # some ms that a run without a file starts sooner

    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise ConfigError(
            f"cannot read the config {file}: {problem}",
            "make one: litelens run ... --print-config > run.toml",
        ) from problem
