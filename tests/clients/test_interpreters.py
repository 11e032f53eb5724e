"""Every TFLite interpreter that pyproject.toml allows runs the file with nothing of litelens beside it."""

import numpy as np
import pytest

pytestmark = pytest.mark.clients

LITERT = "ai_edge_litert.interpreter"
TFLITE_RUNTIME = "tflite_runtime.interpreter"


@pytest.fixture(scope="module")
def found(client, model, inputs, tmp_path_factory):
    """Runs a client on the inputs; each once."""
    path = tmp_path_factory.mktemp("inputs") / "inputs.npy"
    np.save(path, inputs)
    answers = {}

    def run(environment: str, module: str) -> dict:
        if environment not in answers:
            answers[environment] = client(environment, "interpreter_client.py", module, model, path)
        return answers[environment]

    return run


@pytest.mark.parametrize("environment, module", [("litert", LITERT), ("litert-oldest", LITERT)])
def test_litert_of_either_age_gives_the_same_bytes(environment, module, found, outputs):
    np.testing.assert_array_equal(found(environment, module)["outputs"], outputs)


def test_tflite_runtime_answers_the_same_but_for_near_ties(found, outputs):
    """Its int8 kernels are others (no XNNPACK), and softmax widens what their rounding changes.

    Measured with three models on 100 pictures: one other top-1, where the two best were 0, 12 and 18 steps of 255
    apart; the worst output of a picture is 0, 3 and 3 steps off in the median, 73, 23 and 33 at most.
    """
    theirs = np.array(found("tflite-runtime", TFLITE_RUNTIME)["outputs"])
    margin = np.diff(np.sort(outputs, axis=1)[:, -2:])[:, 0]
    other = theirs.argmax(1) != outputs.argmax(1)
    off = np.abs(theirs - outputs).max(axis=1)
    print(
        f"tflite-runtime: {other.sum()} of {len(outputs)} top-1 differ, where the two best were {margin[other]} "
        f"steps apart; worst output of a picture {np.median(off):g} steps off in the median, {off.max()} at most"
    )
    assert np.median(off) <= 8
    assert other.mean() <= 0.05
    assert np.all(margin[other] <= 64), "another answer where LiteRT was sure"


@pytest.mark.parametrize(
    "environment, module",
    [("litert", LITERT), ("litert-oldest", LITERT), ("tflite-runtime", TFLITE_RUNTIME)],
)
def test_the_manifests_selftest_replays_by_hand(environment, module, found, classifier):
    answer = found(environment, module)
    assert answer["dtypes"] == ["uint8", "uint8"]
    vectors = classifier.model_file.manifest.selftest
    for output, vector in zip(answer["selftest"], vectors, strict=True):
        assert np.abs(np.subtract(output, vector.expected)).max() <= vector.tolerance
