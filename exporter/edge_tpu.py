"""Checks without the compiler whether a .tflite maps to the Edge TPU, operator by operator.

Sources of the rules:
- "TensorFlow models on the Edge TPU", https://coral.ai/docs/edgetpu/models-intro/: the requirements on a model, the
  table of operators with their limitations (runtime 14, which compiler 16.0 targets), and where a graph is cut.
- Operator versions: compiler 16.0 (July 2021) refuses a file with an operator version newer than TensorFlow 2.5's:
  google-coral/edgetpu issues 631 (CONV_2D 6), 845 (TRANSPOSE_CONV 4), 879 (QUANTIZE 3).

It predicts; the compiler decides. What the documentation leaves open ("might not be mapped for large tensor sizes") is
taken to map.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from exporter.graph import TENSOR_TYPES, operator_name, read_graph

CACHE_BYTES = 8 * 2**20
"""The Edge TPU's memory: "roughly 8 MB", https://coral.ai/docs/edgetpu/compiler/#parameter-data-caching."""
EXECUTABLE_BYTES = 2 * 2**20
"""What the executable takes of it first: up to 1.9 MiB in the logs of tests/exporter/data/edgetpu."""

_INTEGERS = (schema.TensorType.INT8, schema.TensorType.UINT8)
_CONSTANT_TYPES = (*_INTEGERS, schema.TensorType.INT32)  # int32: biases, axes, shapes


@dataclass(frozen=True)
class Placement:
    """Where an operator runs."""

    index: int
    """Its place in the order of execution, from 0."""
    operator: str
    """As in the schema: "CONV_2D"."""
    version: int
    name: str
    """Of its first output tensor, of names joined by ";" the last."""
    mapped: bool
    """True if it should run on the Edge TPU, False if on the CPU."""
    reason: str
    """Why it does not map; "" if it does."""


@dataclass(frozen=True)
class TpuCheck:
    """What the check of one model found."""

    placements: tuple[Placement, ...]
    """Every operator, in the order of execution."""
    problems: tuple[str, ...]
    """Of the whole graph: several subgraphs, tensors that are float or of dynamic shape, a file the compiler cannot read."""
    parameter_bytes: int
    """The constants of the mapped operators, which the Edge TPU must hold; the compiler pads them."""

    @property
    def mapped(self) -> int:
        """How many operators map."""
        return sum(placement.mapped for placement in self.placements)

    @property
    def passed(self) -> bool:
        """True if the whole model should run on the Edge TPU."""
        return not self.problems and self.mapped == len(self.placements)

    @property
    def fits_cache(self) -> bool:
        """True if the parameters should stay on the chip; otherwise some are streamed in every inference."""
        return self.parameter_bytes <= CACHE_BYTES - EXECUTABLE_BYTES


@dataclass(frozen=True)
class _Tensor:
    index: int
    name: str
    type: int
    shape: tuple[int, ...]
    dynamic: bool
    scales: int
    """How many scales it is quantized with: 0 if it is not, above 1 if per channel."""
    zero_point: int
    buffer: int
    state: bool
    """True for the state that an LSTM keeps between its steps."""
    values: np.ndarray | None
    """Of a constant of a type the compiler takes, shaped; None for any other tensor."""

    @property
    def type_name(self) -> str:
        return TENSOR_TYPES[self.type]


@dataclass(frozen=True)
class _Operator:
    name: str
    version: int
    inputs: tuple[_Tensor | None, ...]
    """None where an optional input is left out."""
    outputs: tuple[_Tensor, ...]
    options: object
    """The schema's options of this operator; None where it has none."""

    @property
    def activations(self) -> list[_Tensor]:
        """The tensors that flow through the graph."""
        tensors = (*self.inputs, *self.outputs)
        return [tensor for tensor in tensors if tensor and tensor.values is None and not tensor.state]

    @property
    def constants(self) -> list[_Tensor]:
        return [tensor for tensor in self.inputs if tensor and tensor.values is not None]


def check(model: bytes) -> TpuCheck:
    """Says of every operator of a TFLite model whether it maps to the Edge TPU.

    Args:
        model: A TFLite model before compilation.
    """
    graph = read_graph(model)
    operators = [_read_operator(graph, graph.subgraphs[0], raw) for raw in graph.subgraphs[0].operators]
    reasons = _partition(operators, [_reason(operator) for operator in operators])
    placements = tuple(
        Placement(
            index, operator.name, operator.version, _clean(operator.outputs[0].name), not reason, reason
        )
        for index, (operator, reason) in enumerate(zip(operators, reasons, strict=True))
    )
    parameters = {
        tensor.buffer: tensor.values.nbytes
        for operator, reason in zip(operators, reasons, strict=True)
        for tensor in operator.constants
        if not reason
    }
    return TpuCheck(placements, tuple(_problems(graph, operators)), sum(parameters.values()))


def _problems(graph: schema.ModelT, operators: list[_Operator]) -> list[str]:
    problems = []
    main = graph.subgraphs[0]
    if len(graph.subgraphs) > 1:
        problems.append(f"{len(graph.subgraphs)} subgraphs, expected one; only the first was checked")
    for kind, indices in (("input", main.inputs), ("output", main.outputs)):
        for tensor in (_read_tensor(graph, main, index) for index in indices):
            if tensor.type not in _INTEGERS:
                problems.append(f"{kind} {tensor.name} is {tensor.type_name}, expected INT8 or UINT8")
            if tensor.dynamic:
                # The compiler says "Model not quantized": google-coral/tutorials, fix_conversion_issues_ptq_tf2.ipynb.
                problems.append(f"{kind} {tensor.name} has a dynamic shape, expected constant sizes")
    too_new = {f"{operator.name} {operator.version}" for operator in operators if _is_too_new(operator)}
    if too_new:
        problems.append(
            f"the compiler cannot read a file with {', '.join(sorted(too_new))}: newer than TensorFlow 2.5"
        )
    return problems


def _partition(operators: list[_Operator], reasons: list[str]) -> list[str]:
    """Adds a reason to what follows an operator that does not map.

    "The Edge TPU compiler cannot partition the model more than once, so as soon as an unsupported operation occurs, that
    operation and everything after it executes on the CPU" (models-intro, Compiling). Everything after it: what depends
    on it. Operators before the first that maps do not count: the QUANTIZE of a float input runs on the CPU and all else
    on the Edge TPU (models-intro, Float input and output tensors).
    """
    placed, behind, started = [], {}, False
    for operator, reason in zip(operators, reasons, strict=True):
        cut = next((behind[tensor.index] for tensor in operator.activations if tensor.index in behind), "")
        started = started or not reason
        if not cut and reason and started:
            cut = f"{operator.name} {_clean(operator.outputs[0].name)}"
        if cut:
            behind.update((tensor.index, cut) for tensor in operator.outputs)
        placed.append(reason or (f"after {cut}, which does not map" if cut else ""))
    return placed


def _reason(operator: _Operator) -> str:
    """Why an operator does not map by itself; "" if it does."""
    if operator.name not in _SUPPORTED:
        return "the Edge TPU has no such operator"
    if _is_too_new(operator):
        newest = _SUPPORTED[operator.name][0]
        return f"version {operator.version}; the compiler knows versions up to {newest}"
    for tensor in operator.activations:
        if tensor.type not in _INTEGERS:
            return f"works on {tensor.type_name}, expected INT8 or UINT8"
        if not tensor.scales:
            return f"{_clean(tensor.name)} has no scale and zero point: it is not quantized"
        if tensor.scales > 1:
            return f"{_clean(tensor.name)} has a scale for each channel; only weights can"
        if tensor.dynamic:
            return f"{_clean(tensor.name)} has a dynamic shape"
        if math.prod(tensor.shape[:-3]) > 1:
            return f"shape {_text(tensor.shape)}: only the innermost 3 dimensions can be larger than 1"
    for tensor in operator.constants:
        if tensor.type not in _CONSTANT_TYPES:
            return f"constant {_clean(tensor.name)} is {tensor.type_name}, expected INT8 or UINT8"
    return next((reason for rule in _SUPPORTED[operator.name][1:] if (reason := rule(operator))), "")


def _is_too_new(operator: _Operator) -> bool:
    return operator.name in _SUPPORTED and operator.version > _SUPPORTED[operator.name][0]


# The limitations of the table, in its order and words.


def _no_fused_activation(operator: _Operator) -> str:
    fused = operator.options.fusedActivationFunction != schema.ActivationFunctionType.NONE
    return "a fused activation function" if fused else ""


def _only_zero_padding(operator: _Operator) -> str:
    """ "If any input is a compile-time constant tensor, there must be only 2 inputs, and this constant tensor must be all
    zeros (effectively, a zero-padding op)."
    """
    if not operator.constants:
        return ""
    (*others, constant) = operator.constants
    zeros = np.all(constant.values == constant.zero_point)
    return (
        ""
        if not others and len(operator.inputs) == 2 and zeros
        else "a constant input that is no zero padding"
    )


def _same_dilation(operator: _Operator) -> str:
    height, width = operator.options.dilationHFactor, operator.options.dilationWFactor
    return "" if height == width else f"dilation ({height}, {width}): must be the same in x and y"


def _constant_parameters(*positions: int) -> Callable[[_Operator], str]:
    """Requirements: "Model parameters (such as bias tensors) are constant at compile-time." """

    def rule(operator: _Operator) -> str:
        given = [operator.inputs[position] for position in positions if position < len(operator.inputs)]
        return (
            "weights that are no constants"
            if any(tensor and tensor.values is None for tensor in given)
            else ""
        )

    return rule


def _default_weights_format(operator: _Operator) -> str:
    default = operator.options.weightsFormat == schema.FullyConnectedOptionsWeightsFormat.DEFAULT
    return "" if default else "weights in another format than the default one"


def _one_dimensional_output(operator: _Operator) -> str:
    shape = operator.outputs[0].shape
    return "" if math.prod(shape[:-1]) == 1 else f"output {_text(shape)} is not one-dimensional"


def _no_batch_axis(position: int) -> Callable[[_Operator], str]:
    """No reduction or split of dimension 0; `position` is that of the input which holds the axes."""

    def rule(operator: _Operator) -> str:
        axes = _axes(operator, position)
        if axes is None:
            return "axes that are no constants"
        return "works along the batch dimension" if 0 in axes else ""

    return rule


def _z_multiple_of_4(operator: _Operator) -> str:
    shape = operator.inputs[0].shape
    along_z = len(shape) - 1 in _axes(operator, 1)
    return f"a mean of {shape[-1]} channels: must be a multiple of 4" if along_z and shape[-1] % 4 else ""


def _no_packing_of_batch(operator: _Operator) -> str:
    axis = operator.options.axis % len(operator.outputs[0].shape)
    return "works along the batch dimension" if axis == 0 else ""


def _no_padding_of_batch(operator: _Operator) -> str:
    paddings = operator.inputs[1].values
    if paddings is None:
        return "paddings that are no constants"
    return "pads the batch dimension" if np.any(paddings[0]) else ""


def _one_dimensional_alpha(operator: _Operator) -> str:
    shape = operator.inputs[1].shape
    wide = math.prod(shape[:-1]) != 1
    return f"alpha {_text(shape)}: only the innermost dimension can be larger than 1" if wide else ""


def _short_vector(operator: _Operator) -> str:
    shape = operator.inputs[0].shape
    if math.prod(shape[:-1]) != 1:
        return f"input {_text(shape)} is not one-dimensional"
    return f"{shape[-1]} elements: at most 16000" if shape[-1] > 16000 else ""


def _unit_strides(operator: _Operator) -> str:
    """Compiler 16.0 still keeps to it: google-coral/edgetpu issue 828."""
    strides = operator.inputs[3].values
    if strides is None or np.any(strides != 1):
        return "strides other than 1"
    masks = operator.options.ellipsisMask or operator.options.newAxisMask
    return "an ellipsis or a new axis" if masks else ""


_WEIGHTS = _constant_parameters(1, 2)

_SUPPORTED: dict[str, tuple] = {
    # The newest version in TensorFlow 2.5, then the table's limitations. The versions are those for which
    # tensorflow/lite/tools/versioning/runtime_version.cc names a runtime up to 2.5.0; tflite-runtime 2.5.0 reads these
    # and no newer ones.
    "ADD": (3,),
    "AVERAGE_POOL_2D": (3, _no_fused_activation),
    "CONCATENATION": (3, _no_fused_activation, _only_zero_padding),
    "CONV_2D": (5, _WEIGHTS, _same_dilation),
    "DEPTHWISE_CONV_2D": (6, _WEIGHTS, _same_dilation),
    "EXPAND_DIMS": (1,),
    "FULLY_CONNECTED": (9, _WEIGHTS, _default_weights_format, _one_dimensional_output),
    "L2_NORMALIZATION": (2,),
    "LOGISTIC": (3,),
    "LSTM": (4,),
    "MAXIMUM": (4,),
    "MAX_POOL_2D": (3, _no_fused_activation),
    "MEAN": (3, _no_batch_axis(1), _z_multiple_of_4),
    "MINIMUM": (4,),
    "MUL": (4,),
    "PACK": (3, _no_packing_of_batch),
    "PAD": (3, _no_padding_of_batch),
    "PRELU": (1, _constant_parameters(1), _one_dimensional_alpha),
    "QUANTIZE": (2,),
    "REDUCE_MAX": (3, _no_batch_axis(1)),
    "REDUCE_MIN": (3, _no_batch_axis(1)),
    "RELU": (3,),
    "RELU6": (3,),
    "RELU_N1_TO_1": (1,),
    "RESHAPE": (1,),
    "RESIZE_BILINEAR": (4,),
    "RESIZE_NEAREST_NEIGHBOR": (4,),
    "RSQRT": (2,),
    "SLICE": (5,),
    "SOFTMAX": (3, _short_vector),
    "SPACE_TO_DEPTH": (2,),
    "SPLIT": (4, _no_batch_axis(0)),
    "SQUARED_DIFFERENCE": (2,),
    "SQUEEZE": (2,),
    "STRIDED_SLICE": (5, _unit_strides),
    "SUB": (5,),
    "SUM": (2, _no_batch_axis(1)),
    "TANH": (3,),
    "TRANSPOSE": (5,),
    "TRANSPOSE_CONV": (3, _constant_parameters(0, 1, 3)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (3,),
}


def _axes(operator: _Operator, position: int) -> set[int] | None:
    """The axes that a constant input names, counted from 0; None if they are not known before the model runs."""
    axes = operator.inputs[position].values
    (data,) = [tensor for place, tensor in enumerate(operator.inputs) if place != position]
    return None if axes is None else {int(axis) % len(data.shape) for axis in np.ravel(axes)}


def _read_operator(graph: schema.ModelT, subgraph: schema.SubGraphT, raw: schema.OperatorT) -> _Operator:
    return _Operator(
        operator_name(graph, raw),
        graph.operatorCodes[raw.opcodeIndex].version,
        tuple(None if index < 0 else _read_tensor(graph, subgraph, index) for index in raw.inputs),
        tuple(_read_tensor(graph, subgraph, index) for index in raw.outputs),
        raw.builtinOptions,
    )


def _read_tensor(graph: schema.ModelT, subgraph: schema.SubGraphT, index: int) -> _Tensor:
    raw = subgraph.tensors[index]
    shape = () if raw.shape is None else tuple(int(size) for size in raw.shape)
    signature = shape if raw.shapeSignature is None else raw.shapeSignature
    quantization = raw.quantization or schema.QuantizationParametersT()
    scales = () if quantization.scale is None else quantization.scale
    zero_points = () if quantization.zeroPoint is None else quantization.zeroPoint
    return _Tensor(
        int(index),
        raw.name.decode(),
        raw.type,
        shape,
        dynamic=any(size < 0 for size in signature),
        scales=len(scales),
        zero_point=int(zero_points[0]) if len(zero_points) else 0,
        buffer=raw.buffer,
        state=raw.isVariable,
        values=_values(graph.buffers[raw.buffer].data, raw.type, shape),
    )


def _values(data: np.ndarray | None, kind: int, shape: tuple[int, ...]) -> np.ndarray | None:
    if data is None or not len(data):
        return None
    content = np.asarray(data, np.uint8)
    if kind not in _CONSTANT_TYPES:
        return content
    dtype = {schema.TensorType.INT8: np.int8, schema.TensorType.UINT8: np.uint8}.get(kind, np.int32)
    return content.view(dtype).reshape(shape)


def _clean(name: str) -> str:
    return name.split(";")[-1].removesuffix(":0")


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
