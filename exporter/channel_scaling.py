"""Gives every channel of a depthwise kernel the same range, before quantization-aware training meets it.

tensorflow-model-optimization keeps one range for a whole depthwise kernel (its last axis has length 1). Where
channels differ much in size, as in weights whose BatchNorm was folded into them, the small ones drown in it: an
alpha-1.0 backbone answered like its float model on 79 % of cats and dogs after training. The BatchNorm behind the
kernel can carry the size instead, channel by channel, and the TFLite converter folds it back into per-channel
scales. The idea is that of Nagel et al., "Data-free quantization through weight equalization and bias correction"
(ICCV 2019), with the BatchNorm in place of the next layer.
"""

import numpy as np

from exporter.convolutions import convolutions_with_norms, is_depthwise
from trainer.legacy_keras import tf


def equalise_depthwise_kernels(model: tf.keras.Model) -> None:
    """Scales each channel's kernel to a largest weight of 1 and undoes it in the BatchNorm behind.

    Args:
        model: Flat; depthwise convolutions followed by their BatchNormalization are changed in place, the model's
            answers stay the same to float rounding.
    """
    for convolution, norm in convolutions_with_norms(model):
        if not is_depthwise(convolution):
            continue
        (kernel,) = convolution.get_weights()  # (rows, columns, channels, 1)
        gamma, beta, mean, variance = norm.get_weights()
        largest = np.abs(kernel).max(axis=(0, 1, 3))
        scale = 1 / np.where(largest > 0, largest, 1)
        convolution.set_weights([kernel * scale[:, np.newaxis]])
        # gamma * (k x - mean) / sqrt(variance + epsilon) + beta does not change when k and mean grow and gamma shrinks.
        norm.set_weights([gamma / scale, beta, mean * scale, variance])
