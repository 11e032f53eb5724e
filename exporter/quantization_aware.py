"""Quantization-aware training: the float model learns to answer the same through int8 weights and activations."""

import math
from dataclasses import dataclass

import numpy as np

from edge_runtime.errors import ForeignModelError
from exporter.foreign import first_line
from exporter.normalisation import MINUS_ONE_TO_ONE, Normalisation
from trainer.augmentation import batches
from trainer.backbone import PREPROCESSING
from trainer.legacy_keras import tf
from trainer.progress import Progress

# After trainer.legacy_keras, which makes tf.keras the Keras that this package can quantize.
import tensorflow_model_optimization as tfmot  # isort: skip

LEARNING_RATE = 1e-5
"""Falls to 0 by a cosine. 3 epochs at 1e-4 were too hot: 93.6 % agreement with float, against 98.2 % for 2 at this rate."""
CALIBRATION_PICTURES = 128
"""From which activation ranges start."""
HELD_BACK = 0.1
"""Share of the training pictures that is not trained on and says when to stop."""
MOST_HELD_BACK = 500
FEWEST_EPOCHS = 2
FEWEST_STEPS = 120
"""Small sets are gone through more often: 2,000 pictures in 2 epochs are 126 steps of 32."""
PATIENCE = 5
"""Epochs without a better agreement on the held-back pictures before the training stops."""


class CannotQuantize(ForeignModelError):
    """tensorflow-model-optimization cannot wrap the model's layers."""


_WRAPPER_PREFIX = "quant_"  # tensorflow-model-optimization names a wrapped layer so
_ACTIVATIONS = ("output", "post_activation", "pre_activation")
_INPUT = ("", "output")


def quantization_aware(
    model: tf.keras.Model,
    pictures: np.ndarray,
    *,
    epochs: int | None,
    batch_size: int,
    seed: int,
    freeze_below: int = 0,
    normalisation: Normalisation = MINUS_ONE_TO_ONE,
) -> tf.keras.Model:
    """Trains a quantized copy of a float model to give the float model's probabilities.

    The loss is the Kullback-Leibler divergence from the float model's answer on the same augmented picture
    (Hinton et al., "Distilling the knowledge in a neural network", 2015): what is asked for is agreement, and the
    labels were learnt before.

    Args:
        model: Flat float model, dead channels settled (exporter.dead_channels); not changed.
        pictures: uint8 of shape (n, height, width, 3), from the training split.
        epochs: At most so many; 0 gives the quantized model with calibrated ranges, untrained; None is FEWEST_EPOCHS,
            or as many as make FEWEST_STEPS.
        batch_size: Pictures a step.
        seed: Of what is held back, order and augmentation.
        freeze_below: Layers of `model` below this index keep their kernels and ranges.
        normalisation: Of the model's input.

    Returns:
        A model of quantize wrappers, ready for exporter.conversion: of all epochs (the start is one) the one that
        agreed best with float on the held-back pictures.

    Raises:
        CannotQuantize: If a layer of the model is of a kind that cannot be quantized.
    """
    # Before quantize_model, which copies the flag: BatchNorm must stay in inference mode, and the mean of the
    # training's pictures is nothing to learn.
    for layer in model.layers:
        fixed = isinstance(layer, tf.keras.layers.BatchNormalization) or layer.name == PREPROCESSING
        layer.trainable = not fixed
    order = np.random.default_rng(seed).permutation(len(pictures))
    try:
        quantized = tfmot.quantization.keras.quantize_model(model)
        sample = [normalisation(pictures[part]) for part in _parts(order[:CALIBRATION_PICTURES])]
        calibrate_ranges(quantized, model, sample, normalisation)
    except (ValueError, RuntimeError) as problem:  # a layer of an unknown kind, or one that became several
        raise CannotQuantize(
            f"the model cannot be trained quantization-aware: {first_line(problem)}",
            "leave it out: --candidates ptq",
        ) from problem
    if epochs is None:
        epochs = max(FEWEST_EPOCHS, math.ceil(FEWEST_STEPS / math.ceil(len(pictures) / batch_size)))
    if epochs:
        held_back = min(max(1, round(HELD_BACK * len(pictures))), MOST_HELD_BACK)
        trained = pictures[order[held_back:]]
        train_set = batches(trained, np.zeros(len(trained), np.int32), batch_size=batch_size, seed=seed)
        _distil(
            quantized,
            model,
            train_set.map(lambda batch, _: normalisation.of_unit(batch)),
            [normalisation(pictures[part]) for part in _parts(order[:held_back])],
            epochs,
            freeze_below,
        )
    return quantized


def _parts(indices: np.ndarray) -> list[np.ndarray]:
    return [indices[start : start + 32] for start in range(0, len(indices), 32)]


@dataclass(frozen=True)
class _Score:
    """How a quantized model does on the held-back pictures."""

    agreeing: int
    """Pictures with float's first answer."""
    pictures: int
    loss: float
    """Divergence from float's answers."""

    def better_than(self, other: "_Score") -> bool:
        """By agreement; where that differs by at most one picture, which is chance, by the loss."""
        if abs(self.agreeing - other.agreeing) > 1:
            return self.agreeing > other.agreeing
        return self.loss < other.loss


def _distil(
    quantized: tf.keras.Model,
    model: tf.keras.Model,
    train_set: tf.data.Dataset,
    held_back: list[tf.Tensor],
    epochs: int,
    freeze_below: int,
) -> None:
    open_variables, frozen_variables = _open_and_frozen(quantized, model, freeze_below)
    frozen_values = [variable.numpy() for variable in frozen_variables]
    steps = int(train_set.cardinality())
    optimizer = tf.keras.optimizers.Adam(
        tf.keras.optimizers.schedules.CosineDecay(LEARNING_RATE, epochs * steps)
    )
    optimizer.build(open_variables)
    divergence = tf.keras.losses.KLDivergence()

    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]))])
    def step(batch: tf.Tensor) -> tf.Tensor:
        wanted = model(batch, training=False)
        with tf.GradientTape() as tape:
            loss = divergence(wanted, quantized(batch, training=True))
        optimizer.apply_gradients(zip(tape.gradient(loss, open_variables), open_variables, strict=True))
        return loss

    wanted = np.concatenate([model(batch, training=False) for batch in held_back])

    def score() -> _Score:
        answers = np.concatenate([quantized(batch, training=False) for batch in held_back])
        agreeing = int((answers.argmax(axis=1) == wanted.argmax(axis=1)).sum())
        return _Score(agreeing, len(wanted), float(divergence(wanted, answers)))

    best, best_weights, waited = score(), quantized.get_weights(), 0
    progress = Progress("QAT", epochs, steps)
    progress.on_train_begin()
    for epoch in range(epochs):
        progress.on_epoch_begin(epoch)
        loss = 0.0
        for number, batch in enumerate(train_set):
            loss += float(step(batch)) / steps
            progress.on_train_batch_end(number)
        for variable, value in zip(frozen_variables, frozen_values, strict=True):
            variable.assign(value)  # a training pass moves every activation range a little
        reached = score()
        progress.on_epoch_end(
            epoch,
            {
                "loss": loss,
                "held-back agreement": reached.agreeing / reached.pictures,
                "held-back loss": reached.loss,
            },
        )
        if reached.better_than(best):
            best, best_weights, waited = reached, quantized.get_weights(), 0
        else:
            waited += 1
            if waited == PATIENCE:
                break
    quantized.set_weights(best_weights)


def _open_and_frozen(
    quantized: tf.keras.Model, model: tf.keras.Model, freeze_below: int
) -> tuple[list[tf.Variable], list[tf.Variable]]:
    """The variables that are trained, and those that must not move.

    Not through the layers' `trainable`: a quantize wrapper whose layer is frozen still lists its kernel as trainable.
    """
    frozen_names = {layer.name for layer in model.layers[:freeze_below]}
    open_variables, frozen_variables = [], []
    for layer in quantized.layers:
        if layer.name.removeprefix(_WRAPPER_PREFIX) in frozen_names:
            frozen_variables += layer.weights
        else:
            open_variables += layer.trainable_weights
    return open_variables, frozen_variables


def calibrate_ranges(
    quantized: tf.keras.Model,
    model: tf.keras.Model,
    calibration: list[np.ndarray],
    normalisation: Normalisation,
) -> None:
    """Starts every range from the float model instead of [-6, 6].

    tensorflow-model-optimization moves activation ranges by 0.1 % a step and sets kernel ranges only in a training
    pass, so without this a fresh quantized model answers at chance.

    Args:
        quantized: What quantize_model made of `model`, its BatchNorm frozen; changed in place.
        model: The float model.
        calibration: Batches of normalised pictures.
        normalisation: Of the model's input.
    """
    quantized(calibration[0][:2], training=True)  # sets the kernel ranges, per channel
    ranges = _range_variables(quantized)
    for variable, is_highest in ranges.pop(_INPUT):
        variable.assign(
            normalisation.range[is_highest]
        )  # all of a byte's values, whatever these pictures hold
    tensors = {key: _float_tensor(model, *key) for key in ranges}
    probe = tf.keras.Model(model.input, list(tensors.values()))
    lowest, highest = dict.fromkeys(ranges, 0.0), dict.fromkeys(ranges, 0.0)
    for batch in calibration:
        for key, values in zip(tensors, probe(batch, training=False), strict=True):
            if key[1] == "pre_activation":
                layer = model.get_layer(key[0])
                values = tf.matmul(values, layer.kernel) + layer.bias
            lowest[key] = min(lowest[key], float(tf.reduce_min(values)))
            highest[key] = max(highest[key], float(tf.reduce_max(values)))
    for key, variables in ranges.items():
        for variable, is_highest in variables:
            variable.assign(highest[key] if is_highest else lowest[key])


def _range_variables(quantized: tf.keras.Model) -> dict[tuple[str, str], list[tuple[tf.Variable, bool]]]:
    """{(float layer, which tensor of it): [(variable, whether it is the range's upper end)]}; layer "" is the input."""
    ranges: dict = {}
    for layer in quantized.layers:
        for variable in layer.weights:
            short = variable.name.split("/")[-1].split(":")[0]
            tensor, _, end = short.rpartition("_")
            if end not in ("min", "max"):
                continue
            if not layer.name.startswith(_WRAPPER_PREFIX):
                key = _INPUT  # a layer of its own, whose name is numbered from a process's second model on
            elif tensor in _ACTIVATIONS:
                name = layer.name.removeprefix(_WRAPPER_PREFIX)
                key = (name, "pre_activation" if tensor == "pre_activation" else "output")
            else:
                continue  # a kernel's
            ranges.setdefault(key, []).append((variable, end == "max"))
    return ranges


def _float_tensor(model: tf.keras.Model, layer: str, which: str) -> tf.Tensor:
    """What to watch in the float model; for a Dense layer's pre-activation its input, the rest is multiplied out."""
    found = model.get_layer(layer)
    return found.input if which == "pre_activation" else found.output
