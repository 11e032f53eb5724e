"""Two-phase transfer learning: a head on a frozen backbone's features, then the top of the backbone."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge_runtime.errors import RunFolderError
from edge_runtime.preprocessing import resize
from trainer import distribution, run_folder, unfinished
from trainer.audit.audit import refuse
from trainer.audit.inspection import inspect_files
from trainer.backbone import FEATURES, build_model, preprocessing
from trainer.batches import Rows, traced
from trainer.checkpoint import State
from trainer.config import TrainConfig
from trainer.dataset import Dataset, make_dataset, select
from trainer.distribution import Distribution
from trainer.evaluation.measured import measure
from trainer.features import Features, FrozenLayers, compute_features
from trainer.fitting import Answers, PhaseInputs, answer, fit
from trainer.freezing import cut, freeze, head, lower, upper
from trainer.legacy_keras import tf
from trainer.progress import say
from trainer.sources.open_source import open_source
from trainer.storage import Storage
from trainer.tensorboard import Logs
from trainer.trained import Trained
from trainer.unfinished import Unfinished


def train(config: TrainConfig, out: Path, resume: bool = False) -> Trained:
    """Trains a classifier on config.data and writes the run folder `out`.

    Args:
        config: Settings.
        out: The run folder; while it is in the making it is called .NAME.unfinished.
        resume: Whether to go on with an interrupted training of the same settings; with none there, it begins.

    Raises:
        RunFolderError: If `out` is in the way.
        ConfigError: If resume is set and the settings are not those it began with.
        DataError: If the pictures cannot be used, or config.strict names what the audit found.
        WeightsError: If the backbone's weights cannot be had.
        WriteError: If the disk is full.
    """
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    tf.keras.utils.set_random_seed(config.seed)
    place = distribution.start(config.strategy)
    chief = unfinished.begin(out, config, resume) if place.chief else unfinished.follow(out)
    with chief as work:
        trained, dataset = _train(config, place, work)
        if place.chief:
            run_folder.write(work.run, out, config, dataset, trained)
    for result in trained.measured:
        say(f"{result.split}: accuracy {result.accuracy:.4f} on {result.pictures} pictures")
    say(
        f"{out} written after {sum(trained.seconds.values()):.0f} s; next: litelens export {out} --out {out.name}.tflite"
    )
    return trained


def _train(config: TrainConfig, place: Distribution, work: Unfinished) -> tuple[Trained, Dataset]:
    clock = _Clock()
    storage = Storage(work.cache, config.memory_gb)
    dataset, pictures, class_ids = read_pictures(config, storage)
    work.hold_to(dataset.fingerprint)
    clock.lap("read")

    with _precision(config.mixed_precision), place.strategy.scope():
        model = _build(config, len(dataset.labels))
        boundary = _boundary(model, config)
        top = upper(model, boundary)
    own = place.own_rows(len(pictures["train"]))
    trains_on = {
        "train": Rows(pictures["train"].array, pictures["train"].rows[own]),
        "validation": pictures["validation"],
    }
    answers = _answers(class_ids["train"][own], class_ids["validation"], len(dataset.labels), config)
    frozen = _frozen(model, boundary) if config.cache and not config.from_scratch else None
    features = _features(frozen, trains_on, config, storage) if frozen else {}
    if storage.on_disk_bytes:
        say(f"{storage.on_disk_bytes / 1e9:.2f} GB did not fit in memory and lie in {work.cache} until the end")
    clock.lap("features")

    state = work.recall() or State(1, top.get_weights(), [], None, top.get_weights(), [], [])
    resumed = bool(state.history)
    if resumed:
        say(f"resumed after epoch {state.epochs_done} of phase {state.phase}")
    remember = _remember(work, config) if place.chief else lambda state: None
    for phase in (1, 2) if config.fine_tunes else (1,):
        if state.phase > phase:
            continue
        if config.from_scratch:
            model.trainable = True
        else:
            freeze(model, None if phase == 1 else config.fine_tune_at)
        with place.strategy.scope():
            inputs, trainee = _phase(phase, model, top, boundary, trains_on, features, config)
        state = fit(trainee, top, inputs, answers, config, place, state, remember)
        clock.lap(f"phase_{phase}")
        if phase == 1 and config.fine_tunes:
            state = replace(state, phase=2)

    if config.strategy == "none" and not config.mixed_precision:
        below = frozen if boundary != model.input_names[0] else None
        probabilities = _probabilities(model, top, below, features, pictures)
    else:
        model = _in_full_precision(model, config, len(dataset.labels))
        probabilities = _probabilities(model, top, None, {}, pictures)
    measured = [
        measure(split, dataset.labels, values, class_ids[split]) for split, values in probabilities.items()
    ]
    clock.lap("measure")
    trained = Trained(
        model,
        state.history,
        state.phases,
        measured,
        probabilities,
        pictures,
        preprocessing(config.backbone),
        clock.seconds,
        _notes(storage, state, resumed),
    )
    return trained, dataset


def read_pictures(
    config: TrainConfig, storage: Storage
) -> tuple[Dataset, dict[str, Rows], dict[str, np.ndarray]]:
    """Reads every picture once: inspects it, keeps it as the device will see it, and splits the set.

    Returns:
        (data set, {split: uint8 pictures of shape (n, size, size, 3)}, {split: int32 class ids}).

    Raises:
        DataError: If the pictures cannot be used, or config.strict names what the audit found.
        WriteError: If the pictures fit neither memory nor disk.
    """
    source = select(open_source(config.data, config.sha256), config.selection)
    size = (config.size, config.size)
    array = storage.array("pictures", (len(source.files), *size, 3), np.uint8)

    def keep(number: int, picture: np.ndarray) -> None:
        array[number] = resize(picture, size)

    inspections = inspect_files([file.path for file in source.files], keep)
    dataset = make_dataset(source, config.selection, inspections)
    _tell(dataset)
    refuse(dataset.audit, config.strict)
    row_of = {file.path: row for row, file in enumerate(source.files)}
    rows, class_ids = {}, {}
    for split, members in dataset.splits.items():
        rows[split] = Rows(array, np.array([row_of[picture.path] for picture in members], np.int64))
        class_ids[split] = np.array([picture.class_id for picture in members], np.int32)
    return dataset, rows, class_ids


def _network(config: TrainConfig, classes: int, weights: str) -> tf.keras.Model:
    return build_model(
        classes, backbone=config.backbone, size=config.size, alpha=config.alpha, weights=weights
    )


def _build(config: TrainConfig, classes: int) -> tf.keras.Model:
    if not config.from_run:
        return _network(config, classes, config.weights)
    model = _network(config, classes, "none")
    earlier = run_folder.load_model(run_folder.read(Path(config.from_run)))
    of_backbone = [layer.name for layer in lower(model, FEATURES).layers]
    try:
        for name in of_backbone:
            model.get_layer(name).set_weights(earlier.get_layer(name).get_weights())
    except ValueError as problem:
        raise RunFolderError(
            f"the backbone of {config.from_run} is no {config.backbone} of alpha {config.alpha}: {problem}",
            "leave --backbone, --alpha and --size out: they are taken from that run",
        ) from problem
    return model


def _boundary(model: tf.keras.Model, config: TrainConfig) -> str:
    """The layer up to which nothing is ever trained."""
    if config.from_scratch:
        return model.input_names[0]
    return cut(model, config.fine_tune_at) if config.fine_tunes else FEATURES


def _frozen(model: tf.keras.Model, boundary: str) -> FrozenLayers:
    if boundary in (FEATURES, model.input_names[0]):  # phase 2 does not run, or begins with the pictures
        return FrozenLayers(tf.keras.Model(model.input, model.get_layer(FEATURES).output))
    return FrozenLayers(lower(model, boundary))


def _features(
    frozen: FrozenLayers, pictures: dict[str, Rows], config: TrainConfig, storage: Storage
) -> dict[str, Features]:
    return {
        split: compute_features(
            frozen,
            pictures[split],
            name=split,
            views=config.views_of(len(pictures[split])) if split == "train" else 0,
            policy=config.augmentation,
            seed=config.seed,
            batch_size=config.batch_size,
            storage=storage,
        )
        for split in pictures
    }


def _phase(
    phase: int,
    model: tf.keras.Model,
    top: tf.keras.Model,
    boundary: str,
    pictures: dict[str, Rows],
    features: dict[str, Features],
    config: TrainConfig,
) -> tuple[PhaseInputs, tf.keras.Model]:
    """What a phase learns from, and the part of the model that it trains."""
    count = len(pictures["train"])
    if not features or phase == 2 and boundary == model.input_names[0]:
        order = _shuffled(count, config.seed, phase)
        return PhaseInputs(pictures["train"], pictures["validation"], order, config.batch_size), model
    views = len(features["train"].pooled) // count
    if phase == 1:
        # All views in each epoch, and as many pictures a step as without the cache: vectors are small.
        order = _shuffled(views * count, config.seed, phase)
        pooled = features["train"].pooled, features["validation"].pooled
        return PhaseInputs(*pooled, order, config.batch_size * views), head(model)
    cached = features["train"].lowest, features["validation"].lowest
    return PhaseInputs(*cached, _one_view_each(count, views, config.seed, phase), config.batch_size), top


def _remember(work: Unfinished, config: TrainConfig) -> Callable[[State], None]:
    """What happens after each epoch."""
    logs = Logs(work.tensorboard) if config.tensorboard else None

    def remember(state: State) -> None:
        work.remember(state)
        if logs:
            logs.write(state.history)

    return remember


def _shuffled(count: int, seed: int, phase: int) -> Callable[[int], np.ndarray]:
    return lambda epoch: np.random.default_rng([seed, phase, epoch]).permutation(count)


def _one_view_each(count: int, views: int, seed: int, phase: int) -> Callable[[int], np.ndarray]:
    def order(epoch: int) -> np.ndarray:
        draw = np.random.default_rng([seed, phase, epoch])
        pictures = draw.permutation(count)
        return draw.integers(0, views, count) * count + pictures

    return order


def _answers(train: np.ndarray, held: np.ndarray, classes: int, config: TrainConfig) -> Answers:
    """One-hot answers; "balanced" weights are n / (classes * n_class), as King and Zeng (2001) and scikit-learn have it."""
    weights = np.ones(len(train), np.float32)
    if config.class_weights == "balanced":
        weights = (len(train) / (classes * np.bincount(train, minlength=classes)))[train].astype(np.float32)
    return Answers(np.eye(classes, dtype=np.float32)[train], weights, held)


@contextmanager
def _precision(mixed: bool) -> Iterator[None]:
    """Within it, layers are made that compute in 16 bits and keep their weights in 32."""
    sixteen = "mixed_float16" if tf.config.list_physical_devices("GPU") else "mixed_bfloat16"
    tf.keras.mixed_precision.set_global_policy(sixteen if mixed else "float32")
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")


def _probabilities(
    model: tf.keras.Model,
    top: tf.keras.Model,
    frozen: FrozenLayers | None,
    features: dict[str, Features],
    pictures: dict[str, Rows],
) -> dict[str, np.ndarray]:
    """What the trained model answers: {split: float32 of shape (pictures, classes)}, of all splits but "train".

    Where the layers below `top` were never trained, what they made of the validation pictures is there already.
    """
    if frozen is None:
        forward = traced(model)
        return {split: answer(forward, pictures[split]) for split in pictures if split != "train"}
    above = traced(top)
    found = {"validation": answer(above, features["validation"].lowest)}
    if "test" in pictures:
        found["test"] = answer(lambda batch: above(frozen(batch)[0]), pictures["test"])
    return found


def _in_full_precision(model: tf.keras.Model, config: TrainConfig, classes: int) -> tf.keras.Model:
    """A trained model as the exporter takes it: 32-bit layers, on one device."""
    plain = _network(config, classes, "none")
    plain.set_weights(model.get_weights())
    return plain


def _tell(dataset: Dataset) -> None:
    for finding in dataset.skipped:
        say(f"skipped: {finding.detail}")
    counts = ", ".join(f"{len(pictures)} {split}" for split, pictures in dataset.splits.items())
    say(f"{counts} pictures of {len(dataset.labels)} classes")


def _notes(storage: Storage, state: State, resumed: bool) -> list[str]:
    notes = [f"Phase {phase.number} ended early." for phase in state.phases if phase.stopped_early]
    if resumed:
        notes.append("Interrupted and resumed: the seconds of the parts are those of the last process.")
    if storage.on_disk_bytes:
        notes.append(f"{storage.on_disk_bytes / 1e9:.2f} GB of pictures and features were kept on disk.")
    return notes


class _Clock:
    def __init__(self):
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = now - self._last
        self._last = now
