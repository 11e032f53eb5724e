import hashlib
from dataclasses import replace

import pytest

from benchmarks.measuring.model_facts import describe_model, read_facts, weights_dtype
from edge_runtime.classifier import Classifier
from edge_runtime.model_file import read_model_file


def test_a_model_file(tiny):
    model = describe_model(Classifier(tiny, 1))
    assert (model.file, model.size_bytes) == ("tiny.tflite", tiny.stat().st_size)
    assert model.sha256 == hashlib.sha256(tiny.read_bytes()).hexdigest()
    assert (model.name, model.version, model.classes) == ("tiny", "1", 3)
    assert (model.input_height_px, model.input_width_px) == (8, 8)
    assert (model.input_dtype, model.output_dtype, model.weights_dtype) == ("uint8", "uint8", "int8")
    assert model.exported_top1 == read_model_file(tiny).manifest.accuracy.int8_top1


def test_a_candidate_without_a_manifest_has_its_files_name(tiny):
    model = describe_model(Classifier(replace(read_model_file(tiny), manifest=None), 1))
    assert (model.name, model.version, model.exported_top1) == ("tiny.tflite", "", None)


def test_a_file_is_read_before_somebody_writes_it_anew(tiny, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny.read_bytes())
    facts, classifier = read_facts(path), Classifier(path, 1)
    path.write_bytes(b"something else")
    model = describe_model(classifier, facts)
    assert (model.sha256, model.size_bytes) == (
        hashlib.sha256(tiny.read_bytes()).hexdigest(),
        tiny.stat().st_size,
    )


@pytest.mark.parametrize("name, dtype", [("tiny.tflite", "int8"), ("tiny_float.tflite", "float32")])
def test_the_weights_dtype(tiny, name, dtype):
    assert weights_dtype(tiny.with_name(name).read_bytes()) == dtype
