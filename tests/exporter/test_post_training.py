import subprocess
import sys

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from exporter.graph import TENSOR_TYPES, operator_name, read_graph
from exporter.normalisation import MINUS_ONE_TO_ONE, Normalisation
from exporter.post_training import to_dynamic_range, to_float16, to_int8

BYTES_AS_FLOATS = Normalisation(0, 1)


def dense_kernel(graph):
    (dense,) = (o for o in graph.subgraphs[0].operators if operator_name(graph, o) == "FULLY_CONNECTED")
    return graph.subgraphs[0].tensors[dense.inputs[1]]


def made(kind: str, model: bytes, frames: np.ndarray) -> bytes:
    return {
        "float32": lambda: model,
        "float16": lambda: to_float16(model),
        "dynamic-range": lambda: to_dynamic_range(model),
        "int8": lambda: to_int8(model, frames, BYTES_AS_FLOATS, per_tensor_dense=False),
    }[kind]()


@pytest.mark.parametrize(
    "kind, edges, kernel, share, slack",
    [
        # Kernels, and the float32 or int32 biases beside them.
        ("float16", "FLOAT32", "FLOAT16", 0.5, 1e-3),
        ("dynamic-range", "FLOAT32", "INT8", 0.3, 0.02),
        ("int8", "INT8", "INT8", 0.3, 0.03),
    ],
)
def test_each_kind_is_of_its_type_and_size_and_answers_like_float(
    tiny_float, frames, raw_answers, kind, edges, kernel, share, slack
):
    model = made(kind, tiny_float, frames)
    graph, float_graph = read_graph(model), read_graph(tiny_float)
    subgraph = graph.subgraphs[0]
    for index in (*subgraph.inputs, *subgraph.outputs):
        assert TENSOR_TYPES[subgraph.tensors[index].type] == edges
    weights = sum(len(b.data) for b in graph.buffers if b.data is not None and len(b.data) >= 48)
    in_float = sum(len(b.data) for b in float_graph.buffers if b.data is not None and len(b.data) >= 48)
    assert weights / in_float == pytest.approx(share, abs=0.06)
    assert len(model) < len(tiny_float)
    kinds = {TENSOR_TYPES[tensor.type] for tensor in subgraph.tensors}
    assert kernel in kinds
    assert ("FLOAT32" in kinds) == (kind != "int8")
    if kind == "int8":
        scores = raw_answers(model, (frames.astype(np.int16) - 128).astype(np.int8))
        answers = (scores.astype(np.float32) + 128) / 256
    else:
        answers = raw_answers(model, frames.astype(np.float32))
    wanted = raw_answers(tiny_float, frames.astype(np.float32))
    np.testing.assert_allclose(answers, wanted, atol=slack)


@pytest.mark.parametrize(
    "normalisation",
    [
        BYTES_AS_FLOATS,
        MINUS_ONE_TO_ONE,
        Normalisation(0, 255),
        Normalisation(255, 64),
        Normalisation(99.8, 58),
    ],
    ids=str,
)
@pytest.mark.parametrize("level", [0, 40, 255])
def test_the_input_holds_every_byte_whatever_the_calibration_pictures_are(tiny_float, normalisation, level):
    pictures = np.full((10, 8, 8, 3), level, np.uint8)
    pictures[:, 0, 0] = 7
    model = to_int8(tiny_float, pictures, normalisation, per_tensor_dense=False)
    scale, zero_point = Interpreter(model_content=model).get_input_details()[0]["quantization"]
    real = (np.arange(256) - 128 - zero_point) * scale
    wanted = normalisation(np.arange(256, dtype=np.uint8))
    # Half a step is lost where the mean is no whole byte: a zero point is whole.
    np.testing.assert_allclose(real, wanted, atol=(0.5 + 1e-3) * scale)


@pytest.mark.parametrize("per_tensor_dense, scales", [(False, 3), (True, 1)])
def test_a_dense_kernel_has_a_scale_a_class_or_one(tiny_float, frames, per_tensor_dense, scales):
    model = to_int8(tiny_float, frames, BYTES_AS_FLOATS, per_tensor_dense=per_tensor_dense)
    graph = read_graph(model)
    assert len(dense_kernel(graph).quantization.scale) == scales
    for operator in graph.subgraphs[0].operators:
        if "CONV" in operator_name(graph, operator):
            kernel = graph.subgraphs[0].tensors[operator.inputs[1]]
            assert len(kernel.quantization.scale) == 16
            assert not np.any(kernel.quantization.zeroPoint)


SAY_NOTHING = """
import sys
from pathlib import Path
import numpy as np
from exporter.normalisation import Normalisation
from exporter.post_training import to_dynamic_range, to_float16, to_int8

model = Path(sys.argv[1]).read_bytes()
to_float16(model)
to_dynamic_range(model)
to_int8(model, np.zeros((10, 8, 8, 3), np.uint8), Normalisation(0, 1), per_tensor_dense=True)
print("tensorflow" in sys.modules)
"""


def test_quantizing_prints_nothing_and_needs_no_tensorflow(tmp_path, tiny_float):
    (tmp_path / "float.tflite").write_bytes(tiny_float)
    command = [sys.executable, "-c", SAY_NOTHING, str(tmp_path / "float.tflite")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    # LiteRT's C++ says so once a process, under every verb; the quantizer's progress bars would be many lines.
    said = ended.stderr.replace("INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n", "")
    assert (ended.stdout, said, ended.returncode) == ("False\n", "", 0)
