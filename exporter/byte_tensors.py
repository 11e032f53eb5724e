"""Puts bytes at a model's edges: RGB bytes in, and for an int8 model bytes out, whatever it was made with.

A camera's bytes then go into every candidate as they are, so that one Classifier measures them all and any client
can feed the finished file. Done on the flatbuffer, because it works alike for what TensorFlow converted, what
litert-quantizer made and what somebody else brought.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from exporter.graph import add_operator, add_tensor, operator_name, read_graph, write_graph
from exporter.normalisation import Normalisation

INT8_SINCE_VERSION = {
    # From tensorflow/compiler/mlir/lite/tools/versioning/op_version.cc: the version in which an operator took int8.
    "ADD": 2,
    "AVERAGE_POOL_2D": 2,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "LOGISTIC": 2,
    "MAX_POOL_2D": 2,
    "MEAN": 2,
    "MUL": 2,
    "PAD": 2,
    "SOFTMAX": 2,
    "SUB": 2,
}


def take_bytes(model: bytes, normalisation: Normalisation) -> bytes:
    """Makes a model's input RGB bytes.

    Args:
        model: A TFLite model with one input: float32, int8, or already uint8.
        normalisation: Of a float32 input.

    Returns:
        The model with a uint8 input. In front of a float32 input stand CAST, SUB and MUL; in front of an int8
        input QUANTIZE, which moves the zero point by 128.
    """
    graph = read_graph(model)
    subgraph = graph.subgraphs[0]
    index = int(subgraph.inputs[0])
    given = subgraph.tensors[index]
    if given.type == schema.TensorType.FLOAT32:
        pixels = add_tensor(subgraph, b"image", schema.TensorType.UINT8, given.shape)
        floats = add_tensor(subgraph, b"image/float", schema.TensorType.FLOAT32, given.shape)
        centred = add_tensor(subgraph, b"image/centred", schema.TensorType.FLOAT32, given.shape)
        cast = add_operator(graph, "CAST", 1, [pixels], floats)
        cast.builtinOptions.inDataType = schema.TensorType.UINT8
        cast.builtinOptions.outDataType = schema.TensorType.FLOAT32
        new = [
            cast,
            add_operator(
                graph, "SUB", 1, [floats, _constant(graph, b"image/mean", normalisation.mean)], centred
            ),
            add_operator(
                graph, "MUL", 1, [centred, _constant(graph, b"image/scale", 1 / normalisation.std)], index
            ),
        ]
    elif given.type == schema.TensorType.INT8:
        pixels = add_tensor(subgraph, b"image", schema.TensorType.UINT8, given.shape)
        subgraph.tensors[pixels].quantization = _shifted(given.quantization, 128)
        new = [add_operator(graph, "QUANTIZE", 1, [pixels], index)]
    else:
        return model
    subgraph.operators = new + subgraph.operators
    subgraph.inputs = [pixels]
    return _packed(graph)


def give_bytes(model: bytes) -> bytes:
    """Makes an int8 output uint8, by a QUANTIZE that moves the zero point by 128; any other output stays."""
    graph = read_graph(model)
    subgraph = graph.subgraphs[0]
    index = int(subgraph.outputs[0])
    answer = subgraph.tensors[index]
    if answer.type != schema.TensorType.INT8:
        return model
    scores = add_tensor(subgraph, b"probability", schema.TensorType.UINT8, answer.shape)
    subgraph.tensors[scores].quantization = _shifted(answer.quantization, 128)
    subgraph.operators.append(add_operator(graph, "QUANTIZE", 1, [index], scores))
    subgraph.outputs = [scores]
    return _packed(graph)


def state_int8_versions(model: bytes) -> bytes:
    """Writes the operator versions that int8 tensors ask for.

    litert-quantizer leaves version 1, that of the float operators; an interpreter that goes by it would have to
    refuse the tensors, and compilers do go by it.
    """
    graph = read_graph(model)
    for subgraph in graph.subgraphs:
        for operator in subgraph.operators:
            is_int8 = any(
                index >= 0 and subgraph.tensors[index].type == schema.TensorType.INT8
                for index in operator.inputs
            )
            code = graph.operatorCodes[operator.opcodeIndex]
            if is_int8:
                code.version = max(
                    code.version, INT8_SINCE_VERSION.get(operator_name(graph, operator), code.version)
                )
    return _packed(graph)


def _constant(graph: schema.ModelT, name: bytes, value: float) -> int:
    """Adds a float32 constant of one element; returns its index."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.float32(value).tobytes(), np.uint8)
    graph.buffers.append(buffer)
    subgraph = graph.subgraphs[0]
    index = add_tensor(subgraph, name, schema.TensorType.FLOAT32, [1])
    subgraph.tensors[index].buffer = len(graph.buffers) - 1
    return index


def _shifted(quantization: schema.QuantizationParametersT, by: int) -> schema.QuantizationParametersT:
    shifted = schema.QuantizationParametersT()
    shifted.scale = quantization.scale
    shifted.zeroPoint = [int(quantization.zeroPoint[0]) + by]
    return shifted


def _packed(graph: schema.ModelT) -> bytes:
    # The converter's named entry point speaks of the old tensors, and none of our clients calls it.
    graph.signatureDefs = []
    return write_graph(graph)
