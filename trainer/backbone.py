"""Builds the float model: MobileNetV2 and a head in one flat graph, as quantization-aware training needs it."""

from pathlib import Path

import numpy as np

from edge_runtime.errors import WeightsError
from trainer.legacy_keras import tf

STARTER_FILE = Path(__file__).parent / "starter" / "mobilenet_v2_0.35.npz"
FEATURES = "features"
"""Name of the layer whose output, of shape (batch, channels), the head sees."""
DROPOUT = 0.2


def build_model(classes: int, *, size: int, alpha: float, weights: str) -> tf.keras.Model:
    """MobileNetV2, global average pooling, dropout and a softmax layer.

    The graph is flat (no model inside a model) and free of augmentation and rescaling, which
    tensorflow-model-optimization cannot quantize; its input is RGB in [-1, 1] of shape (size, size, 3).

    Raises:
        WeightsError: If the weights cannot be found, read, or fitted to this width.
    """
    image = tf.keras.Input((size, size, 3), name="image")
    backbone = _mobilenet_v2(image, alpha, weights)
    pooled = tf.keras.layers.GlobalAveragePooling2D(name=FEATURES)(backbone.output)
    dropped = tf.keras.layers.Dropout(DROPOUT, name="dropout")(pooled)
    probabilities = tf.keras.layers.Dense(classes, activation="softmax", name="probabilities")(dropped)
    return tf.keras.Model(image, probabilities, name="litelens")


def _mobilenet_v2(image: tf.Tensor, alpha: float, weights: str) -> tf.keras.Model:
    def build(source: str | None) -> tf.keras.Model:
        return tf.keras.applications.MobileNetV2(
            input_tensor=image, alpha=alpha, include_top=False, weights=source
        )

    if weights == "none":
        return build(None)
    if weights == "starter":
        backbone = build(None)
        load_starter(backbone)
        return backbone
    if weights == "imagenet":
        return _imagenet(build, alpha)
    path = Path(weights)
    if not path.is_file():
        raise WeightsError(
            f"--weights {weights}: no such file, expected imagenet, starter, none or a Keras weight file",
            "check the path, or use --weights starter",
        )
    try:
        return build(str(path))
    except (ValueError, OSError, KeyError) as problem:
        raise WeightsError(
            f"{path} does not hold the weights of MobileNetV2 alpha {alpha} without its top: {problem}",
            "give the --alpha that the file was made with, and a file saved with include_top=False",
        ) from problem


def _imagenet(build, alpha: float) -> tf.keras.Model:
    try:
        return build("imagenet")
    except ValueError as problem:
        raise WeightsError(
            f"Keras has no ImageNet weights for alpha {alpha}: {problem}",
            "use --alpha 0.35, 0.5, 0.75, 1.0, 1.3 or 1.4",
        ) from problem
    except Exception as problem:
        raise WeightsError(
            f"the ImageNet weights are not in Keras's cache and cannot be downloaded: {problem}",
            "offline, use --weights starter, or --weights PATH with a Keras MobileNetV2 file without its top",
        ) from problem


def load_starter(backbone: tf.keras.Model) -> None:
    """Sets a MobileNetV2 alpha 0.35 without its top to this project's own starter weights (float16 on disk)."""
    with np.load(STARTER_FILE) as stored:
        for weight in backbone.weights:
            weight.assign(stored[weight.name].astype(np.float32))


def freeze(model: tf.keras.Model, fine_tune_at: int) -> None:
    """Leaves only the layers from index `fine_tune_at` up, and the head, trainable.

    BatchNorm is never trained: the statistics of a few thousand pictures would overwrite ImageNet's, and
    Keras runs a frozen BatchNorm in inference mode.
    """
    for index, layer in enumerate(model.layers):
        layer.trainable = index >= fine_tune_at and not isinstance(layer, tf.keras.layers.BatchNormalization)
    model.get_layer("probabilities").trainable = True
