"""The settings of a training run: flags and a TOML file become one frozen dataclass."""

import dataclasses
import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import ConfigError
from edge_runtime.preprocessing import CENTRE_CROP, RESIZE_RULES
from trainer.audit.findings import KINDS, SKIPPED_KINDS

STARTER_ALPHA = 0.35
FEW_PICTURES = 1000
"""Below it, an augmented view of each picture costs seconds and is half of what there is to learn from. Above, it takes
as long as all pictures once more: from 1,714 of cats_dogs 97.7 % of 1,000 others were right, with it and without."""


@dataclass(frozen=True)
class BackboneDefaults:
    """What a backbone is trained with unless the user says otherwise."""

    size: int
    """Height and width of the input in pixels."""
    fine_tune_at: int
    """Phase 2 trains its layers from this index up."""


BACKBONES = {
    # Fine-tuning starts where the last stage does: its 5 x 5 maps (at 160 px) cost a third of the layers' time.
    "mobilenet_v2": BackboneDefaults(160, 116),
    "mobilenet": BackboneDefaults(160, 55),
    "xception": BackboneDefaults(160, 116),
    "vgg16": BackboneDefaults(160, 15),
    "resnet50": BackboneDefaults(160, 143),
    "small_cnn": BackboneDefaults(28, 0),
}
ALPHAS = {"mobilenet_v2": (0.35, 0.5, 0.75, 1.0, 1.3, 1.4), "mobilenet": (0.25, 0.5, 0.75, 1.0)}
"""Widths with published ImageNet weights; the other backbones have one width."""
CHOICES = {
    "resize": RESIZE_RULES,
    "backbone": tuple(BACKBONES),
    "augmentation": ("none", "light", "strong", "camera"),
    "class_weights": ("balanced", "none"),
    "schedule": ("cosine", "constant"),
    "strategy": ("none", "mirrored", "multi_worker"),
}


@dataclass(frozen=True)
class Selection:
    """Which pictures are used, and how they are split: the settings of these names in TrainConfig."""

    data: str
    sha256: str = ""
    classes: tuple[str, ...] = ()
    limit: int = 0
    validation_fraction: float = 0.15
    test_fraction: float = 0.15
    seed: int = 0


@dataclass(frozen=True)
class TrainConfig:
    """Every setting of a run, resolved; saved with it as config.toml."""

    data: str
    """Where the pictures come from: see trainer.sources.open_source."""
    sha256: str = ""
    """Of the file that `data` names, where that is an address."""
    classes: tuple[str, ...] = ()
    """Only these classes are used; none named: all."""
    limit: int = 0
    """At most so many pictures of a class in a split; 0: all."""
    validation_fraction: float = 0.15
    """Share of each class held back for validation where the data is not split."""
    test_fraction: float = 0.15
    """Share of each class held back for the test at the end where the data is not split."""
    backbone: str = "mobilenet_v2"
    """One of BACKBONES."""
    weights: str | None = None
    """Where the backbone starts: imagenet, starter, none, or a Keras weight file without its top; None becomes
    none for small_cnn and imagenet for all others."""
    from_run: str = ""
    """A run folder whose trained backbone this run starts from; then `weights` is not looked at."""
    freeze_features: bool = False
    """Whether only the head is trained, whatever `epochs` says of phase 2."""
    alpha: float | None = None
    """Width of the backbone; None becomes 0.35 for the starter weights and 1.0 otherwise."""
    size: int | None = None
    """Height and width of the model's input in pixels; None becomes the backbone's own."""
    resize: str = CENTRE_CROP
    """The rule of edge_runtime.preprocessing that makes the input from a picture; the device follows it too."""
    epochs: tuple[int, int] = (20, 3)
    """At most so many of phase 1 (head on a frozen backbone) and phase 2 (fine-tuning)."""
    patience: int = 5
    """A phase ends after so many epochs without a better validation result; 0: never early."""
    fine_tune_at: int | None = None
    """Phase 2 trains the backbone's layers from this index up; None becomes the backbone's own."""
    learning_rate: float | None = None
    """Of phase 1; None becomes 0.003 for a head on features and 0.001 for a whole network."""
    fine_tune_rate: float | None = None
    """Of phase 2; None becomes a thirtieth of `learning_rate`."""
    schedule: str = "cosine"
    """How the rate falls over a phase: cosine, or constant."""
    batch_size: int = 32
    augmentation: str = "light"
    """The policy of trainer.augmentation: none, light, strong or camera."""
    views: int | None = None
    """Augmented views of each picture beside the picture itself, where features are cached; None: 1 where fewer than
    FEW_PICTURES are trained on, else 0."""
    class_weights: str = "balanced"
    """Whether rare classes weigh more in the loss: balanced, or none."""
    label_smoothing: float = 0.0
    """Share of the target probability that is spread over all classes."""
    cache: bool = True
    """Whether what the frozen layers compute is kept instead of computed in each epoch."""
    memory_gb: float | None = None
    """What pictures and cached features may take before they go to disk; None: half of what is free."""
    seed: int = 0
    """Of the split, the head's initialisation, the order and the augmentation."""
    deterministic: bool = False
    """Whether TensorFlow may only use operations that repeat exactly, at some cost in speed."""
    strategy: str = "none"
    """How tf.distribute spreads the training: none, mirrored or multi_worker."""
    mixed_precision: bool = False
    xla: bool = False
    tensorboard: bool = True
    """Whether logs for TensorBoard are written into the run folder."""
    strict: tuple[str, ...] = ()
    """Kinds of audit findings that stop the run."""

    @property
    def from_scratch(self) -> bool:
        """Whether nothing was learnt yet that phase 1 could freeze: then it trains all layers, and is the only one."""
        return self.weights == "none" and not self.from_run

    @property
    def fine_tunes(self) -> bool:
        """Whether there is a phase 2."""
        return self.epochs[1] > 0 and not self.freeze_features and not self.from_scratch

    def views_of(self, pictures: int) -> int:
        """How many augmented views are made of each of so many training pictures."""
        if self.augmentation == "none":
            return 0
        return int(pictures < FEW_PICTURES) if self.views is None else self.views

    @property
    def selection(self) -> Selection:
        """The part that says which pictures are used."""
        return Selection(**{f.name: getattr(self, f.name) for f in dataclasses.fields(Selection)})

    def __post_init__(self):
        for field in ("classes", "epochs", "strict"):
            if isinstance(getattr(self, field), list):
                object.__setattr__(self, field, tuple(getattr(self, field)))
        if isinstance(self.strict, bool):  # --strict alone
            object.__setattr__(self, "strict", SKIPPED_KINDS if self.strict else ())
        _check(self)
        own = BACKBONES[self.backbone]
        if self.weights is None:
            object.__setattr__(self, "weights", "none" if self.backbone == "small_cnn" else "imagenet")
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", 1e-3 if self.from_scratch else 3e-3)
        resolved = {
            "alpha": STARTER_ALPHA if self.weights == "starter" else 1.0,
            "size": own.size,
            "fine_tune_at": own.fine_tune_at,
            "fine_tune_rate": self.learning_rate / 30,
        }
        for field, value in resolved.items():
            if getattr(self, field) is None:
                object.__setattr__(self, field, value)
        _check_together(self)


def load_config(file: Path | None, **flags) -> TrainConfig:
    """Merges a TOML file and flags; a flag that is None was not given, and flags win.

    Raises:
        ConfigError: If the file cannot be read, or a setting is unknown, missing or out of bounds.
    """
    settings = {} if file is None else _read_toml(file)
    settings |= {name: value for name, value in flags.items() if value is not None}
    if settings.get("from_run") and not settings.keys() >= set(_OF_THE_BACKBONE):
        earlier = _read_toml(Path(settings["from_run"]) / "config.toml")
        settings = {name: earlier[name] for name in _OF_THE_BACKBONE if name in earlier} | settings
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


_OF_THE_BACKBONE = ("backbone", "weights", "alpha", "size", "resize", "fine_tune_at")
"""Settings that a run takes over from the run it starts from."""


def to_toml(config: TrainConfig) -> dict:
    """The settings as TOML can hold them: what is None is left out, and comes out the same when read again."""
    return {name: value for name, value in dataclasses.asdict(config).items() if value is not None}


def _read_toml(file: Path) -> dict:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise ConfigError(
            f"cannot read the config {file}: {problem}",
            "the file must be TOML, as config.toml in a run folder",
        ) from problem


_BOUNDS = {
    # setting: (type, lowest, highest). 16 px is what two convolutions need.
    "limit": (int, 0, 10**9),
    "validation_fraction": (float, 0.01, 0.9),
    "test_fraction": (float, 0.0, 0.9),
    "alpha": (float, 0.1, 2.0),
    "size": (int, 16, 1024),
    "patience": (int, 0, 10_000),
    "fine_tune_at": (int, 0, 10_000),
    "learning_rate": (float, 1e-8, 1.0),
    "fine_tune_rate": (float, 1e-9, 1.0),
    "batch_size": (int, 1, 4096),
    "views": (int, 0, 100),
    "label_smoothing": (float, 0.0, 0.9),
    "memory_gb": (float, 0.0, 10_000.0),
    "seed": (int, 0, 2**31 - 1),
}
_TEXTS = ("data", "sha256", "weights", "from_run")
_MAY_BE_EMPTY = ("sha256", "from_run")
_SWITCHES = ("freeze_features", "cache", "deterministic", "mixed_precision", "xla", "tensorboard")


def _check(config: TrainConfig) -> None:
    for name in _TEXTS:
        value = getattr(config, name)
        if value is None or value == "" and name in _MAY_BE_EMPTY:
            continue
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{name} is {value!r}, expected a text", f"give {name} a value")
    for name, (kind, lowest, highest) in _BOUNDS.items():
        value = getattr(config, name)
        if value is None:
            continue
        numeric = isinstance(value, (int, float) if kind is float else int) and not isinstance(value, bool)
        if not numeric or not lowest <= value <= highest:
            raise ConfigError(
                f"{name} is {value!r}, expected {kind.__name__} from {lowest} to {highest}", f"set {flag(name)}"
            )
    for name, choices in CHOICES.items():
        if getattr(config, name) not in choices:
            raise ConfigError(
                f"{name} is {getattr(config, name)!r}, expected one of {', '.join(choices)}",
                f'set {name} = "{choices[0]}"',
            )
    for name in _SWITCHES:
        if not isinstance(getattr(config, name), bool):
            raise ConfigError(
                f"{name} is {getattr(config, name)!r}, expected true or false", f"set {name} = true or {name} = false"
            )
    for name in ("classes", "strict"):
        value = getattr(config, name)
        if not isinstance(value, tuple) or not all(isinstance(item, str) and item for item in value):
            raise ConfigError(f"{name} is {value!r}, expected a list of texts", f'set {name} = ["A", "B"]')
    for kind in config.strict:
        if kind not in KINDS:
            nearest = difflib.get_close_matches(kind, KINDS, 1)
            raise ConfigError(
                f"strict names {kind!r}, expected kinds of findings: {', '.join(KINDS)}",
                f"did you mean {nearest[0]!r}?" if nearest else f"set --strict {','.join(SKIPPED_KINDS)}",
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


def _check_together(config: TrainConfig) -> None:
    """Settings that are right alone and wrong beside each other."""
    if config.validation_fraction + config.test_fraction > 0.95:
        raise ConfigError(
            f"validation_fraction {config.validation_fraction} and test_fraction {config.test_fraction} leave "
            "nothing to train on, expected at most 0.95 together",
            "set --validation-fraction 0.15 --test-fraction 0.15",
        )
    if len(config.classes) == 1 or len(set(config.classes)) != len(config.classes):
        raise ConfigError(
            f"classes is {', '.join(config.classes)}, expected at least two different ones",
            "set --classes A,B or leave it out for all",
        )
    if config.weights == "starter" and (config.backbone, config.alpha) != ("mobilenet_v2", STARTER_ALPHA):
        raise ConfigError(
            f"backbone is {config.backbone} and alpha {config.alpha}, the starter weights are for mobilenet_v2 of "
            f"alpha {STARTER_ALPHA}",
            "leave --backbone and --alpha out, or choose --weights imagenet or none",
        )
    if config.alpha != 1.0 and config.backbone not in ALPHAS:
        raise ConfigError(
            f"alpha is {config.alpha}, {config.backbone} has one width",
            f"leave --alpha out, or choose --backbone {' or '.join(ALPHAS)}",
        )
    if config.backbone != "small_cnn" and config.size < 32:
        raise ConfigError(
            f"size is {config.size}, {config.backbone} halves the picture five times and needs at least 32",
            "set --size 32 or more, or --backbone small_cnn",
        )
    if config.backbone == "xception" and config.size < 71:
        raise ConfigError(f"size is {config.size}, xception needs at least 71", "set --size 96")
    if config.freeze_features and not config.from_run:
        raise ConfigError(
            "freeze_features is set without from_run, expected a run whose features are to be kept",
            "give --from-run runs/NAME, or leave --freeze-features out: --epochs 20 0 trains the head only",
        )


def flag(name: str) -> str:
    """The command line's name of a setting."""
    return f"--{name.replace('_', '-')}"
