import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from exporter.graph import OperatorCount, add_operator, add_tensor, operator_counts, read_graph, write_graph
from exporter.post_training import to_dynamic_range, to_float16


def test_operators_are_counted_with_their_versions(tiny, tiny_float):
    assert operator_counts(tiny.read_bytes()) == (
        OperatorCount("QUANTIZE", 1, 2),
        OperatorCount("CONV_2D", 3, 1),
        OperatorCount("MEAN", 2, 1),
        OperatorCount("FULLY_CONNECTED", 4, 1),
        OperatorCount("SOFTMAX", 2, 1),
    )
    assert [(one.name, one.count) for one in operator_counts(tiny_float)] == [
        ("CONV_2D", 2),
        ("DEPTHWISE_CONV_2D", 1),
        ("ADD", 1),
        ("MEAN", 1),
        ("FULLY_CONNECTED", 1),
        ("SOFTMAX", 1),
    ]


@pytest.mark.parametrize(
    "fields, name",
    [
        ({"builtinCode": 0, "deprecatedBuiltinCode": 25}, "SOFTMAX"),  # a file of before 2020
        ({"builtinCode": 150, "deprecatedBuiltinCode": 127}, "GELU"),
        ({"builtinCode": 32, "deprecatedBuiltinCode": 32, "customCode": b"edgetpu"}, "CUSTOM(edgetpu)"),
    ],
)
def test_an_operators_name_is_found_wherever_the_file_keeps_it(tiny_float, fields, name):
    graph = read_graph(tiny_float)
    softmax = graph.operatorCodes[graph.subgraphs[0].operators[-1].opcodeIndex]
    for field, value in fields.items():
        setattr(softmax, field, value)
    assert OperatorCount(name, 1, 1) in operator_counts(write_graph(graph))


@pytest.mark.parametrize("kind", ["tiny", "tiny_float", "tiny_int8"])
def test_a_graph_that_was_read_and_written_runs_the_same(request, raw_answers, frames, kind):
    model = request.getfixturevalue(kind)
    model = model if isinstance(model, bytes) else model.read_bytes()
    pictures = {
        "tiny": frames,
        "tiny_float": frames.astype(np.float32),
        "tiny_int8": (frames.astype(np.int16) - 128).astype(np.int8),
    }[kind]
    again = write_graph(read_graph(model))
    assert operator_counts(again) == operator_counts(model)
    np.testing.assert_array_equal(raw_answers(again, pictures), raw_answers(model, pictures))


def with_pattern(model: bytes, *, ballast: int) -> bytes:
    """The model with 4 KB added to its first layer's output, and beside them as many bytes that nobody reads."""
    graph = read_graph(model)
    subgraph = graph.subgraphs[0]
    stem = subgraph.operators[0]
    random = np.random.default_rng(0)
    indices = []
    for name, shape in ((b"pattern", [1, 8, 8, 16]), (b"ballast", [ballast // 4])):
        buffer = schema.BufferT()
        buffer.data = random.uniform(0, 0.5, shape).astype(np.float32).view(np.uint8).ravel()
        graph.buffers.append(buffer)
        indices.append(add_tensor(subgraph, name, schema.TensorType.FLOAT32, shape))
        subgraph.tensors[indices[-1]].buffer = len(graph.buffers) - 1
    plain = add_tensor(subgraph, b"plain", schema.TensorType.FLOAT32, [1, 8, 8, 16])
    subgraph.operators.insert(1, add_operator(graph, "ADD", 1, [plain, indices[0]], int(stem.outputs[0])))
    stem.outputs = [plain]
    return write_graph(graph)


@pytest.mark.parametrize("quantize", [to_float16, to_dynamic_range])
def test_constants_behind_the_flatbuffer_are_read_and_moved_into_it(
    tiny_float, raw_answers, frames, quantize
):
    # From 256 KB on, litert-quantizer puts every constant of 1 KB or more behind the flatbuffer.
    quantized = quantize(with_pattern(tiny_float, ballast=300_000))
    packed = schema.ModelT.InitFromObj(schema.Model.GetRootAs(quantized, 0))
    assert sum(buffer.offset > 1 for buffer in packed.buffers) == 2, "the quantizer no longer does so"
    again = write_graph(read_graph(quantized))
    packed = schema.ModelT.InitFromObj(schema.Model.GetRootAs(again, 0))
    assert all(buffer.offset == buffer.size == 0 for buffer in packed.buffers)
    pictures = frames.astype(np.float32)
    wanted = raw_answers(quantize(with_pattern(tiny_float, ballast=4)), pictures)
    np.testing.assert_array_equal(raw_answers(again, pictures), wanted)
    # What an interpreter reads of the file as it was written.
    np.testing.assert_array_equal(raw_answers(quantized, pictures), wanted)


def test_constants_start_at_a_multiple_of_four(tiny_int8):
    """Interpreters read int32 biases in place, and a 32-bit Arm may fault on an odd address."""
    model = write_graph(read_graph(tiny_int8))
    own = schema.Model.GetRootAs(model, 0)
    constants = [own.Buffers(n).DataAsNumpy() for n in range(own.BuffersLength())]
    start = np.frombuffer(model, np.uint8).ctypes.data
    offsets = [c.ctypes.data - start for c in constants if isinstance(c, np.ndarray)]
    assert offsets and all(offset % 4 == 0 for offset in offsets), offsets
