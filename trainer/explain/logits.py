"""The model in front of its softmax, where a sure answer still has a slope."""

from collections.abc import Callable

from edge_runtime.errors import RunFolderError
from trainer.legacy_keras import tf

Logits = Callable[[tf.Tensor], tf.Tensor]
"""Normalised RGB of shape (batch, height, width, 3) to float32 of shape (batch, classes); in inference mode."""


def logits_of(model: tf.keras.Model) -> Logits:
    """Takes the softmax off a classifier.

    A probability near 0 or 1 hardly moves with the picture; the logit does (Simonyan, Vedaldi, Zisserman, "Deep
    Inside Convolutional Networks", 2013, who maximise the unnormalised score for this reason).

    Raises:
        RunFolderError: If the last layer is not a dense softmax, as trainer.backbone builds it.
    """
    head = model.layers[-1]
    if not isinstance(head, tf.keras.layers.Dense) or head.activation is not tf.keras.activations.softmax:
        raise RunFolderError(
            f"the model's last layer is {head.name!r}, a {type(head).__name__}, expected a Dense layer with softmax",
            "give a run folder written by litelens train",
        )
    features = tf.keras.Model(model.input, head.input)

    def logits(pictures: tf.Tensor) -> tf.Tensor:
        seen = tf.cast(features(pictures, training=False), tf.float32)
        return seen @ head.kernel + head.bias

    return logits
