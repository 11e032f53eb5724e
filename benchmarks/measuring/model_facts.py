"""What was measured: the model file and what its model says of itself."""

import hashlib
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.card.contract import Model
from benchmarks.flatbuffer import Table
from edge_runtime.classifier import Classifier
from edge_runtime.errors import ModelFileError
from edge_runtime.model_file import EXPORT_AGAIN

# schema.fbs of TensorFlow Lite, enum TensorType: what weights may be. int32 is for biases, axes and shapes.
_DTYPES = {0: "float32", 1: "float16", 3: "uint8", 7: "int16", 9: "int8", 17: "int4"}
# The same, numbers of the fields.
_SUBGRAPHS, _BUFFERS = 2, 4
_TENSORS = 0
_TYPE, _BUFFER = 1, 2
_DATA, _OFFSET, _SIZE = 0, 1, 2


@dataclass(frozen=True)
class FileFacts:
    """What only the file's bytes tell."""

    sha256: str
    size_bytes: int
    weights_dtype: str


def read_facts(path: Path) -> FileFacts:
    """Reads a model file, which the interpreter is about to load: later it may be another, or gone.

    Raises:
        ModelFileError: If the model in it is damaged.
    """
    content = path.read_bytes()
    try:
        dtype = weights_dtype(content)
    except (struct.error, IndexError, ValueError) as problem:
        raise ModelFileError(
            f"cannot load {path}: its flatbuffer is damaged: {problem}", EXPORT_AGAIN
        ) from problem
    return FileFacts(hashlib.sha256(content).hexdigest(), len(content), dtype)


def describe_model(classifier: Classifier, facts: FileFacts | None = None) -> Model:
    """The model file that a classifier has loaded, as it stands in the card.

    Args:
        classifier: Of a model file.
        facts: What `read_facts` read before; None: it is read now.
    """
    facts = facts or read_facts(classifier.model_file.path)
    file, interpreter = classifier.model_file, classifier.interpreter
    height, width = classifier.input_size
    manifest = file.manifest
    return Model(
        file=file.path.name,
        sha256=facts.sha256,
        size_bytes=facts.size_bytes,
        name=manifest.name if manifest else file.path.name,
        version=manifest.version if manifest else "",
        input_height_px=height,
        input_width_px=width,
        input_dtype=str(interpreter.input.dtype),
        output_dtype=str(interpreter.output.dtype),
        weights_dtype=facts.weights_dtype,
        classes=len(classifier.labels),
        exported_top1=manifest.accuracy.int8_top1 if manifest else None,
    )


def weights_dtype(model: bytes) -> str:
    """Of most of the weights' bytes; "none" where there are none.

    Args:
        model: A TFLite model that is whole.
    """
    root = Table.root(model)
    bytes_of = [buffer.vector_length(_DATA) or buffer.number(_SIZE, "<Q") for buffer in root.tables(_BUFFERS)]
    found: Counter[str] = Counter()
    for subgraph in root.tables(_SUBGRAPHS):
        for tensor in subgraph.tables(_TENSORS):
            if dtype := _DTYPES.get(tensor.number(_TYPE, "<b")):
                found[dtype] += bytes_of[tensor.number(_BUFFER, "<I")]
    (dtype, most), *_ = found.most_common(1) or [("none", 0)]
    return dtype if most else "none"
