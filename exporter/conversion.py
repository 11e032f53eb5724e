"""Keras models to TFLite bytes; every one takes RGB bytes, so that one Classifier measures them all."""

from collections.abc import Iterator

import numpy as np

from trainer.augmentation import normalise
from trainer.legacy_keras import tf


def to_float(model: tf.keras.Model) -> bytes:
    """The float32 model behind a uint8 input: normalisation is part of the graph; float32 output."""
    size = model.input_shape[1:]
    pixels = tf.keras.Input(size, dtype=tf.uint8, name="image")
    return _converter(tf.keras.Model(pixels, model(normalise(pixels)))).convert()


def to_int8_by_ptq(model: tf.keras.Model, calibration: np.ndarray) -> bytes:
    """Post-training quantization: full int8 inside, uint8 input and output.

    Args:
        model: The float model.
        calibration: Pictures from the training split that set the activation ranges, uint8 of shape
            (n, height, width, 3).
    """
    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    calibration = calibration.copy()
    # The input's range must be that of a byte, whatever these pictures hold: then a camera's byte is the input's value.
    calibration[0, 0, 0], calibration[0, 0, 1] = 0, 255

    def representative_dataset() -> Iterator[list[tf.Tensor]]:
        return ([normalise(picture[np.newaxis])] for picture in calibration)

    converter.representative_dataset = representative_dataset
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return _with_byte_tensors(converter).convert()


def to_int8_by_qat(quantized: tf.keras.Model) -> bytes:
    """A quantization-aware model, its trained ranges as they are: full int8 inside, uint8 input and output."""
    converter = _converter(quantized)
    # No supported_ops here: asking for int8 builtins makes TensorFlow 2.21 demand a representative data set.
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return _with_byte_tensors(converter).convert()


def _converter(model: tf.keras.Model) -> tf.lite.TFLiteConverter:
    def answer(image: tf.Tensor) -> tf.Tensor:
        return model(image, training=False)

    # A bare module, not from_keras_model: the converter saves what it is given to disk, and saving a Keras model
    # traces every layer, which took nine tenths of a conversion. The batch is one: a device has one frame at a time.
    module = tf.Module()
    module.weights = model.weights
    module.answer = tf.function(answer, autograph=False)
    spec = tf.TensorSpec((1, *model.input_shape[1:]), model.input.dtype, name="image")
    return tf.lite.TFLiteConverter.from_concrete_functions(
        [module.answer.get_concrete_function(spec)], module
    )


def _with_byte_tensors(converter: tf.lite.TFLiteConverter) -> tf.lite.TFLiteConverter:
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    return converter
