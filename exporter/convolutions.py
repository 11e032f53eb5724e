"""Finds the convolutions whose channels a BatchNorm behind them can rescale."""

from collections.abc import Iterator

import numpy as np

from trainer.legacy_keras import tf

# Exact types: a transposed or separable convolution keeps its channels elsewhere.
_KINDS = (tf.keras.layers.Conv2D, tf.keras.layers.DepthwiseConv2D)
CHANNEL_AXIS = 3


def convolutions_with_norms(
    model: tf.keras.Model,
) -> Iterator[tuple[tf.keras.layers.Layer, tf.keras.layers.BatchNormalization]]:
    """Each convolution that is only a kernel (no bias, no activation), with the BatchNorm that alone reads it."""
    for norm in model.layers:
        if type(norm) is not tf.keras.layers.BatchNormalization or not (norm.scale and norm.center):
            continue
        # One that reads two convolutions cannot undo what is done to one of them.
        if len(norm.inbound_nodes) != 1 or list(norm.axis) != [CHANNEL_AXIS]:
            continue
        convolution = norm.inbound_nodes[0].inbound_layers
        if (
            type(convolution) in _KINDS
            and not convolution.use_bias
            and convolution.activation is tf.keras.activations.linear
            and getattr(convolution, "depth_multiplier", 1) == 1
            and len(convolution.outbound_nodes) == 1
        ):
            yield convolution, norm


def channels_last(convolution: tf.keras.layers.Layer, kernel: np.ndarray) -> np.ndarray:
    """A view of the kernel with the output channels as last axis: a depthwise one is (rows, columns, channels, 1)."""
    return np.moveaxis(kernel, 2, -1) if is_depthwise(convolution) else kernel


def is_depthwise(convolution: tf.keras.layers.Layer) -> bool:
    """Whether each channel has a kernel of its own."""
    return isinstance(convolution, tf.keras.layers.DepthwiseConv2D)
