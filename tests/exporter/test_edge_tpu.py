"""The rules one by one, then whole models whose answer from the real compiler is public."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from exporter.edge_tpu import CACHE_BYTES, TpuCheck, check
from exporter.edge_tpu_compiler import read_table
from exporter.graph import write_graph

LOGS = Path(__file__).parent / "data" / "edgetpu"
INT8, UINT8, INT32, FLOAT32 = (
    getattr(schema.TensorType, name) for name in ("INT8", "UINT8", "INT32", "FLOAT32")
)
RELU = schema.ActivationFunctionType.RELU


class Graph:
    """Builds a .tflite operator by operator."""

    def __init__(self):
        self.model, self.main = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.description = 3, ""
        self.model.subgraphs, self.model.operatorCodes = [self.main], []
        self.model.buffers = [schema.BufferT()]
        self.main.tensors, self.main.operators = [], []

    def tensor(self, shape, kind=INT8, *, values=None, scales=1, signature=None, state=False) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = f"t{len(self.main.tensors)}", list(shape), kind
        tensor.shapeSignature, tensor.isVariable, tensor.buffer = signature, state, 0
        if kind in (INT8, UINT8) and scales:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [0.5] * scales, [0] * scales
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.asarray(values).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.main.tensors.append(tensor)
        return len(self.main.tensors) - 1

    def constant(self, values, dtype=np.int32) -> int:
        values = np.asarray(values, dtype)
        return self.tensor(values.shape, {np.int32: INT32, np.int8: INT8}[dtype], values=values)

    def add(self, name, inputs, output, *, version=1, options="", kind=INT8, **fields) -> int:
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        custom = not hasattr(schema.BuiltinOperator, name)
        code.builtinCode = schema.BuiltinOperator.CUSTOM if custom else getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
        code.customCode = name if custom else None
        self.model.operatorCodes.append(code)
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = list(inputs), [self.tensor(output, kind)]
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, options + "T")()
            for field, value in fields.items():
                setattr(operator.builtinOptions, field, value)
        self.main.operators.append(operator)
        return operator.outputs[0]

    def conv(self, source, output, *, version=3, **fields) -> int:
        weights = self.constant(np.zeros((output[-1], 1, 1, 1)), np.int8)
        bias = self.constant(np.zeros(output[-1]))
        defaults = {"dilationHFactor": 1, "dilationWFactor": 1}
        return self.add(
            "CONV_2D",
            [source, weights, bias],
            output,
            version=version,
            options="Conv2DOptions",
            **defaults | fields,
        )

    def checked(self, inputs, outputs) -> TpuCheck:
        self.main.inputs, self.main.outputs = list(inputs), list(outputs)
        return check(write_graph(self.model))


def one(name, *inputs, output=(1, 8, 8, 16), version=1, options="", **fields) -> str:
    """The reason given for a single operator; inputs are shapes of activations, or arrays of constants."""
    graph = Graph()
    tensors = [
        graph.constant(given, given.dtype.type) if isinstance(given, np.ndarray) else graph.tensor(given)
        for given in inputs
    ]
    answer = graph.add(name, tensors, output, version=version, options=options, **fields)
    (placement,) = graph.checked(tensors[:1], [answer]).placements
    assert placement.mapped == (placement.reason == "")
    return placement.reason


def axes(*values):
    return np.array(values, np.int32)


def weights(*shape):
    return np.zeros(shape, np.int8)


SHAPE, VECTOR = (1, 8, 8, 16), (1, 16)
CONV, POOL = "Conv2DOptions", "Pool2DOptions"
DILATED = {"dilationHFactor": 2, "dilationWFactor": 2}


@pytest.mark.parametrize(
    "reason, operator",
    [
        ("", lambda: one("ADD", SHAPE, SHAPE)),
        ("", lambda: one("AVERAGE_POOL_2D", SHAPE, options=POOL)),
        (
            "fused activation",
            lambda: one("AVERAGE_POOL_2D", SHAPE, options=POOL, fusedActivationFunction=RELU),
        ),
        ("fused activation", lambda: one("MAX_POOL_2D", SHAPE, options=POOL, fusedActivationFunction=RELU)),
        ("", lambda: one("CONCATENATION", SHAPE, SHAPE, SHAPE, options="ConcatenationOptions")),
        ("", lambda: one("CONCATENATION", SHAPE, weights(*SHAPE), options="ConcatenationOptions")),
        (
            "no zero padding",
            lambda: one("CONCATENATION", SHAPE, weights(*SHAPE) + 1, options="ConcatenationOptions"),
        ),
        (
            "no zero",
            lambda: one("CONCATENATION", SHAPE, SHAPE, weights(*SHAPE), options="ConcatenationOptions"),
        ),
        ("", lambda: one("CONV_2D", SHAPE, weights(16, 3, 3, 16), options=CONV, **DILATED)),
        (
            "dilation (1, 2)",
            lambda: one("CONV_2D", SHAPE, weights(16, 3, 3, 16), options=CONV, dilationWFactor=2),
        ),
        ("no constants", lambda: one("CONV_2D", SHAPE, (1, 3, 3, 16), options=CONV)),
        (
            "",
            lambda: one(
                "FULLY_CONNECTED", VECTOR, weights(4, 16), output=(1, 4), options="FullyConnectedOptions"
            ),
        ),
        (
            "5x4 is not one-dim",
            lambda: one(
                "FULLY_CONNECTED", VECTOR, weights(4, 16), output=(5, 4), options="FullyConnectedOptions"
            ),
        ),
        (
            "format",
            lambda: one(
                "FULLY_CONNECTED",
                VECTOR,
                weights(4, 16),
                output=(1, 4),
                options="FullyConnectedOptions",
                weightsFormat=schema.FullyConnectedOptionsWeightsFormat.SHUFFLED4x16INT8,
            ),
        ),
        ("", lambda: one("MEAN", SHAPE, axes(1, 2), output=VECTOR)),
        ("batch", lambda: one("MEAN", SHAPE, axes(0), output=(8, 8, 16))),
        ("batch", lambda: one("MEAN", SHAPE, axes(-4), output=(8, 8, 16))),
        ("", lambda: one("MEAN", SHAPE, axes(3), output=(1, 8, 8))),
        ("15 channels", lambda: one("MEAN", (1, 8, 8, 15), axes(-1), output=(1, 8, 8))),
        ("", lambda: one("PACK", (8, 8), (8, 8), output=(8, 2, 8), options="PackOptions", axis=1)),
        ("batch", lambda: one("PACK", (8, 8), (8, 8), output=(2, 8, 8), options="PackOptions", axis=-3)),
        (
            "",
            lambda: one(
                "PAD", SHAPE, np.array([[0, 0], [0, 1], [0, 1], [0, 0]], np.int32), output=(1, 9, 9, 16)
            ),
        ),
        ("pads the batch", lambda: one("PAD", SHAPE, np.array([[0, 1]] + [[0, 0]] * 3, np.int32))),
        ("", lambda: one("PRELU", SHAPE, weights(1, 1, 16))),
        ("alpha 8x8x16", lambda: one("PRELU", SHAPE, weights(8, 8, 16))),
        ("", lambda: one("REDUCE_MAX", SHAPE, axes(1), output=(1, 8, 16))),
        ("batch", lambda: one("REDUCE_MIN", SHAPE, axes(0, 1), output=(8, 16))),
        ("batch", lambda: one("SUM", SHAPE, axes(0), output=(8, 8, 16))),
        ("", lambda: one("SOFTMAX", (1, 16000), output=(1, 16000))),
        ("16001 elements", lambda: one("SOFTMAX", (1, 16001), output=(1, 16001))),
        ("8x16 is not one-dim", lambda: one("SOFTMAX", (8, 16), output=(8, 16))),
        ("", lambda: one("SPLIT", axes(3), SHAPE)),
        ("batch", lambda: one("SPLIT", axes(0), SHAPE)),
        (
            "",
            lambda: one("STRIDED_SLICE", SHAPE, axes(0), axes(8), axes(1), options="StridedSliceOptions"),
        ),
        (
            "strides",
            lambda: one("STRIDED_SLICE", SHAPE, axes(0), axes(8), axes(2), options="StridedSliceOptions"),
        ),
        (
            "new axis",
            lambda: one(
                "STRIDED_SLICE",
                SHAPE,
                axes(0),
                axes(8),
                axes(1),
                options="StridedSliceOptions",
                newAxisMask=1,
            ),
        ),
        ("", lambda: one("CONV_2D", SHAPE, weights(16, 3, 3, 16), options=CONV, version=5)),
        (
            "versions up to 5",
            lambda: one("CONV_2D", SHAPE, weights(16, 3, 3, 16), options=CONV, version=6),
        ),
        ("innermost 3", lambda: one("ADD", (2, 8, 8, 16), (2, 8, 8, 16), output=(2, 8, 8, 16))),
        ("no such operator", lambda: one("LEAKY_RELU", SHAPE)),
        ("no such operator", lambda: one("HARD_SWISH", SHAPE)),
        ("no such operator", lambda: one("BIDIRECTIONAL_SEQUENCE_LSTM", SHAPE)),
        ("no such operator", lambda: one("TFLite_Detection_PostProcess", SHAPE)),
    ],
)
def test_each_limitation_of_the_table_is_a_rule(reason, operator):
    given = operator()
    assert reason in given if reason else given == ""


@pytest.mark.parametrize(
    "change, reason, problem",
    [
        ({}, "", ""),
        ({"kind": UINT8}, "", ""),
        ({"kind": FLOAT32}, "works on FLOAT32", "input t0 is FLOAT32, expected INT8 or UINT8"),
        ({"kind": INT32}, "works on INT32", "input t0 is INT32"),
        ({"signature": [-1, 8, 8, 16]}, "t0 has a dynamic shape", "input t0 has a dynamic shape"),
        ({"scales": 0}, "not quantized", ""),
        ({"scales": 16}, "a scale for each channel", ""),
    ],
)
def test_tensors_are_quantized_integers_of_constant_shape(change, reason, problem):
    graph = Graph()
    source = graph.tensor(SHAPE, **change)
    found = graph.checked([source], [graph.add("RELU", [source], SHAPE)])
    assert reason in found.placements[0].reason and problem in "".join(found.problems)
    assert found.passed == (not reason)


def test_the_state_of_an_lstm_may_be_of_another_type():
    graph = Graph()
    source, state = graph.tensor((1, 4, 8)), graph.tensor((1, 8), schema.TensorType.INT16, state=True)
    assert graph.checked([source], [graph.add("LSTM", [source, state], (1, 4, 8))]).passed


def test_a_second_subgraph_is_a_problem_of_the_graph():
    graph = Graph()
    source = graph.tensor(SHAPE)
    graph.model.subgraphs = [graph.main, graph.main]
    found = graph.checked([source], [graph.add("RELU", [source], SHAPE)])
    assert found.mapped == 1 and not found.passed and "2 subgraphs" in found.problems[0]


# From google-coral/edgetpu, issues 631, 845 and 879: compiler 16.0 refuses the whole file.
@pytest.mark.parametrize("operator, version", [("CONV_2D", 6), ("TRANSPOSE_CONV", 4), ("QUANTIZE", 3)])
def test_one_version_that_is_too_new_makes_the_file_unreadable(operator, version):
    graph = Graph()
    source = graph.tensor(SHAPE)
    found = graph.checked([source], [graph.add(operator, [source], SHAPE, version=version)])
    assert f"cannot read a file with {operator} {version}" in found.problems[0]


def test_all_that_depends_on_an_unsupported_operator_stays_on_the_cpu():
    graph = Graph()
    source = graph.tensor(SHAPE)
    trunk = graph.add("RELU", [source], SHAPE)
    left = graph.add("LOGISTIC", [graph.add("LEAKY_RELU", [trunk], SHAPE)], SHAPE)
    right = graph.add("TANH", [trunk], SHAPE)
    joined = graph.add("MUL", [left, right], SHAPE)
    placements = graph.checked([source], [joined]).placements
    assert [(placement.operator, placement.mapped) for placement in placements] == [
        ("RELU", True),
        ("LEAKY_RELU", False),
        ("LOGISTIC", False),
        ("TANH", True),
        ("MUL", False),
    ]
    assert placements[4].reason == placements[2].reason == "after LEAKY_RELU t2, which does not map"


@pytest.mark.parametrize("size, fits", [(5 * 2**20, True), (7 * 2**20, False)])
def test_parameters_must_leave_room_for_the_executable(size, fits):
    graph = Graph()
    source = graph.tensor((1, 1, 1, 1))
    found = graph.checked(
        [source], [graph.conv(source, (1, 1, 1, size // 5))]
    )  # 1 byte of weights, 4 of bias
    assert found.passed and found.fits_cache == fits
    assert found.parameter_bytes == size // 5 * 5 < CACHE_BYTES


def mnist(float_edges: bool) -> TpuCheck:
    """Two convolutions, two poolings, two dense layers; optionally with float input and output."""
    graph = Graph()
    given = graph.tensor((1, 28, 28, 1), FLOAT32 if float_edges else INT8)
    flow = graph.add("QUANTIZE", [given], (1, 28, 28, 1)) if float_edges else given
    for size, channels in ((14, 8), (7, 16)):
        flow = graph.conv(flow, (1, 2 * size, 2 * size, channels))
        flow = graph.add("MAX_POOL_2D", [flow], (1, size, size, channels), version=2, options=POOL)
    flow = graph.add("RESHAPE", [flow, graph.constant([1, 784])], (1, 784))
    for classes in (32, 10):
        dense = [flow, graph.constant(np.zeros((classes, 1)), np.int8), graph.constant(np.zeros(classes))]
        flow = graph.add("FULLY_CONNECTED", dense, (1, classes), version=4, options="FullyConnectedOptions")
    flow = graph.add("SOFTMAX", [flow], (1, 10), version=2)
    if float_edges:
        flow = graph.add("DEQUANTIZE", [flow], (1, 10), version=2, kind=FLOAT32)
    return graph.checked([given], [flow])


def yolov3_tiny() -> TpuCheck:
    """https://github.com/pjreddie/darknet cfg/yolov3-tiny.cfg, one channel: 13 convolutions, 11 of them with LeakyReLU."""
    graph = Graph()

    def block(source, size):
        return graph.add(
            "LEAKY_RELU", [graph.conv(source, (1, size, size, 1))], (1, size, size, 1), version=2
        )

    def pool(source, size):
        return graph.add("MAX_POOL_2D", [source], (1, size, size, 1), version=2, options=POOL)

    given = graph.tensor((1, 416, 416, 1), UINT8)
    flow = graph.add("QUANTIZE", [given], (1, 416, 416, 1))
    for size in (416, 208, 104, 52, 26):
        route = block(flow, size)
        flow = pool(route, size // 2)
    neck = block(block(pool(block(flow, 13), 13), 13), 13)
    far = graph.conv(block(neck, 13), (1, 13, 13, 1))
    scale = [block(neck, 13), graph.constant([26, 26])]
    up = graph.add("RESIZE_NEAREST_NEIGHBOR", scale, (1, 26, 26, 1), version=3)
    rescaled = graph.add("QUANTIZE", [up], (1, 26, 26, 1), version=2)
    both = graph.add(
        "CONCATENATION", [rescaled, route], (1, 26, 26, 2), version=2, options="ConcatenationOptions"
    )
    near = graph.conv(block(both, 26), (1, 26, 26, 1))
    outputs = [
        graph.add("QUANTIZE", [far], (1, 13, 13, 1), kind=UINT8),
        graph.add("QUANTIZE", [near], (1, 26, 26, 1), kind=UINT8),
    ]
    return graph.checked([given], outputs)


@pytest.mark.parametrize(
    "log, rebuilt",
    [
        ("mnist7.log", lambda: mnist(float_edges=False)),
        ("mnist4.log", lambda: mnist(float_edges=True)),
        ("yolov3_tiny.log", yolov3_tiny),
    ],
)
def test_the_check_places_every_operator_where_the_compiler_did(log, rebuilt):
    expected = Counter()
    for line in read_table((LOGS / log).read_text()):
        expected[line.name, line.mapped] += line.count
    assert Counter((placement.operator, placement.mapped) for placement in rebuilt().placements) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "network, batch, compiles",
    [
        # google-coral/tutorials, fix_conversion_issues_ptq_tf2.ipynb: fails with a batch of None, compiles with 1.
        ("MobileNet", None, False),
        ("MobileNet", 1, True),
        # retrain_classification_ptq_tf2.ipynb compiles its backbone, too; its log is not published.
        pytest.param("MobileNetV2", 1, True, marks=pytest.mark.soak),
    ],
)
def test_the_models_of_corals_tutorials(network, batch, compiles):
    from trainer.legacy_keras import tf

    shape = (96, 96, 3)
    model = getattr(tf.keras.applications, network)(
        shape, alpha=0.25 if network == "MobileNet" else 0.35, weights=None
    )
    module = tf.Module()  # as in exporter/conversion.py
    module.weights = model.weights
    module.answer = tf.function(lambda image: model(image, training=False), autograph=False)
    function = module.answer.get_concrete_function(tf.TensorSpec((batch, *shape)))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([np.full((1, *shape), value, np.float32)] for value in (0, 1))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    assert check(converter.convert()).passed == compiles
