"""Builds the float model: a backbone by name and a head in one flat graph, as quantization-aware training needs it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge_runtime.errors import WeightsError
from trainer.config import ALPHAS, STARTER_ALPHA
from trainer.legacy_keras import tf

STARTER_FILE = Path(__file__).parent / "starter" / "mobilenet_v2_0.35.npz"
FEATURES = "features"
"""Name of the layer whose output, of shape (batch, channels), the head sees."""
PREPROCESSING = "preprocessing"
"""Name of the layer that turns [-1, 1] into what the backbone was trained with, where that is something else."""
DROPOUT = 0.2
IMAGENET_MEAN = (123.68, 116.779, 103.939)
"""Of red, green and blue, 0 to 255: keras.applications.imagenet_utils, mode "caffe"."""

_KERAS = {
    "mobilenet_v2": tf.keras.applications.MobileNetV2,
    "mobilenet": tf.keras.applications.MobileNet,
    "xception": tf.keras.applications.Xception,
    "vgg16": tf.keras.applications.VGG16,
    "resnet50": tf.keras.applications.ResNet50,
}
_MINUS_MEAN = ("vgg16", "resnet50")
"""Trained on BGR minus IMAGENET_MEAN; the others, as their papers have it, on RGB in [-1, 1]."""


def build_model(classes: int, *, backbone: str, size: int, alpha: float, weights: str) -> tf.keras.Model:
    """A backbone, its pooled features in the layer FEATURES, dropout and a softmax layer.

    The graph is flat (no model inside a model) and free of augmentation and rescaling layers, which
    tensorflow-model-optimization cannot quantize. Whatever the backbone, the input "image" is RGB in [-1, 1] of shape
    (size, size, 3), and the output "probabilities" of shape (batch, classes).

    `small_cnn` is the network of Keras's mnist_transfer_cnn example: FEATURES are the flattened outputs of two
    convolutions, and a dense layer of 128 belongs to the head. The dense layer grows with the square of the size.

    Args:
        classes: How many.
        backbone: One of trainer.config.BACKBONES.
        size: Height and width in pixels: from 32, xception from 71, small_cnn from 6.
        alpha: Width of mobilenet_v2 or mobilenet; the others have one.
        weights: "none", "imagenet", "starter", or the path of a Keras weight file without its top (whose first
            convolution takes what Keras's preprocess_input gives). Keras publishes ImageNet weights of mobilenet_v2
            for 96, 128, 160, 192 and 224 px, of mobilenet for 128, 160, 192 and 224; it warns at other sizes and
            takes those of 224. The others have weights for one size and are used at any.

    Raises:
        WeightsError: If the weights cannot be found, read, or fitted to this backbone and width.
    """
    image = tf.keras.Input((size, size, 3), name="image")
    if backbone == "small_cnn":
        return _small_cnn(image, classes, weights)
    if backbone in _MINUS_MEAN:
        maps = _behind_preprocessing(image, backbone, weights)
    else:
        maps = _load(backbone, alpha, weights, input_tensor=image, input_shape=image.shape[1:]).output
    features = tf.keras.layers.GlobalAveragePooling2D(name=FEATURES)(maps)
    dropped = tf.keras.layers.Dropout(DROPOUT, name="dropout")(features)
    probabilities = tf.keras.layers.Dense(classes, activation="softmax", name="probabilities")(dropped)
    return tf.keras.Model(image, probabilities, name="litelens")


def preprocessing(backbone: str) -> str:
    """What the model does with RGB bytes before the backbone sees them, for people."""
    common = "RGB bytes / 127.5 - 1"
    if backbone not in _MINUS_MEAN:
        return common
    mean = ", ".join(map(str, IMAGENET_MEAN))
    return f"{common}, then back to bytes minus the ImageNet mean ({mean}), in the model's layer {PREPROCESSING!r}"


def load_starter(backbone: tf.keras.Model) -> None:
    """Sets a MobileNetV2 alpha 0.35 without its top to this project's own starter weights (float16 on disk)."""
    with np.load(STARTER_FILE) as stored:
        for weight in backbone.weights:
            weight.assign(stored[weight.name].astype(np.float32))


def _small_cnn(image: tf.Tensor, classes: int, weights: str) -> tf.keras.Model:
    if weights != "none":
        raise WeightsError(
            f"--weights {weights}: small_cnn has no published weights, expected none",
            "leave --weights out; to start from a run of your own: --from-run runs/NAME",
        )
    layers = tf.keras.layers
    x = layers.Conv2D(32, 3, activation="relu", name="conv_1")(image)
    x = layers.Conv2D(32, 3, activation="relu", name="conv_2")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Dropout(0.25, name="pool_dropout")(x)
    features = layers.Flatten(name=FEATURES)(x)
    x = layers.Dense(128, activation="relu", name="dense")(features)
    x = layers.Dropout(0.5, name="dropout")(x)
    probabilities = layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return tf.keras.Model(image, probabilities, name="litelens")


def _behind_preprocessing(image: tf.Tensor, backbone: str, weights: str) -> tf.Tensor:
    """The feature maps of a backbone that was trained on BGR minus the ImageNet mean, for RGB in [-1, 1].

    The mean is taken off by a layer of its own and not by the first convolution's bias: that convolution pads with
    zeros, which stand for the mean colour.
    """
    shift = tf.keras.layers.DepthwiseConv2D(1, name=PREPROCESSING, trainable=False)
    shifted = shift(image)
    shift.set_weights([np.full((1, 1, 3, 1), 127.5), 127.5 - np.array(IMAGENET_MEAN)])
    # Keras reads a weight file into a graph that has no layer more than the file.
    published = _load(backbone, 1.0, weights, input_shape=image.shape[1:])
    kernel, *others = published.get_weights()
    rgb = kernel[:, :, ::-1] if weights != "none" else kernel
    model = _KERAS[backbone](input_tensor=shifted, include_top=False, weights=None)
    model.set_weights([*shift.get_weights(), rgb, *others])
    return model.output


def _load(backbone: str, alpha: float, weights: str, **given) -> tf.keras.Model:
    """Keras's backbone without its top, with weights."""
    width = {"alpha": alpha} if backbone in ALPHAS else {}
    name = f"{backbone} of alpha {alpha}" if width else backbone

    def build(source: str | None) -> tf.keras.Model:
        return _KERAS[backbone](include_top=False, weights=source, **given, **width)

    if weights == "none":
        return build(None)
    if weights == "starter":
        return _starter(build, backbone, name, alpha)
    if weights == "imagenet":
        return _imagenet(build, backbone, name)
    return _from_file(build, name, Path(weights))


def _starter(build: Callable, backbone: str, name: str, alpha: float) -> tf.keras.Model:
    if (backbone, alpha) != ("mobilenet_v2", STARTER_ALPHA):
        raise WeightsError(
            f"--weights starter does not fit {name}, it is for mobilenet_v2 of alpha {STARTER_ALPHA}",
            "leave --backbone and --alpha out, or choose --weights imagenet or none",
        )
    model = build(None)
    load_starter(model)
    return model


def _imagenet(build: Callable, backbone: str, name: str) -> tf.keras.Model:
    try:
        return build("imagenet")
    except ValueError as problem:
        raise WeightsError(
            f"Keras has no ImageNet weights for {name}: {problem}",
            f"use --alpha {', '.join(map(str, ALPHAS.get(backbone, (1.0,))))}",
        ) from problem
    except Exception as problem:  # a bare Exception is what Keras raises where it cannot download
        raise WeightsError(
            f"the ImageNet weights of {name} are neither in Keras's cache nor can they be downloaded: {problem}",
            f"offline, use --weights PATH with a Keras {backbone} file without its top, or --weights starter "
            f"(mobilenet_v2 of alpha {STARTER_ALPHA})",
        ) from problem


def _from_file(build: Callable, name: str, path: Path) -> tf.keras.Model:
    if not path.is_file():
        raise WeightsError(
            f"--weights {path}: no such file, expected imagenet, starter, none or a Keras weight file",
            "check the path, or use --weights starter",
        )
    try:
        return build(str(path))
    except (ValueError, OSError, KeyError) as problem:
        raise WeightsError(
            f"{path} does not hold the weights of {name} without its top: {problem}",
            "give the --backbone and --alpha that the file was made with, and a file saved with include_top=False",
        ) from problem
