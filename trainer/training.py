"""Two-phase transfer learning: a head on cached features of a frozen backbone, then the top of the backbone."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.errors import DataError
from trainer import run_folder
from trainer.augmentation import batches
from trainer.backbone import FEATURES, build_model, freeze
from trainer.config import TrainConfig
from trainer.dataset import Dataset, find_dataset, load_arrays
from trainer.legacy_keras import tf
from trainer.progress import Progress, say

AUGMENTED_VIEWS = 2
"""Of each picture, beside the picture itself, whose features phase 1 learns from."""
HEAD_BATCH = 64
"""Feature vectors are small: the head's batch has nothing to do with the memory that bounds the backbone's."""


@dataclass(frozen=True)
class Epoch:
    """One line of history.csv."""

    phase: int
    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float


@dataclass(frozen=True)
class Measured:
    """The float Keras model on one split."""

    split: str
    pictures: int
    accuracy: float
    loss: float
    confusion: list[list[int]]
    """Row: true class. Column: predicted class."""


@dataclass(frozen=True)
class Trained:
    """What a training run found."""

    model: tf.keras.Model
    history: list[Epoch]
    measured: list[Measured]
    seconds: dict[str, float]
    """Wall time of read, phase_1 and phase_2."""


def train(config: TrainConfig, out: Path) -> Trained:
    """Trains a classifier on config.data and writes the run folder `out`.

    Raises:
        RunFolderError: If `out` is in the way.
        DataError: If the pictures cannot be used, or with config.strict where a file is no picture.
        WeightsError: If the backbone's weights cannot be had.
    """
    run_folder.check_free(out)
    tf.keras.utils.set_random_seed(config.seed)
    clock = _Clock()
    dataset = find_dataset(Path(config.data).resolve(), config.seed)
    _report_skipped(dataset, config.strict)
    arrays = {
        split: load_arrays(pictures, (config.size, config.size)) for split, pictures in dataset.splits.items()
    }
    clock.lap("read")
    say(
        f"{', '.join(f'{len(ids)} {split}' for split, (_, ids) in arrays.items())} pictures of {len(dataset.labels)} classes"
    )

    model = build_model(len(dataset.labels), size=config.size, alpha=config.alpha, weights=config.weights)
    history = _phase_1(model, arrays, config)
    clock.lap("phase_1")
    history += _phase_2(model, arrays, config, best_before=_best(history))
    clock.lap("phase_2")

    measured = [_measure(model, split, *arrays[split]) for split in arrays if split != "train"]
    trained = Trained(model, history, measured, clock.seconds)
    run_folder.write(out, config, dataset, trained)
    for result in measured:
        say(f"{result.split}: accuracy {result.accuracy:.4f} on {result.pictures} pictures")
    say(
        f"{out} written after {sum(clock.seconds.values()):.0f} s; next: litelens export {out} --out {out.name}.tflite"
    )
    return trained


def _phase_1(model: tf.keras.Model, arrays: dict, config: TrainConfig) -> list[Epoch]:
    """Trains the head on features that the frozen backbone computed once a picture and view."""
    backbone = tf.keras.Model(model.input, model.get_layer(FEATURES).output)
    views = [
        _features(
            backbone,
            f"train, view {number} of {AUGMENTED_VIEWS + 1}",
            arrays["train"],
            config.batch_size,
            seed,
        )
        for number, seed in enumerate([None, *range(config.seed, config.seed + AUGMENTED_VIEWS)], start=1)
    ]
    seen, answers = (np.concatenate(parts) for parts in zip(*views, strict=True))
    held, held_answers = _features(backbone, "validation", arrays["validation"], config.batch_size, None)

    vector = tf.keras.Input(backbone.output_shape[1:])
    head = tf.keras.Model(vector, model.get_layer("probabilities")(model.get_layer("dropout")(vector)))
    train_set = (
        tf.data.Dataset.from_tensor_slices((seen, answers))
        .shuffle(len(seen), seed=config.seed)
        .batch(HEAD_BATCH)
    )
    held_set = tf.data.Dataset.from_tensor_slices((held, held_answers)).batch(HEAD_BATCH)
    return _fit(
        head,
        train_set,
        held_set,
        phase=1,
        epochs=config.epochs[0],
        rate=config.learning_rate,
        batches_per_epoch=-(-len(seen) // HEAD_BATCH),
        best_before=None,
    )


def _phase_2(
    model: tf.keras.Model, arrays: dict, config: TrainConfig, best_before: tuple[float, float]
) -> list[Epoch]:
    """Trains the layers from config.fine_tune_at up, at a tenth of phase 1's rate."""
    if config.epochs[1] == 0:
        return []
    freeze(model, config.fine_tune_at)
    train_set = batches(*arrays["train"], batch_size=config.batch_size, seed=config.seed)
    held_set = batches(*arrays["validation"], batch_size=config.batch_size, seed=None)
    return _fit(
        model,
        train_set,
        held_set,
        phase=2,
        epochs=config.epochs[1],
        rate=config.learning_rate / 10,
        batches_per_epoch=-(-len(arrays["train"][1]) // config.batch_size),
        best_before=best_before,
    )


def _fit(
    model, train_set, held_set, *, phase: int, epochs: int, rate: float, batches_per_epoch: int, best_before
) -> list[Epoch]:
    """Trains with a cosine rate and leaves the model with the weights of its best epoch, or those it came with."""
    schedule = tf.keras.optimizers.schedules.CosineDecay(rate, epochs * batches_per_epoch)
    model.compile(tf.keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy", metrics=["accuracy"])
    keeper = _BestWeights(best_before)
    progress = Progress(f"phase {phase}", epochs, batches_per_epoch)
    logs = model.fit(
        train_set, validation_data=held_set, epochs=epochs, verbose=0, callbacks=[keeper, progress]
    ).history
    return [
        Epoch(
            phase,
            number + 1,
            *(float(logs[key][number]) for key in ("loss", "accuracy", "val_loss", "val_accuracy")),
            learning_rate=float(schedule((number + 1) * batches_per_epoch)),
        )
        for number in range(epochs)
    ]


class _BestWeights(tf.keras.callbacks.Callback):
    """Restores, at the end, the weights with the best validation accuracy; equal accuracy, then lower loss."""

    def __init__(self, best_before: tuple[float, float] | None):
        super().__init__()
        self._best = best_before
        self._weights = None

    def on_train_begin(self, logs=None):
        self._weights = self.model.get_weights()

    def on_epoch_end(self, epoch, logs=None):
        score = (logs["val_accuracy"], -logs["val_loss"])
        if self._best is None or score > self._best:
            self._best, self._weights = score, self.model.get_weights()

    def on_train_end(self, logs=None):
        self.model.set_weights(self._weights)


def _best(history: list[Epoch]) -> tuple[float, float]:
    return max((epoch.val_accuracy, -epoch.val_loss) for epoch in history)


def _features(
    backbone, what: str, arrays, batch_size: int, seed: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """(features, class ids) of all pictures; with a seed, augmented and in another order."""
    started = time.monotonic()
    parts = [
        (backbone.predict_on_batch(pictures), class_ids.numpy())
        for pictures, class_ids in batches(*arrays, batch_size=batch_size, seed=seed)
    ]
    features, class_ids = (np.concatenate(part) for part in zip(*parts, strict=True))
    say(f"phase 1  features of {len(features)} pictures ({what}): {time.monotonic() - started:.0f} s")
    return features, class_ids


def _measure(model: tf.keras.Model, split: str, pictures: np.ndarray, class_ids: np.ndarray) -> Measured:
    probabilities = model.predict(batches(pictures, class_ids, batch_size=64, seed=None), verbose=0)
    answers = probabilities.argmax(axis=1)
    classes = probabilities.shape[1]
    confusion = np.bincount(class_ids * classes + answers, minlength=classes**2).reshape(classes, classes)
    likelihood = probabilities[np.arange(len(class_ids)), class_ids].clip(1e-7)
    return Measured(
        split,
        len(class_ids),
        float((answers == class_ids).mean()),
        float(-np.log(likelihood).mean()),
        confusion.tolist(),
    )


def _report_skipped(dataset: Dataset, strict: bool) -> None:
    for skipped in dataset.skipped:
        say(f"skipped: {skipped.reason}")
    if dataset.skipped:
        say(f"skipped {len(dataset.skipped)} files that are no readable pictures")
    if dataset.skipped and strict:
        raise DataError(
            f"{len(dataset.skipped)} files in {dataset.folder} are no readable pictures, --strict expects none",
            "remove or repair the files named above, or leave --strict out",
        )


class _Clock:
    def __init__(self):
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = now - self._last
        self._last = now
