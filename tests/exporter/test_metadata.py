"""The metadata is read back with the flatbuffers library, by the field ids of the published schema."""

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types as types

from edge_runtime.interpreter import Interpreter
from exporter.metadata import BUFFER_NAME, add_metadata

LABELS = ("blue", "green", "red")


@pytest.fixture(scope="module")
def described(tiny):
    return add_metadata(
        tiny.read_bytes(), LABELS, name="colours", version="7", description="Tells colours apart."
    )


class Table:
    """A flatbuffer table, its fields by id."""

    def __init__(self, content: bytes, position: int):
        self._table = flatbuffers.table.Table(content, position)

    @classmethod
    def root(cls, content: bytes) -> "Table":
        return cls(content, flatbuffers.encode.Get(types.UOffsetTFlags.packer_type, content, 0))

    def _offset(self, field: int) -> int:
        found = self._table.Offset(4 + 2 * field)
        assert found, f"field {field} is absent"
        return found + self._table.Pos

    def text(self, field: int) -> str:
        return self._table.String(self._offset(field)).decode()

    def byte(self, field: int) -> int:
        return self._table.Get(types.Int8Flags, self._offset(field))

    def table(self, field: int) -> "Table":
        return Table(self._table.Bytes, self._table.Indirect(self._offset(field)))

    def tables(self, field: int) -> list["Table"]:
        start = self._table.Vector(self._offset(field) - self._table.Pos)
        count = self._table.VectorLen(self._offset(field) - self._table.Pos)
        return [Table(self._table.Bytes, self._table.Indirect(start + 4 * i)) for i in range(count)]

    def floats(self, field: int) -> list[float]:
        return self._table.GetVectorAsNumpy(
            types.Float32Flags, self._offset(field) - self._table.Pos
        ).tolist()


def metadata_of(model: bytes) -> bytes:
    root = schema.Model.GetRootAs(model, 0)
    entries = [root.Metadata(i) for i in range(root.MetadataLength())]
    (found,) = [entry for entry in entries if entry.Name() == BUFFER_NAME]
    return root.Buffers(found.Buffer()).DataAsNumpy().tobytes()


def test_metadata_says_what_other_clients_need(described):
    content = metadata_of(described)
    assert content[4:8] == b"M001"
    model = Table.root(content)
    assert (model.text(0), model.text(1), model.text(2)) == ("colours", "Tells colours apart.", "7")
    assert [file.text(0) for file in model.tables(6)] == ["litelens.json"]
    (graph,) = model.tables(3)
    (image,), (probability,) = graph.tables(2), graph.tables(3)
    assert image.table(3).byte(0) == 2, "ContentProperties: ImageProperties"
    assert image.table(3).table(1).byte(0) == 1, "ColorSpaceType: RGB"
    (unit,) = image.tables(4)
    assert unit.byte(0) == 1, "ProcessUnitOptions: NormalizationOptions"
    assert (unit.table(1).floats(0), unit.table(1).floats(1)) == ([127.5], [127.5])
    assert (image.table(5).floats(0), image.table(5).floats(1)) == ([255.0], [0.0])
    (labels,) = probability.tables(6)
    assert (labels.text(0), labels.byte(2)) == ("labels.txt", 2), "AssociatedFileType: TENSOR_AXIS_LABELS"


def test_metadata_replaces_what_was_there_and_leaves_the_model_as_it_was(described, tiny, tmp_path, coloured):
    again = add_metadata(described, LABELS, name="second", version="8", description="x")
    assert Table.root(metadata_of(again)).text(0) == "second"
    (tmp_path / "again.tflite").write_bytes(again)
    before, after = Interpreter(tiny, 1), Interpreter(tmp_path / "again.tflite", 1)
    picture = coloured("green", before.input.shape[1:3])[np.newaxis]
    np.testing.assert_array_equal(before.invoke(picture), after.invoke(picture))
