"""Where precision is lost: every layer's output in float beside int8, on the same pictures."""

import re
from dataclasses import dataclass

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from exporter.graph import operator_name, read_graph

CLEAR_DB = 10.0
"""Signal-to-noise under which a layer's noise is a third of its signal (10 dB is a power ratio of 10)."""
MOST_DB = 100.0
"""Reported for a layer without any noise."""

_NO_LAYERS = {"QUANTIZE", "DEQUANTIZE", "CAST"}


@dataclass(frozen=True)
class LayerNoise:
    """One layer's output, float against int8."""

    index: int
    """Position among the layers compared, in graph order."""
    name: str
    """The layer that put it out, as the float model names it."""
    operator: str
    """Of the float graph: "CONV_2D"."""
    snr_db: float
    """Signal-to-noise ratio: 10 log10 of the float output's power over that of the difference."""
    cosine: float
    """Of the angle between both outputs, all pictures as one vector."""


@dataclass(frozen=True)
class LayerReport:
    """A candidate's layers beside float's."""

    candidate: str
    pictures: int
    """How many were run through both models."""
    layers: tuple[LayerNoise, ...]
    """In the order of the graph."""
    suspect: LayerNoise | None
    """Where to look first: the first layer under CLEAR_DB, since all behind it inherit its noise, or else the worst;
    None where the graphs have no layer in common."""

    @property
    def worst_first(self) -> tuple[LayerNoise, ...]:
        """By signal to noise; of equal ones the earlier layer."""
        return tuple(sorted(self.layers, key=lambda layer: layer.snr_db))


class LayerOutputs:
    """Runs a model and gives what every layer put out, by name."""

    def __init__(self, model: bytes):
        """Loads a TFLite model, without delegates: they keep inner tensors to themselves."""
        self._interpreter = Interpreter(
            model_content=model,
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        graph = read_graph(model)
        subgraph = graph.subgraphs[0]
        self.operators: dict[str, str] = {}
        """Layer name to operator, in graph order."""
        self._tensors: dict[str, int] = {}
        self._scales = {
            tensor["index"]: tensor["quantization"] for tensor in self._interpreter.get_tensor_details()
        }
        for operator in subgraph.operators:
            index = int(operator.outputs[0])
            kind = operator_name(graph, operator)
            name = layer_name(subgraph.tensors[index].name.decode(), kind)
            if kind in _NO_LAYERS or name in self._tensors:
                continue
            self.operators[name] = kind
            self._tensors[name] = index

    def __call__(self, picture: np.ndarray) -> dict[str, np.ndarray]:
        """Real values of every layer's output, float32, for an input of shape (1, height, width, 3)."""
        self._interpreter.set_tensor(self._input, picture)
        self._interpreter.invoke()
        return {name: self._real(index) for name, index in self._tensors.items()}

    def _real(self, index: int) -> np.ndarray:
        values = self._interpreter.get_tensor(index).astype(np.float32)
        scale, zero_point = self._scales[index]
        return (values - zero_point) * np.float32(scale) if scale else values


def layer_name(tensor: str, operator: str) -> str:
    """A tensor's layer: 'litelens/quant_Conv1_relu/Relu6;litelens/...' becomes 'Conv1_relu'.

    The converter names a model's output after the call that wraps it; its layer is then called after the operator.
    """
    if re.fullmatch(r"StatefulPartitionedCall(_\d+)?:\d+", tensor):
        return operator.lower()
    parts = [part.removeprefix("quant_") for part in tensor.split(";")[0].split("/")]
    return "/".join(parts[1:-1]) or parts[0]


def compare_layers(candidate: str, reference: bytes, model: bytes, pictures: np.ndarray) -> LayerReport:
    """Measures each layer that both models have.

    Args:
        candidate: The name of `model`.
        reference: The float32 model, which takes bytes.
        model: The candidate.
        pictures: uint8 of shape (n, height, width, 3).
    """
    clean, noisy = LayerOutputs(reference), LayerOutputs(model)
    sums = {name: np.zeros(4) for name in clean.operators if name in noisy.operators}
    for picture in pictures:
        wanted, got = clean(picture[np.newaxis]), noisy(picture[np.newaxis])
        for name, total in sums.items():
            a, b = wanted[name].ravel().astype(np.float64), got[name].ravel().astype(np.float64)
            total += (a @ a, b @ b, a @ b, (a - b) @ (a - b))
    layers = tuple(
        LayerNoise(index, name, clean.operators[name], *_snr_and_cosine(*total))
        for index, (name, total) in enumerate(sums.items())
    )
    unclear = [layer for layer in layers if layer.snr_db < CLEAR_DB]
    suspect = unclear[0] if unclear else min(layers, key=lambda layer: layer.snr_db, default=None)
    return LayerReport(candidate, len(pictures), layers, suspect)


def _snr_and_cosine(signal: float, other: float, product: float, noise: float) -> tuple[float, float]:
    """From both powers, their product and the difference's power."""
    angle = cosine(product, signal, other)
    if noise == 0:
        return MOST_DB, angle
    snr = 10 * np.log10(signal / noise) if signal else -MOST_DB
    return float(np.clip(snr, -MOST_DB, MOST_DB)), angle


def cosine(product: float, first: float, second: float) -> float:
    """Of the angle between two tensors, from their product and both powers; 1 if both are zero, 0 if one is."""
    lengths = np.sqrt(first * second)
    return float(product / lengths) if lengths else float(first == second)
