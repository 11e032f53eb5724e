"""What a .tflite says of its input, its output and its labels, read from its bytes: no interpreter, no extra library.

The numbers of the fields are those of TensorFlow's ``schema.fbs`` and, for the metadata inside, of tflite-support's
``metadata_schema.fbs``.
"""

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from math import isfinite

from benchmarks.flatbuffer import Table
from edge_runtime.model_file import LABELS_NAME

TENSOR_TYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 7: "int16", 9: "int8"}
"""The schema's TensorType, as NumPy names it; the others are no picture's."""
METADATA_NAME = "TFLITE_METADATA"
_NORMALIZATION_OPTIONS = 1  # ProcessUnitOptions
_AXIS_LABELS = 2  # AssociatedFileType

DAMAGED = (
    struct.error,
    ValueError,
    IndexError,
    KeyError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
)
"""What reading altered bytes raises."""


@dataclass(frozen=True)
class Normalisation:
    """A float model's input is (pixel - mean) / std, with the pixel from 0 to 255."""

    mean: tuple[float, ...]
    """One number, or one each for red, green and blue."""
    std: tuple[float, ...]


@dataclass(frozen=True)
class TfliteFile:
    """What the file says."""

    input_shape: tuple[int, ...]
    input_dtype: str
    classes: int
    """The last side of the output."""
    labels: tuple[str, ...] | None
    """One a class; None where the file has none."""
    normalisation: Normalisation | None
    """None where the metadata does not tell."""


def read_tflite(content: bytes) -> TfliteFile:
    """Reads a model with one input and one output; of more, the first.

    Raises:
        One of DAMAGED: If content is no whole model.
    """
    model = Table.root(content)
    graph = model.tables(2)[0]
    tensors = graph.tables(0)
    given, answer = (tensors[graph.numbers(field, "<i4")[0]] for field in (1, 2))
    metadata = _metadata(model)
    return TfliteFile(
        input_shape=given.numbers(0, "<i4"),
        input_dtype=TENSOR_TYPES[given.number(1, "<B")],
        classes=answer.numbers(0, "<i4")[-1],
        labels=_labels(content, metadata),
        normalisation=_normalisation(metadata),
    )


def _metadata(model: Table) -> Table | None:
    """What the metadata says of the first graph: a SubGraphMetadata."""
    for entry in model.tables(6):
        if entry.text(0) == METADATA_NAME:
            data = model.tables(4)[entry.number(1, "<I")].raw(0)
            return Table.root(data).tables(3)[0]
    return None


def _normalisation(metadata: Table | None) -> Normalisation | None:
    for tensor in metadata.tables(2)[:1] if metadata else ():
        for unit in tensor.tables(4):
            if unit.number(0, "<B") == _NORMALIZATION_OPTIONS and (options := unit.table(1)):
                return _checked(Normalisation(options.numbers(0, "<f4"), options.numbers(1, "<f4")))
    return None


def _checked(found: Normalisation) -> Normalisation:
    for numbers in (found.mean, found.std):
        if len(numbers) not in (1, 3) or not all(map(isfinite, numbers)):
            raise ValueError(f"its normalisation is {found}")
    if min(found.std) <= 0:
        raise ValueError(f"its normalisation is {found}")
    return found


def _labels(content: bytes, metadata: Table | None) -> tuple[str, ...] | None:
    """Of the file in the zip at the end that the metadata names, else of LABELS_NAME."""
    file = io.BytesIO(content)
    if not zipfile.is_zipfile(file):
        return None
    with zipfile.ZipFile(file) as archive:
        for name in (*_label_files(metadata), LABELS_NAME):
            if name in archive.namelist():
                lines = archive.read(name).decode().removesuffix("\n").split("\n")
                return tuple(line.removesuffix("\r") for line in lines)
    return None


def _label_files(metadata: Table | None) -> list[str]:
    answers = metadata.tables(3)[:1] if metadata else ()
    return [
        file.text(0)
        for tensor in answers
        for file in tensor.tables(6)
        if file.number(2, "<B") == _AXIS_LABELS
    ]
