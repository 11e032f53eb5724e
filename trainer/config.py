"""The settings of a training run: flags and a TOML file become one frozen dataclass."""

import dataclasses
import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import ConfigError
from edge_runtime.preprocessing import CENTRE_CROP, RESIZE_RULES

STARTER_ALPHA = 0.35


@dataclass(frozen=True)
class TrainConfig:
    """Every setting of a run, resolved; saved with it as config.toml."""

    data: str
    """Folder of class folders, or of train/ and validation/ with class folders."""
    weights: str = "imagenet"
    """Where the backbone starts: imagenet, starter, none, or a Keras weight file without its top."""
    alpha: float | None = None
    """Width of MobileNetV2; None becomes 0.35 for the starter weights and 1.0 otherwise."""
    size: int = 160
    """Height and width of the model's input in pixels."""
    resize: str = CENTRE_CROP
    """The rule of edge_runtime.preprocessing that makes the input from a picture; the device follows it too."""
    epochs: tuple[int, int] = (20, 5)
    """Of phase 1 (head on a frozen backbone) and phase 2 (fine-tuning)."""
    fine_tune_at: int = 100
    """Phase 2 trains the layers of MobileNetV2 from this index up."""
    learning_rate: float = 1e-3
    """Of phase 1; phase 2 uses a tenth."""
    batch_size: int = 32
    seed: int = 0
    """Of the split, the head's initialisation, the order and the augmentation."""
    strict: bool = False
    """Whether a file that is no picture stops the run instead of being skipped."""

    def __post_init__(self):
        if self.alpha is None:
            object.__setattr__(self, "alpha", STARTER_ALPHA if self.weights == "starter" else 1.0)
        object.__setattr__(
            self, "epochs", tuple(self.epochs) if isinstance(self.epochs, list) else self.epochs
        )
        _check(self)


def load_config(file: Path | None, **flags) -> TrainConfig:
    """Merges a TOML file and flags; a flag that is None was not given, and flags win.

    Raises:
        ConfigError: If the file cannot be read, or a setting is unknown, missing or out of bounds.
    """
    settings = {} if file is None else _read_toml(file)
    settings |= {name: value for name, value in flags.items() if value is not None}
    known = [field.name for field in dataclasses.fields(TrainConfig)]
    for name in settings:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, 1)
            raise ConfigError(
                f"{file}: unknown setting {name!r}",
                f"did you mean {nearest[0]!r}?" if nearest else f"settings are {', '.join(known)}",
            )
    if "data" not in settings:
        raise ConfigError("no pictures are named", 'give --data DIR, or data = "DIR" in the config file')
    return TrainConfig(**settings)


def _read_toml(file: Path) -> dict:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise ConfigError(
            f"cannot read the config {file}: {problem}",
            "the file must be TOML, as config.toml in a run folder",
        ) from problem


_BOUNDS = {
    # setting: (type, lowest, highest). 32 px is one cell after MobileNetV2's five halvings.
    "alpha": (float, 0.1, 2.0),
    "size": (int, 32, 1024),
    "fine_tune_at": (int, 0, 10_000),
    "learning_rate": (float, 1e-8, 1.0),
    "batch_size": (int, 1, 4096),
    "seed": (int, 0, 2**31 - 1),
}


def _check(config: TrainConfig) -> None:
    for name in ("data", "weights"):
        if not isinstance(getattr(config, name), str) or not getattr(config, name):
            raise ConfigError(f"{name} is {getattr(config, name)!r}, expected a text", f"give {name} a value")
    for name, (kind, lowest, highest) in _BOUNDS.items():
        value = getattr(config, name)
        numeric = isinstance(value, (int, float) if kind is float else int) and not isinstance(value, bool)
        if not numeric or not lowest <= value <= highest:
            raise ConfigError(
                f"{name} is {value!r}, expected {kind.__name__} from {lowest} to {highest}",
                f"set --{name.replace('_', '-')}",
            )
    if config.resize not in RESIZE_RULES:
        raise ConfigError(
            f"resize is {config.resize!r}, expected one of {', '.join(RESIZE_RULES)}",
            f'set resize = "{CENTRE_CROP}"',
        )
    if not isinstance(config.strict, bool):
        raise ConfigError(
            f"strict is {config.strict!r}, expected true or false", "set strict = true or strict = false"
        )
    epochs = config.epochs
    whole = (
        isinstance(epochs, tuple) and len(epochs) == 2 and all(isinstance(n, int) and n >= 0 for n in epochs)
    )
    if not whole or epochs[0] < 1:
        raise ConfigError(
            f"epochs is {epochs!r}, expected two whole numbers, the first at least 1, the second at least 0",
            "set --epochs HEAD FINE_TUNE, for example --epochs 20 5",
        )
    if config.weights == "starter" and config.alpha != STARTER_ALPHA:
        raise ConfigError(
            f"alpha is {config.alpha}, the starter weights are for alpha {STARTER_ALPHA}",
            "leave --alpha out, or choose --weights imagenet or none",
        )
