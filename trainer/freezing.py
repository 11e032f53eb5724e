"""Which layers a phase trains, and the model cut in two where the frozen part ends, so that its outputs can be kept."""

import math

from trainer.backbone import FEATURES, PREPROCESSING
from trainer.legacy_keras import tf

NEAR = 4
"""A cut so many layers earlier is taken if it halves what is kept: the layers between are few, and run each epoch."""


def freeze(model: tf.keras.Model, fine_tune_at: int | None) -> None:
    """Leaves only the head, and the backbone's layers from index `fine_tune_at` up, trainable; None: only the head.

    BatchNorm is never trained: the statistics of a few thousand pictures would overwrite ImageNet's, and Keras runs a
    frozen BatchNorm in inference mode. Nor is the preprocessing, which is no weight to learn.
    """
    for index, layer in enumerate(model.layers):
        layer.trainable = _is_open(model, index, fine_tune_at)


def cut(model: tf.keras.Model, fine_tune_at: int) -> str:
    """Names the layer whose output is worth keeping: all that phase 2 trains depends on the picture through it alone.

    Of the layers that every path from the picture to the answer goes through, the last one below what
    `freeze(model, fine_tune_at)` leaves trainable, or one up to NEAR layers earlier with an output of half the size.

    Returns:
        A layer from the input ("image": nothing to keep but the pictures) to FEATURES (phase 2 trains the head only).
    """
    layers = model.layers
    trained = [i for i, layer in enumerate(layers) if layer.weights and _is_open(model, i, fine_tune_at)]
    bottlenecks = [index for index in _bottlenecks(model) if index < trained[0]]
    last = bottlenecks[-1]
    near = [index for index in bottlenecks if index >= last - NEAR]
    narrowest = min(near, key=lambda index: (_stored_bytes(layers, index), -index))
    worth_it = 2 * _stored_bytes(layers, narrowest) <= _stored_bytes(layers, last)
    return layers[narrowest if worth_it else last].name


def lower(model: tf.keras.Model, name: str) -> tf.keras.Model:
    """Pictures to [the output of the layer `name`, the features], in one pass.

    Takes float (batch, height, width, 3) in [-1, 1]; the weights are the model's own.
    """
    return tf.keras.Model(model.input, [model.get_layer(name).output, model.get_layer(FEATURES).output])


def upper(model: tf.keras.Model, name: str) -> tf.keras.Model:
    """The output of the layer `name`, which `cut` chose, to probabilities (batch, classes); the model's own weights."""
    return tf.keras.Model(model.get_layer(name).output, model.output)


def head(model: tf.keras.Model) -> tf.keras.Model:
    """The features (batch, channels) to probabilities (batch, classes); the model's own weights."""
    return upper(model, FEATURES)


def _is_open(model: tf.keras.Model, index: int, fine_tune_at: int | None) -> bool:
    layer = model.layers[index]
    if index > _index_of_features(model):
        return True
    fixed = isinstance(layer, tf.keras.layers.BatchNormalization) or layer.name == PREPROCESSING
    return fine_tune_at is not None and index >= fine_tune_at and not fixed


def _bottlenecks(model: tf.keras.Model) -> list[int]:
    """Indices of the layers up to FEATURES whose output is all that the layers behind them see of the picture.

    Keras lists layers so that each comes after those it reads: a layer is one if no connection passes over it.
    """
    index_of = {layer.name: index for index, layer in enumerate(model.layers)}
    last_reader = [0] * len(model.layers)
    for index, layer in enumerate(model.layers):
        # The first node is the model's own; lower, upper and head add others.
        for read in tf.nest.flatten(layer.inbound_nodes[0].inbound_layers):
            last_reader[index_of[read.name]] = index
    found, furthest = [], 0
    for index in range(index_of[FEATURES] + 1):
        if furthest <= index:
            found.append(index)
        furthest = max(furthest, last_reader[index])
    return found


def _stored_bytes(layers: list[tf.keras.layers.Layer], index: int) -> int:
    """Of one picture; pictures are kept as they came, a byte a value."""
    output = layers[index].output
    return math.prod(output.shape[1:]) * (1 if index == 0 else output.dtype.size)


def _index_of_features(model: tf.keras.Model) -> int:
    return next(index for index, layer in enumerate(model.layers) if layer.name == FEATURES)
