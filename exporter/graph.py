"""Reads and writes the graph inside a .tflite: its operators, their versions and tensors."""

from collections import Counter
from dataclasses import dataclass

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

OPERATOR_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
TENSOR_TYPES = {code: name for name, code in vars(schema.TensorType).items() if isinstance(code, int)}


@dataclass(frozen=True)
class OperatorCount:
    """How often an operator stands in a model."""

    name: str
    """As in the schema: "CONV_2D"; a custom operator's own name in brackets: "CUSTOM(TFLite_Detection_PostProcess)"."""
    version: int
    count: int


def read_graph(model: bytes) -> schema.ModelT:
    """The model as mutable objects of the flatbuffer's schema, its constants inside it."""
    graph = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    for buffer in graph.buffers:
        # litert-quantizer keeps constants behind the flatbuffer, at an offset that any change would make wrong.
        if buffer.offset > 1:
            buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return graph


def write_graph(graph: schema.ModelT) -> bytes:
    """The flatbuffer of a model, constants inside it."""
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(graph.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def operator_name(graph: schema.ModelT, operator: schema.OperatorT) -> str:
    """The schema's name of an operator."""
    code = graph.operatorCodes[operator.opcodeIndex]
    # Codes up to 127 once stood in a field of one byte, and old files have them only there.
    name = OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]
    return f"CUSTOM({code.customCode.decode()})" if name == "CUSTOM" else name


def operator_counts(model: bytes) -> tuple[OperatorCount, ...]:
    """Every operator of every subgraph with its version, the most frequent first."""
    graph = read_graph(model)
    counts = Counter(
        (operator_name(graph, operator), graph.operatorCodes[operator.opcodeIndex].version)
        for subgraph in graph.subgraphs
        for operator in subgraph.operators
    )
    return tuple(OperatorCount(name, version, count) for (name, version), count in counts.most_common())


def add_tensor(subgraph: schema.SubGraphT, name: bytes, kind: int, shape: list[int]) -> int:
    """Adds a tensor that an operator fills; returns its index."""
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.shape = name, kind, shape
    tensor.buffer = 0  # the schema's empty buffer
    subgraph.tensors.append(tensor)
    return len(subgraph.tensors) - 1


def add_operator(
    graph: schema.ModelT, name: str, version: int, inputs: list[int], output: int
) -> schema.OperatorT:
    """Makes an operator with its code and default options; the caller puts it in its place."""
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    # Readers of before 2020 look at the old field only, whose byte holds codes up to 127.
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = version
    graph.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(graph.operatorCodes) - 1
    operator.inputs, operator.outputs = inputs, [output]
    options = f"{name.capitalize()}Options"
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
    operator.builtinOptions = getattr(schema, f"{options}T")()
    return operator
