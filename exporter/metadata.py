"""Writes TFLite Metadata into a model, so that MediaPipe, Netron and Android tools read it as it is.

The tables are built with the field ids that TensorFlow publishes in ``metadata_schema.fbs`` (tflite-support);
its own writer, the package tflite-support, cannot be installed beside current TensorFlow (protobuf below 4).
"""

from dataclasses import dataclass

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from edge_runtime.model_file import LABELS_NAME, MANIFEST_NAME
from exporter.graph import read_graph, write_graph

BUFFER_NAME = b"TFLITE_METADATA"
FILE_IDENTIFIER = b"M001"
# Every table written here exists since the first version of the schema.
MIN_PARSER_VERSION = "1.0.0"

_TENSOR_AXIS_LABELS = 2  # AssociatedFileType
_RGB = 1  # ColorSpaceType
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES = 1, 2  # ContentProperties
_NORMALIZATION_OPTIONS = 1  # ProcessUnitOptions


@dataclass(frozen=True)
class _Table:
    """A flatbuffer table: field id to str, _Byte, _Table, list of floats or list of tables."""

    fields: dict


@dataclass(frozen=True)
class _Byte:
    """An enum value, or the type of a union."""

    value: int


def add_metadata(
    model: bytes, labels: tuple[str, ...], *, name: str, version: str, description: str
) -> bytes:
    """Adds metadata to an image classifier that takes RGB bytes and gives one probability a label.

    Args:
        model: A TFLite model with one uint8 input and one output.
        labels: One a class; written to the zip by edge_runtime.model_file.pack.
        name: The model's name.
        version: The model's version.
        description: One sentence on what the model does.

    Returns:
        The model with the metadata in place of any it had. The zip is not added here.
    """
    built = read_graph(model)
    buffer = schema.BufferT()
    buffer.data = list(_pack(_model_metadata(labels, name, version, description)))
    built.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = BUFFER_NAME.decode(), len(built.buffers) - 1
    built.metadata = [old for old in built.metadata or [] if old.name != BUFFER_NAME] + [entry]
    return write_graph(built)


def _model_metadata(labels: tuple[str, ...], name: str, version: str, description: str) -> _Table:
    # NormalizationOptions {mean, std}; MediaPipe requires them, and ignores them where the input is uint8.
    normalization = _Table({0: _Byte(_NORMALIZATION_OPTIONS), 1: _Table({0: [127.5], 1: [127.5]})})
    image = _Table({0: _Byte(_IMAGE_PROPERTIES), 1: _Table({0: _Byte(_RGB)})})
    input_tensor = _Table(
        {
            0: "image",
            1: "RGB bytes of the frame's centre square",
            3: image,
            4: [normalization],
            5: _Table({0: [255.0], 1: [0.0]}),  # Stats {max, min}
        }
    )
    label_file = _Table({0: LABELS_NAME, 1: "one class a line", 2: _Byte(_TENSOR_AXIS_LABELS)})
    output_tensor = _Table(
        {
            0: "probability",
            1: f"one probability for each of {len(labels)} classes",
            3: _Table({0: _Byte(_FEATURE_PROPERTIES), 1: _Table({})}),
            5: _Table({0: [1.0], 1: [0.0]}),
            6: [label_file],
        }
    )
    return _Table(
        {
            0: name,
            1: description,
            2: version,
            3: [_Table({2: [input_tensor], 3: [output_tensor]})],
            6: [_Table({0: MANIFEST_NAME, 1: "litelens manifest"})],
            7: MIN_PARSER_VERSION,
        }
    )


def _pack(root: _Table) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, root), FILE_IDENTIFIER)
    return bytes(builder.Output())


def _write(builder: flatbuffers.Builder, value: str | list | _Table) -> int:
    """Writes a value and what it refers to, children first as flatbuffers asks; returns its offset."""
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, list) and value and isinstance(value[0], float):
        builder.StartVector(4, len(value), 4)
        for number in reversed(value):
            builder.PrependFloat32(number)
        return builder.EndVector()
    if isinstance(value, list):
        offsets = [_write(builder, table) for table in value]
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()
    offsets = {
        slot: _write(builder, child) for slot, child in value.fields.items() if not isinstance(child, _Byte)
    }
    builder.StartObject(max(value.fields, default=-1) + 1)
    for slot, child in value.fields.items():
        if isinstance(child, _Byte):
            builder.PrependByteSlot(slot, child.value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, offsets[slot], 0)
    return builder.EndObject()
