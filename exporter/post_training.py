"""Post-training candidates, made from one float .tflite by litert-quantizer: seconds, and no TensorFlow.

Ranges are the lowest and highest values seen, as TensorFlow's converter takes them; the quantizer's own moving average
agreed less with float. tests/exporter/test_post_training_peers.py measures both converters side by side.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator

import numpy as np
from litert_quantizer import Quantizer, recipe
from litert_quantizer.calibrator import CalibrationMode, Calibrator
from litert_quantizer.qtyping import ModelQuantizationRecipe, QuantGranularity, TFLOperationName
from litert_quantizer.quantizer import AlgorithmName
from litert_quantizer.recipe_manager import RecipeManager
from litert_quantizer.utils.qsv_utils import min_max_update

from exporter.graph import read_graph
from exporter.normalisation import Normalisation


def to_float16(model: bytes) -> bytes:
    """Weights in half precision, computed in float32: half the size."""
    manager = RecipeManager()
    manager.add_weight_only_config(
        ".*", TFLOperationName.ALL_SUPPORTED, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING
    )
    return _quantize(model, manager.get_quantization_recipe(), None)


def to_dynamic_range(model: bytes) -> bytes:
    """Weights in int8, one scale a channel; activations stay float32 and are quantized as they come."""
    return _quantize(model, recipe.dynamic_wi8_afp32(), None)


def to_int8(
    model: bytes, calibration: np.ndarray, normalisation: Normalisation, *, per_tensor_dense: bool
) -> bytes:
    """Weights and activations in int8, input and output too.

    Args:
        model: A float32 TFLite model with one signature, as TensorFlow's converter writes it.
        calibration: Pictures from the training split that set the activation ranges, uint8 of shape
            (n, height, width, 3).
        normalisation: Of the model's input.
        per_tensor_dense: One scale for a whole dense kernel, as the Edge TPU asks for, instead of one a class.
    """
    manager = RecipeManager()
    manager.load_quantization_recipe(recipe.static_wi8_ai8())
    if per_tensor_dense:
        manager.add_static_config(".*", TFLOperationName.FULLY_CONNECTED, 8, 8, QuantGranularity.TENSORWISE)
    graph = read_graph(model)
    signature = graph.signatureDefs[0]
    argument = signature.inputs[0].name.decode()
    samples = [{argument: normalisation(picture[np.newaxis])} for picture in calibration]
    with _quiet():
        calibrator = Calibrator(
            model,
            num_threads=2,
            mode=CalibrationMode.CALIBRATION_PROFILER_BASED,
            qsv_update_func=min_max_update,
        )
        calibrator.calibrate({signature.signatureKey.decode(): samples}, manager)
    ranges = calibrator.get_model_qsvs()
    # All of a byte's values, whatever these pictures hold: then a camera's byte is the input's value.
    lowest, highest = normalisation.range
    given = graph.subgraphs[0].tensors[graph.subgraphs[0].inputs[0]].name.decode()
    ranges[given] = {"min": np.array([lowest]), "max": np.array([highest])}
    return _quantize(model, manager.get_quantization_recipe(), ranges)


def _quantize(model: bytes, wanted: ModelQuantizationRecipe, ranges: dict | None) -> bytes:
    with _quiet():
        quantizer = Quantizer(model, wanted)
        return bytes(quantizer.quantize(ranges, enable_progress_report=False).quantized_model)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drops the quantizer's progress bars and a warning on memory; exceptions are not touched."""
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
