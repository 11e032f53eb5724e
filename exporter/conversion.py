"""Keras models to TFLite bytes."""

from pathlib import Path

from trainer.legacy_keras import tf


def to_float(model: tf.keras.Model) -> bytes:
    """The float32 model with a float32 input, in the model's own normalisation, and a batch of one."""
    return _converter(model).convert()


def to_int8_by_qat(quantized: tf.keras.Model) -> bytes:
    """A quantization-aware model, its trained ranges as they are: full int8 inside, uint8 input and output."""
    converter = _converter(quantized)
    # No supported_ops here: asking for int8 builtins makes TensorFlow 2.21 demand a representative data set.
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    return converter.convert()


def saved_model_to_float(folder: Path) -> bytes:
    """The default signature of a SavedModel with one input, as `to_float` writes it.

    Raises:
        ValueError: If there is no such signature.
    """
    loaded = tf.saved_model.load(str(folder))
    if "serving_default" not in loaded.signatures:
        raise ValueError("it has no signature serving_default, which model.export() writes")
    signature = loaded.signatures["serving_default"]
    ((name, given),) = signature.structured_input_signature[1].items()

    def answer(image: tf.Tensor) -> tf.Tensor:
        (output,) = signature(**{name: image}).values()
        return output

    return _concrete_converter(loaded, answer, (1, *given.shape[1:])).convert()


def _converter(model: tf.keras.Model) -> tf.lite.TFLiteConverter:
    def answer(image: tf.Tensor) -> tf.Tensor:
        return model(image, training=False)

    # A bare module, not from_keras_model: the converter saves what it is given to disk, and saving a Keras model
    # traces every layer, which took nine tenths of a conversion.
    module = tf.Module()
    # Keras 3 wraps TensorFlow's variables, and the converter finds only the bare ones.
    module.weights = [weight if isinstance(weight, tf.Variable) else weight.value for weight in model.weights]
    return _concrete_converter(module, answer, (1, *model.input_shape[1:]))


def _concrete_converter(owner, answer, shape: tuple[int, ...]) -> tf.lite.TFLiteConverter:
    """Of a function of one picture; the batch is one: a device has one frame at a time."""
    traced = tf.function(answer, autograph=False).get_concrete_function(tf.TensorSpec(shape, name="image"))
    owner.traced = traced  # the converter saves the owner, and finds the function in it
    return tf.lite.TFLiteConverter.from_concrete_functions([traced], owner)
