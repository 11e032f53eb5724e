import numpy as np
import pytest

from exporter.byte_tensors import give_bytes, state_int8_versions, take_bytes
from exporter.graph import operator_name, read_graph, write_graph
from exporter.layers import CLEAR_DB, MOST_DB, compare_layers, cosine, layer_name
from exporter.normalisation import Normalisation
from exporter.post_training import to_int8

BYTES_AS_FLOATS = Normalisation(0, 1)
LAYERS = [
    ("stem", "CONV_2D"),
    ("depthwise", "DEPTHWISE_CONV_2D"),
    ("project", "CONV_2D"),
    ("residual", "ADD"),
    ("means", "MEAN"),
    ("probabilities", "FULLY_CONNECTED"),
    ("softmax", "SOFTMAX"),
]


@pytest.fixture(scope="module")
def reference(tiny_float):
    return take_bytes(tiny_float, BYTES_AS_FLOATS)


def finished(int8: bytes) -> bytes:
    """As the exporter writes it."""
    return give_bytes(take_bytes(state_int8_versions(int8), BYTES_AS_FLOATS))


@pytest.mark.parametrize(
    "tensor, layer",
    [
        ("litelens/quant_Conv1_relu/Relu6;litelens/quant_bn_Conv1/FusedBatchNormV3", "Conv1_relu"),
        ("litelens/block_1_add/add", "block_1_add"),
        ("model/backbone/block_1/add", "backbone/block_1"),
        ("tiny/means/Mean", "means"),
        ("sequential/quant_dense/MatMul;sequential/quant_dense/BiasAdd", "dense"),
        ("StatefulPartitionedCall:0", "softmax"),
        ("StatefulPartitionedCall_1:0", "softmax"),
        (
            "StatefulPartitionedCall/functional_1/conv2d_1/Relu;functional_1/conv2d_1/add",
            "functional_1/conv2d_1",
        ),
        ("image/float", "image"),
        ("", ""),
    ],
)
def test_a_tensor_belongs_to_the_layer_that_put_it_out(tensor, layer):
    assert layer_name(tensor, "SOFTMAX") == layer


def test_every_layer_of_a_good_int8_model_is_clear(reference, tiny_int8, frames):
    report = compare_layers("ptq", reference, finished(tiny_int8), frames)
    assert (report.candidate, report.pictures) == ("ptq", len(frames))
    assert [(layer.name, layer.operator) for layer in report.layers] == LAYERS
    assert [layer.index for layer in report.layers] == list(range(len(LAYERS)))
    assert all(layer.snr_db > 25 and layer.cosine > 0.995 for layer in report.layers), report.layers
    assert report.suspect == report.worst_first[0], "none is unclear: the worst"


def test_a_model_beside_itself_has_no_noise(reference, frames):
    report = compare_layers("float32", reference, reference, frames[:3])
    assert {layer.snr_db for layer in report.layers} == {MOST_DB}
    assert all(layer.cosine == pytest.approx(1) for layer in report.layers)


@pytest.mark.parametrize("broken", ["stem", "depthwise", "project", "probabilities"])
def test_a_broken_layer_is_the_suspect(reference, tiny_int8, frames, broken):
    graph = read_graph(tiny_int8)
    tensors = graph.subgraphs[0].tensors
    (operator,) = (
        o
        for o in graph.subgraphs[0].operators
        if layer_name(tensors[o.outputs[0]].name.decode(), "") == broken
        and operator_name(graph, o) != "SOFTMAX"
    )
    kernel = graph.buffers[tensors[operator.inputs[1]].buffer]
    kernel.data = np.roll(np.asarray(kernel.data), len(kernel.data) // 2 + 1)
    report = compare_layers("ptq", reference, finished(write_graph(graph)), frames)
    assert report.suspect.name == broken
    assert report.suspect.snr_db < CLEAR_DB
    assert all(layer.snr_db > 25 for layer in report.layers[: report.suspect.index])


def test_ranges_of_black_pictures_make_the_first_layer_the_suspect(reference, tiny_float, frames):
    black = to_int8(tiny_float, np.zeros_like(frames), BYTES_AS_FLOATS, per_tensor_dense=False)
    report = compare_layers("ptq", reference, finished(black), frames)
    assert report.suspect.name == "stem" and report.suspect.snr_db < 3


def test_graphs_without_a_common_layer_have_no_suspect(reference, tiny_int8, frames):
    graph = read_graph(finished(tiny_int8))
    for number, tensor in enumerate(graph.subgraphs[0].tensors):
        tensor.name = f"renamed_{number}".encode()
    report = compare_layers("ptq", reference, write_graph(graph), frames[:2])
    assert report.layers == () and report.suspect is None and report.worst_first == ()


@pytest.mark.parametrize(
    "product, first, second, angle",
    [
        (2.0, 4.0, 1.0, 1.0),
        (-2.0, 4.0, 1.0, -1.0),
        (0.0, 4.0, 1.0, 0.0),
        (0.0, 0.0, 0.0, 1.0),
        (0.0, 4.0, 0.0, 0.0),
    ],
)
def test_a_layer_that_fell_silent_is_not_taken_for_the_same(product, first, second, angle):
    assert cosine(product, first, second) == pytest.approx(angle)
