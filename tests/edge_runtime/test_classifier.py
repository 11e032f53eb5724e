import dataclasses
import importlib.util
import math
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime import Classifier, Prediction
from edge_runtime.classifier import _best, _probabilities_of_levels
from edge_runtime.decision import UNKNOWN, temper
from edge_runtime.errors import FrameError, InterpreterError, ModelFileError
from edge_runtime.interpreter import LIBRARIES, Interpreter, TensorSpec
from edge_runtime.model_file import ModelFile, read_model_file


@pytest.fixture(scope="module", params=LIBRARIES)
def classifier(request, tiny) -> Classifier:
    pytest.importorskip(request.param)  # tflite_runtime has no wheel for every platform
    return Classifier(tiny, threads=1, library=request.param)


@pytest.mark.parametrize("size", [(8, 8), (480, 640), (1, 1), (75, 3), (1080, 1920)])
@pytest.mark.parametrize("label", ["blue", "green", "red"])
def test_names_the_dominant_colour(classifier, coloured, label, size):
    best, *others = classifier.classify(coloured(label, size))
    assert best.label == label and best.score > 0.99
    assert classifier.labels[best.class_id] == label
    assert all(other.score < 0.01 for other in others)


def test_orders_by_score(classifier):
    frame = np.broadcast_to(np.array([200, 100, 150], np.uint8), (48, 64, 3))
    predictions = classifier.classify(frame)
    assert [p.label for p in predictions] == ["red", "blue", "green"]
    assert sum(p.score for p in predictions) == pytest.approx(1, abs=3 / 256)


@pytest.mark.parametrize("top_k, count", [(1, 1), (2, 2), (3, 3), (10, 3)])
def test_gives_top_k_but_at_most_one_a_class(classifier, coloured, top_k, count):
    predictions = classifier.classify(coloured("green"), top_k)
    assert len(predictions) == count and predictions[0].label == "green"


def test_ties_go_to_the_lower_class_id(classifier):
    grey = np.full((48, 64, 3), 128, np.uint8)
    predictions = classifier.classify(grey)
    assert len({p.score for p in predictions}) == 1
    assert [p.class_id for p in predictions] == [0, 1, 2]
    assert [p.class_id for p in classifier.classify(grey, top_k=2)] == [0, 1]


@pytest.mark.parametrize(
    "output, expected", [([9, 9, 7], [0, 1, 2]), ([7, 9, 9], [1, 2, 0]), ([1, 2, 3], [2, 1, 0])]
)
def test_postprocess_sorts_stably(classifier, output, expected):
    predictions = classifier.postprocess(np.array(output, np.uint8))
    assert [p.class_id for p in predictions] == expected
    assert predictions[0] == Prediction(expected[0], classifier.labels[expected[0]], max(output) / 256)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=50), st.integers(1, 60))
def test_the_best_come_in_the_order_of_a_stable_sort(levels, count):
    wanted = sorted(range(len(levels)), key=lambda number: -levels[number])[:count]
    assert _best(np.array(levels, np.float32), count) == wanted


@pytest.mark.parametrize("dtype, zero_point", [(np.uint8, 0), (np.uint8, 3), (np.int8, -128), (np.int8, 5)])
def test_every_level_has_the_probability_of_its_formula(dtype, zero_point):
    spec = TensorSpec((1, 256), np.dtype(dtype), 1 / 256, zero_point)
    levels = np.arange(256, dtype=np.uint8).view(dtype)
    expected = (levels.astype(np.float32) - zero_point) * (1 / 256)
    assert np.array_equal(_probabilities_of_levels(spec).take(levels.view(np.uint8)), expected)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_scores_of_all_classes_are_those_of_the_predictions(repacked, rule, temperature):
    classifier = Classifier(repacked(decision=rule(temperature=temperature)), threads=1)
    output = np.array([40, 216, 0], np.uint8)
    scores = classifier.scores(output)
    assert (scores.dtype, scores.shape) == (np.float32, (3,))
    assert {p.class_id: p.score for p in classifier.postprocess(output)} == dict(enumerate(scores.tolist()))


def test_scores_are_tempered_and_their_order_is_the_models(repacked, rule):
    classifier = Classifier(repacked(decision=rule(temperature=3.0)), threads=1)
    output = np.array([40, 216, 0], np.uint8)
    own = classifier.probabilities(output)
    assert (own.dtype, own.tolist()) == (np.float32, [40 / 256, 216 / 256, 0])
    predictions = classifier.postprocess(output)
    assert [p.class_id for p in predictions] == [1, 0, 2]
    expected = temper(own, 3.0, half_step=1 / 512)
    assert [p.score for p in predictions] == [expected[1], expected[0], expected[2]]
    assert predictions[0].score < 216 / 256


# The best score of this output is 0.75.
@pytest.mark.parametrize(
    "threshold, answer",
    [
        (0.0, "green"),
        (0.5, "green"),
        (0.75, "green"),  # at the threshold
        (math.nextafter(0.75, 1), UNKNOWN),
        (1.0, UNKNOWN),
    ],
)
def test_answers_unknown_below_the_best_labels_threshold(repacked, rule, threshold, answer):
    classifier = Classifier(repacked(decision=rule(thresholds=(1.0, threshold, 1.0))), threads=1)
    predictions = classifier.postprocess(np.array([64, 192, 0], np.uint8), top_k=1)
    assert classifier.answer(predictions) == answer


def test_a_candidate_without_a_manifest_answers_with_its_own_scores(tiny):
    labels = ("blue", "green", "red")
    classifier = Classifier(ModelFile(tiny, None, labels, tiny.stat().st_size), threads=1)
    predictions = classifier.postprocess(np.array([86, 85, 85], np.uint8))
    assert (predictions[0].score, classifier.answer(predictions)) == (86 / 256, "blue")


def test_no_float_maths_on_the_way_in(classifier):
    """A frame of the input's size reaches the model as it is, byte for byte."""
    frame = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    classifier.feed(frame)
    assert np.array_equal(classifier.interpreter.input_memory(), frame[np.newaxis])


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_what_is_fed_is_what_preprocess_gives(tiny, height, width, seed):
    classifier = _classifier_of(tiny)
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    classifier.feed(frame)
    picture = classifier.preprocess(frame)
    assert np.array_equal(classifier.interpreter.input_memory(), picture)
    assert np.array_equal(classifier.invoke(), classifier.invoke(picture))
    assert classifier.classify(frame) == classifier.postprocess(classifier.invoke(picture))


@lru_cache
def _classifier_of(path) -> Classifier:
    return Classifier(path, threads=1)


def test_a_refused_frame_leaves_no_view_of_the_input_behind(classifier, coloured):
    """TFLite does not invoke while one lives, and a kept exception keeps the variables of what it passed through."""
    kept = []
    for frame in (None, np.zeros((0, 4, 3), np.uint8)):
        try:
            classifier.classify(frame)
        except FrameError as problem:
            kept.append(problem)
    assert classifier.classify(coloured("red"))[0].label == "red" and len(kept) == 2


def test_a_view_of_the_input_that_is_held_is_an_error(classifier, coloured):
    held = classifier.interpreter.input_memory()
    with pytest.raises(InterpreterError, match="cannot run the model: There is at least 1 reference"):
        classifier.invoke()
    del held
    assert classifier.classify(coloured("red"))[0].label == "red"


@pytest.mark.parametrize(
    "frame, why",
    [
        (np.zeros((48, 64), np.uint8), "grey"),
        (np.zeros((48, 64, 4), np.uint8), "RGBA"),
        (np.zeros((48, 64, 3), np.float32), "float"),
        (np.zeros((0, 64, 3), np.uint8), "empty"),
        ([[[0, 0, 0]]], "a list"),
        (None, "nothing"),
    ],
)
def test_refuses_what_is_no_rgb_frame(classifier, frame, why):
    with pytest.raises(FrameError, match="expected an RGB uint8 frame of shape") as caught:
        classifier.classify(frame)
    assert caught.value.hint


def test_selftest_passes(classifier):
    test = classifier.selftest()
    assert test.passed and 0 <= test.largest_difference <= test.tolerance == 3


def test_selftest_tells_by_how_much_it_fails(repacked, tiny):
    first, *others = read_model_file(tiny).manifest.selftest
    off = dataclasses.replace(first, expected=(first.expected[0] + 8, *first.expected[1:]), tolerance=2)
    # A larger difference that is tolerated is not the one to report.
    lenient = dataclasses.replace(off, expected=(first.expected[0] + 50, *first.expected[1:]), tolerance=60)
    test = Classifier(repacked(selftest=(off, lenient, *others))).selftest()
    # The kernels themselves may add or take one.
    assert (test.largest_difference, test.tolerance) == (pytest.approx(8, abs=1), 2) and not test.passed


def test_both_interpreters_agree(tiny):
    for library in LIBRARIES:
        pytest.importorskip(library)
    ours, theirs = (Classifier(tiny, threads=1, library=library) for library in LIBRARIES)
    random = np.random.default_rng(0)
    # Measured 2: their softmax kernels round differently.
    for _ in range(100):
        picture = random.integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
        assert np.abs(ours.invoke(picture).astype(int) - theirs.invoke(picture)).max() <= 3


def test_answers_do_not_depend_on_the_frames_before(classifier, coloured):
    first = classifier.classify(coloured("red"))
    classifier.classify(coloured("blue"))
    assert classifier.classify(coloured("red")) == first


def test_an_output_is_the_callers_own(classifier, coloured):
    output = classifier.invoke(classifier.preprocess(coloured("red")))
    kept = output.copy()
    classifier.invoke(classifier.preprocess(coloured("blue")))
    assert np.array_equal(output, kept)


def test_says_which_interpreter_won(tiny):
    classifier = Classifier(tiny, threads=2)
    assert classifier.interpreter.library == next(
        name for name in LIBRARIES if importlib.util.find_spec(name)
    )
    assert classifier.interpreter.version[0].isdigit()
    assert classifier.interpreter.threads == 2


def test_an_unknown_interpreter_is_an_error(tiny):
    with pytest.raises(InterpreterError, match="looked for tensorflow"):
        Classifier(tiny, library="tensorflow")


def test_a_model_the_interpreter_refuses_is_an_error(repacked, tiny):
    """The checks of the file pass, because the manifest was written for the damaged model."""
    damaged = repacked(model=tiny.read_bytes()[:400] + bytes(400))
    with pytest.raises(InterpreterError, match=f"cannot load {damaged}"):
        Classifier(damaged)


def test_a_missing_model_is_an_error(tmp_path):
    with pytest.raises(ModelFileError, match="is not there"):
        Classifier(tmp_path / "absent.tflite")


def test_the_interpreter_says_what_the_model_says(tiny):
    interpreter = Interpreter(tiny, threads=1)
    assert (interpreter.input.shape, interpreter.input.dtype) == ((1, 8, 8, 3), np.uint8)
    assert (interpreter.output.shape, interpreter.output.dtype) == ((1, 3), np.uint8)
    assert (interpreter.output.scale, interpreter.output.zero_point) == (1 / 256, 0)
