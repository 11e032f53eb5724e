"""MediaPipe Tasks classifies with the file as it is, and TFLite's own reader understands its metadata."""

import numpy as np
import pytest
from PIL import Image

from edge_runtime.drift.reference import REFERENCE_NAME
from edge_runtime.model_file import LABELS_NAME, MANIFEST_NAME

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def as_png(tmp_path_factory):
    """Writes pictures to a folder, named so that they sort as they come. PNG: both sides see the same pixels."""

    def write(pictures):
        folder = tmp_path_factory.mktemp("pictures")
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(folder / f"{number:03}.png")
        return folder

    return write


@pytest.mark.parametrize("environment", ["mediapipe", "mediapipe-0.10"])
def test_mediapipe_gives_our_labels_and_our_scores(
    environment, client, model, classifier, inputs, outputs, as_png
):
    answers = client(environment, "mediapipe_client.py", model, as_png(inputs), "whole")
    spec = classifier.interpreter.output
    for answer, output in zip(answers, outputs, strict=True):
        assert {index: label for index, label, _ in answer} == dict(enumerate(classifier.labels))
        scores = np.array([score for _, _, score in sorted(answer)])
        # Bit-exact where it was measured. One step: another build's kernels may round otherwise.
        assert np.abs(scores / spec.scale + spec.zero_point - output).max() <= 1
        assert output[answer[0][0]] == output.max()


@pytest.mark.parametrize(
    "region, least",
    [
        # MediaPipe resizes bilinearly, without the box filter that the model was trained with. Measured: 97 %
        # with the model of `make demo`, 94 and 95 % with two of this session's, which are seldom sure.
        ("centre-square", 0.85),
        # And the whole 4:3 picture is squeezed into a square, which the model never saw: 94, 92, 89 %.
        ("whole", 0.8),
    ],
)
def test_mediapipes_own_resizing_gives_mostly_the_same_answer(
    region, least, client, model, frames, outputs, as_png
):
    answers = client("mediapipe", "mediapipe_client.py", model, as_png(frames), region)
    same = np.mean([answer[0][0] == best for answer, best in zip(answers, outputs.argmax(1), strict=True)])
    print(f"{region}: same top-1 on {same:.0%} of {len(frames)} pictures")
    assert same >= least


def test_tflites_own_reader_understands_the_metadata(client, model, classifier):
    found = client("mediapipe-0.10", "metadata_client.py", model)
    assert found["files"] == [LABELS_NAME, MANIFEST_NAME, REFERENCE_NAME]
    metadata = found["metadata"]
    assert metadata["name"] == model.stem
    assert metadata["min_parser_version"] == found["needed_parser_version"]
    assert [file["name"] for file in metadata["associated_files"]] == [MANIFEST_NAME]
    (graph,) = metadata["subgraph_metadata"]
    (image,), (probability,) = graph["input_tensor_metadata"], graph["output_tensor_metadata"]
    assert image["content"]["content_properties"] == {"color_space": "RGB"}
    (unit,) = image["process_units"]
    assert unit == {"options_type": "NormalizationOptions", "options": {"mean": [127.5], "std": [127.5]}}
    (labels,) = probability["associated_files"]
    assert (labels["name"], labels["type"]) == (LABELS_NAME, "TENSOR_AXIS_LABELS")
