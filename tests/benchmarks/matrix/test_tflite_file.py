import contextlib
import io
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.matrix.tflite_file import DAMAGED, Normalisation, read_tflite

unhurried = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


def test_a_model_with_metadata_says_all(tiny):
    said = read_tflite(tiny.read_bytes())
    assert said.input_shape == (1, 8, 8, 3) and said.input_dtype == "uint8" and said.classes == 3
    assert said.labels == ("blue", "green", "red")
    assert said.normalisation == Normalisation((127.5,), (127.5,))


def test_a_model_without_metadata_says_less(tiny_float):
    said = read_tflite(tiny_float.read_bytes())
    assert said.input_shape == (1, 8, 8, 3) and said.input_dtype == "float32" and said.classes == 3
    assert said.labels is None and said.normalisation is None


@pytest.mark.parametrize(
    "name, text, labels",
    [
        ("labels.txt", "a\r\nb\r\nc\r\n", ("a", "b", "c")),
        ("labels.txt", "a\nb\nc", ("a", "b", "c")),
        ("words.txt", "a\nb\nc\n", None),  # no metadata names it
    ],
)
def test_labels_without_metadata_are_those_of_labels_txt(tiny_float, name, text, labels):
    file = io.BytesIO(tiny_float.read_bytes())
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(name, text)
    assert read_tflite(file.getvalue()).labels == labels


@unhurried
@given(st.data())
def test_altered_bytes_raise_what_is_said(tiny, data):
    content = bytearray(tiny.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(*DAMAGED):
        read_tflite(bytes(content))


@unhurried
@given(st.integers(0, 6800))
def test_a_file_that_was_cut_is_damaged_or_says_the_same(tiny_float, length):
    whole = tiny_float.read_bytes()
    with contextlib.suppress(*DAMAGED):
        assert read_tflite(whole[:length]) == read_tflite(whole)


@unhurried
@given(st.binary(max_size=200))
def test_any_bytes_raise_what_is_said(content):
    with contextlib.suppress(*DAMAGED):
        read_tflite(content)
