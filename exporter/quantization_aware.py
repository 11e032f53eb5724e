"""Quantization-aware training: the float model learns to answer the same through int8 weights and activations."""

import numpy as np

from trainer.augmentation import batches
from trainer.legacy_keras import tf
from trainer.progress import Progress

# After trainer.legacy_keras, which makes tf.keras the Keras that this package can quantize.
import tensorflow_model_optimization as tfmot  # isort: skip

LEARNING_RATE = 1e-5
"""3 epochs at 1e-4 were too hot: 93.6 % agreement with float, against 98.2 % for 2 epochs at this rate."""
CALIBRATION_PICTURES = 128
"""From which activation ranges start."""

_WRAPPER_PREFIX = "quant_"  # tensorflow-model-optimization names a wrapped layer so
_ACTIVATIONS = ("output", "post_activation", "pre_activation")
_INPUT = ("", "output")


def quantization_aware(
    model: tf.keras.Model, pictures: np.ndarray, *, epochs: int, batch_size: int, seed: int
) -> tf.keras.Model:
    """Trains a quantized copy of a float model to give the float model's probabilities.

    The loss is the Kullback-Leibler divergence from the float model's answer on the same augmented picture
    (Hinton et al., "Distilling the knowledge in a neural network", 2015): what is asked for is agreement, and the
    labels were learnt before.

    Args:
        model: Flat float model, dead channels settled (exporter.dead_channels); not changed.
        pictures: uint8 of shape (n, height, width, 3), from the training split.
        epochs: 0 gives the quantized model with calibrated ranges, untrained.
        batch_size: Pictures a step.
        seed: Of order and augmentation.

    Returns:
        A model of quantize wrappers, ready for exporter.conversion.
    """
    # Before quantize_model, which copies the flag: BatchNorm must stay in inference mode.
    for layer in model.layers:
        layer.trainable = not isinstance(layer, tf.keras.layers.BatchNormalization)
    quantized = tfmot.quantization.keras.quantize_model(model)
    sample = np.random.default_rng(seed).permutation(len(pictures))[:CALIBRATION_PICTURES]
    calibration = batches(pictures[sample], np.zeros(len(sample), np.int32), batch_size=32, seed=None)
    calibrate_ranges(quantized, model, [batch for batch, _ in calibration])
    if epochs:
        _fine_tune(quantized, model, pictures, epochs, batch_size, seed)
    return quantized


def _fine_tune(quantized, model, pictures: np.ndarray, epochs: int, batch_size: int, seed: int) -> None:
    unused = np.zeros(len(pictures), np.int32)  # the float model answers, not the labels
    train_set = batches(pictures, unused, batch_size=batch_size, seed=seed)
    train_set = train_set.map(lambda batch, _: (batch, model(batch, training=False)))
    steps = -(-len(pictures) // batch_size)
    rate = tf.keras.optimizers.schedules.CosineDecay(LEARNING_RATE, epochs * steps)
    quantized.compile(
        tf.keras.optimizers.Adam(rate),
        tf.keras.losses.KLDivergence(),
        metrics=[tf.keras.metrics.CategoricalAccuracy(name="agreement")],
    )
    quantized.fit(train_set, epochs=epochs, verbose=0, callbacks=[Progress("QAT", epochs, steps)])


def calibrate_ranges(quantized: tf.keras.Model, model: tf.keras.Model, calibration: list) -> None:
    """Starts every range from the float model instead of [-6, 6].

    tensorflow-model-optimization moves activation ranges by 0.1 % a step and sets kernel ranges only in a training
    pass, so without this a fresh quantized model answers at chance.

    Args:
        quantized: What quantize_model made of `model`, its BatchNorm frozen; changed in place.
        model: The float model.
        calibration: Batches of normalised pictures.
    """
    quantized(calibration[0][:2], training=True)  # sets the kernel ranges, per channel
    ranges = _range_variables(quantized)
    for variable, is_highest in ranges.pop(_INPUT):
        variable.assign(1.0 if is_highest else -1.0)  # all of a byte's values, whatever these pictures hold
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
