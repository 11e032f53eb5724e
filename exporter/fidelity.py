"""Whether the converted model answers as the quantization-aware model did in Keras.

What was trained and what is written are two models; a converter that loses a bias parts them without a word. Public
reports of "Keras 0.97, TFLite 0.20" (tensorflow/model-optimization issue 368) look like this.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edge_runtime.errors import FidelityError
from exporter.layers import LayerOutputs, cosine
from exporter.normalisation import MINUS_ONE_TO_ONE, Normalisation

if (
    TYPE_CHECKING
):  # seconds to import, and beside it tflite_runtime loads no model: a report needs only Fidelity
    from trainer.legacy_keras import tf

MIN_AGREEMENT = 0.99
MIN_COSINE = 0.98
FEATURE_PICTURES = 16
"""Every layer's output is compared on these; answers on all."""
TIE = 0.1
"""Keras's answers that are closer than this are one answer to the .tflite: rounding turns such a pair about. A right
conversion moved probabilities by up to 0.1 (MobileNetV2, 90 training pictures, six classes), and turned up to 0.08."""


@dataclass(frozen=True)
class Fidelity:
    """The QAT model in Keras against its .tflite, on the same pictures."""

    pictures: int
    agreement: float
    """How often both gave the same first answer, 0 to 1; two answers that Keras finds within TIE are the same."""
    feature_cosine: float
    """Of the angle between their features before the head, -1 to 1."""


def check_fidelity(
    quantized: "tf.keras.Model",
    model: bytes,
    pictures: np.ndarray,
    normalisation: Normalisation = MINUS_ONE_TO_ONE,
) -> Fidelity:
    """Compares a quantization-aware model with what it was converted to.

    Args:
        quantized: As exporter.quantization_aware returned it.
        model: What exporter.conversion made of it; takes bytes.
        pictures: uint8 of shape (n, height, width, 3).
        normalisation: Of the Keras model's input.

    Raises:
        FidelityError: If they agree on fewer than MIN_AGREEMENT of the pictures, or the cosine between their
            features is under MIN_COSINE; names the first layer where they part.
    """
    cosines = _layer_cosines(quantized, model, pictures[:FEATURE_PICTURES], normalisation)
    fidelity = Fidelity(
        len(pictures),
        _agreement(quantized, model, pictures, normalisation),
        list(cosines.values())[-1],
    )
    different = round((1 - fidelity.agreement) * len(pictures))
    # One picture of fewer than a hundred is more than 1 %, and proves nothing.
    if different > max(1, (1 - MIN_AGREEMENT) * len(pictures)) or fidelity.feature_cosine < MIN_COSINE:
        parted = next(
            (name for name, value in cosines.items() if value < MIN_COSINE), min(cosines, key=cosines.get)
        )
        raise FidelityError(
            f"the quantization-aware model and its .tflite give the same answer on {100 * fidelity.agreement:.1f} % "
            f"of {fidelity.pictures} pictures (expected {100 * MIN_AGREEMENT:.0f} %), their features have a cosine of "
            f"{fidelity.feature_cosine:.3f} (expected {MIN_COSINE}); they part at the layer {parted} "
            f"(cosine {cosines[parted]:.3f})",
            f"look at the kernels and BatchNorm of {parted}; post-training quantization does without this step: "
            "--candidates ptq",
        )
    return fidelity


def _agreement(
    quantized: "tf.keras.Model", model: bytes, pictures: np.ndarray, normalisation: Normalisation
) -> float:
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    given, answer = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    same = 0
    for start in range(0, len(pictures), 32):
        part = pictures[start : start + 32]
        answers = quantized(normalisation(part), training=False).numpy()
        for picture, wanted in zip(part, answers, strict=True):
            interpreter.set_tensor(given, picture[np.newaxis])
            interpreter.invoke()
            answered = int(interpreter.get_tensor(answer)[0].argmax())
            same += bool(wanted[answered] >= wanted.max() - TIE)
    return same / len(pictures)


def _layer_cosines(
    quantized: "tf.keras.Model", model: bytes, pictures: np.ndarray, normalisation: Normalisation
) -> dict[str, float]:
    """{layer: cosine between both outputs}, in graph order, of the layers below the head that are found in both."""
    from trainer.legacy_keras import tf

    converted = LayerOutputs(model)
    # The head's softmax is an operator of its own in TFLite, so its layer stands for two outputs.
    keras = {layer.name.removeprefix("quant_"): layer.output for layer in quantized.layers[:-1]}
    names = [name for name in converted.operators if name in keras]
    probe = tf.keras.Model(quantized.input, [keras[name] for name in names])
    sums = np.zeros((len(names), 3))
    for picture in pictures:
        wanted = probe(normalisation(picture[np.newaxis]), training=False)
        got = converted(picture[np.newaxis])
        for total, name, tensor in zip(sums, names, wanted, strict=True):
            a, b = tensor.numpy().ravel().astype(np.float64), got[name].ravel().astype(np.float64)
            total += (a @ b, a @ a, b @ b)
    return {name: cosine(*total) for name, total in zip(names, sums, strict=True)}
