import dataclasses
import json
import os
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from edge_runtime.model_file import read_model_file


def assert_fails(ended: subprocess.CompletedProcess, message: str) -> None:
    """An expected failure: exit 1, error: and hint: on stderr, no traceback."""
    assert ended.returncode == 1, ended.stderr
    assert "error: " in ended.stderr and message in ended.stderr
    assert "hint: " in ended.stderr and "Traceback" not in ended.stderr


def test_info_says_what_the_file_says(litelens, tiny):
    facts = json.loads(litelens("info", tiny, "--json").stdout)
    assert facts["name"] == "tiny" and facts["version"] == "1"
    assert facts["labels"] == ["blue", "green", "red"]
    assert facts["input"] == {"shape": [1, 8, 8, 3], "dtype": "uint8", "scale": 1.0, "zero_point": 0}
    assert facts["output"] == {"shape": [1, 3], "dtype": "uint8", "scale": 1 / 256, "zero_point": 0}
    assert (facts["resize"], facts["method"]) == ("centre-crop", "ptq")
    assert facts["accuracy"] == {
        "split": "test",
        "pictures": 3,
        "float_top1": 1.0,
        "int8_top1": 1.0,
        "agreement": 1.0,
    }
    assert facts["gate"] == {
        "outcome": "passed",
        "max_drop": 1.0,
        "min_ratio": 0.98,
        "max_class_drop": 5.0,
    }
    assert facts["decision"] == {
        "temperature": 1.0,
        "thresholds": {"blue": 0.0, "green": 0.0, "red": 0.0},
        "precision": 0.0,
        "split": "test",
        "pictures": 3,
    }
    assert set(facts["provenance"]) == {"data_fingerprint", "config", "packages"}
    assert facts["size_bytes"] == tiny.stat().st_size
    assert set(facts["interpreter"]) == {"library", "version"}


def test_info_is_readable_too(litelens, tiny):
    ended = litelens("info", tiny)
    assert ended.returncode == 0
    rows = dict(line.split(maxsplit=1) for line in ended.stdout.splitlines() if len(line.split()) > 1)
    assert rows["labels"] == "blue, green, red" and rows["accuracy.int8_top1"] == "1.0"
    assert rows["gate.outcome"] == "passed" and rows["decision.thresholds.green"] == "0.0"


def test_verify_says_how_far_the_interpreter_is_off(litelens, tiny):
    facts = json.loads(litelens("verify", tiny, "--json").stdout)
    assert set(facts.pop("interpreter")) == {"library", "version"}
    assert facts.pop("largest_difference") <= 3
    assert facts == {"vectors": 3, "tolerance": 3, "passed": True}


def test_verify_is_readable_too(litelens, tiny):
    ended = litelens("verify", tiny)
    assert ended.returncode == 0
    rows = dict(line.split(maxsplit=1) for line in ended.stdout.splitlines())
    assert set(rows) == {
        "interpreter.library",
        "interpreter.version",
        "vectors",
        "largest_difference",
        "tolerance",
        "passed",
    }


def test_verify_fails_above_the_tolerance(litelens, tiny, repacked):
    vector = read_model_file(tiny).manifest.selftest[0]
    off = dataclasses.replace(vector, expected=(vector.expected[0] + 100, *vector.expected[1:]))
    ended = litelens("verify", repacked(selftest=(off,)), "--json")
    facts = json.loads(ended.stdout)
    assert not facts["passed"] and facts["largest_difference"] >= 97
    assert_fails(ended, f"{facts['interpreter']['library']} {facts['interpreter']['version']} differs by ")
    assert f"{facts['largest_difference']} output steps" in ended.stderr
    assert "expected at most 3" in ended.stderr


def test_classify_prints_a_line_a_picture(litelens, tiny, pictures):
    ended = litelens("classify", tiny, pictures)
    assert ended.returncode == 0
    lines = ended.stdout.splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        str(pictures / name) for name in ("a.png", "c.png", "b/b.png")
    ]
    assert [line.split(": ")[1].split()[0] for line in lines] == ["blue", "red", "green"]


def test_classify_json(litelens, tiny, pictures, video):
    ended = litelens("classify", tiny, pictures / "c.png", video, "--json", "--top-k", 2, "--threads", 1)
    assert ended.returncode == 0
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [(line["source"], line["frame"]) for line in found] == [
        (str(pictures / "c.png"), 0),
        *((str(video), number) for number in range(5)),
    ]
    for line in found:
        assert set(line) == {"source", "frame", "answer", "predictions"} and line["answer"] == "red"
        best, second = line["predictions"]
        assert set(best) == {"class_id", "label", "score"}
        assert (best["class_id"], best["label"]) == (2, "red") and 1 >= best["score"] >= second["score"] >= 0


@pytest.fixture
def unsure(repacked, rule, pictures) -> Path:
    """A model with thresholds, and a grey picture among the others: every class gets a third."""
    Image.new("RGB", (64, 48), (128, 128, 128)).save(pictures / "grey.png")
    return repacked(decision=rule(temperature=1.5, thresholds=(0.6, 0.6, 0.6)))


def test_classify_answers_unknown_below_the_threshold(litelens, unsure, pictures):
    ended = litelens("classify", unsure, pictures / "grey.png", pictures / "c.png", "--top-k", 2)
    grey, red = ended.stdout.splitlines()
    assert grey == f"{pictures}/grey.png: unknown (blue 0.333, green 0.333)"
    assert red.startswith(f"{pictures}/c.png: red 0.9")


@pytest.mark.parametrize("verb", [("classify", "{pictures}", "--json"), ("run", "--camera", "{pictures}")])
def test_the_answer_is_unknown_in_json_too(litelens, unsure, pictures, verb):
    ended = litelens(verb[0], unsure, *(word.format(pictures=pictures) for word in verb[1:]))
    found = {Path(line["source"]).name: line for line in map(json.loads, ended.stdout.splitlines())}
    assert {name: line["answer"] for name, line in found.items()} == {
        "a.png": "blue",
        "b.png": "green",
        "c.png": "red",
        "grey.png": "unknown",
    }
    assert found["grey.png"]["predictions"][0]["label"] == "blue"


def test_classify_numbers_the_frames_of_a_video(litelens, tiny, video):
    lines = litelens("classify", tiny, video).stdout.splitlines()
    assert [line.split(": red")[0] for line in lines] == [f"{video} #{number}" for number in range(5)]


def test_classify_names_and_counts_what_it_skips(litelens, tiny, pictures):
    (pictures / "notes.txt").write_text("no picture")
    (pictures / "zero.jpg").write_bytes(b"")
    ended = litelens("classify", tiny, pictures)
    assert ended.returncode == 0 and len(ended.stdout.splitlines()) == 3
    skipped = [line for line in ended.stderr.splitlines() if line.startswith("skipped")]
    assert len(skipped) == 3 and skipped[-1] == "skipped 2 files in all"
    assert str(pictures / "notes.txt") in skipped[0] and str(pictures / "zero.jpg") in skipped[1]


def test_paths_that_are_no_utf8_are_printed(litelens, tiny, pictures):
    os.rename(pictures / "a.png", os.fsencode(pictures) + b"/a\xff.png")
    assert litelens("classify", tiny, pictures).returncode == 0
    ended = litelens("classify", tiny, pictures, "--json")
    assert json.loads(ended.stdout.splitlines()[0])["source"] == str(pictures / "a\udcff.png")


@pytest.mark.parametrize(
    "paths, message",
    [
        (["{pictures}/a.png", "{pictures}/absent.png"], "absent.png is not there"),
        (["{pictures}/.hidden.png"], "is neither a picture nor a video"),
        (["{pictures}/empty"], "holds no readable picture"),
        (["{pictures}/cut.png"], "cut.png is no readable picture"),
        (["/dev/null"], "/dev/null is a device or a pipe"),
    ],
)
def test_classify_fails_on_named_paths_it_cannot_read(litelens, tiny, pictures, paths, message):
    (pictures / "empty").mkdir()
    (pictures / "cut.png").write_bytes((pictures / "a.png").read_bytes()[:60])
    ended = litelens("classify", tiny, *(path.format(pictures=pictures) for path in paths))
    assert_fails(ended, message)
    assert ended.stdout == "", "a missing path is told before any work"


@pytest.mark.parametrize(
    "verb", [("info",), ("verify",), ("classify", "."), ("run", "--camera", "."), ("bench",)]
)
@pytest.mark.parametrize(
    "content, message",
    [(None, "is not there"), (b"", "is no TFLite model"), (b"\0\0\0\0TFL3", "has no manifest")],
)
def test_every_verb_refuses_what_is_no_model(litelens, tmp_path, verb, content, message):
    model = tmp_path / "model.tflite"
    if content is not None:
        model.write_bytes(content)
    assert_fails(litelens(verb[0], model, *verb[1:], cwd=tmp_path), message)


@pytest.mark.parametrize(
    "arguments",
    [
        ("info",),
        ("verify",),
        ("classify", "{tiny}"),
        ("classify", "{tiny}", ".", "--top-k", 0),
        ("classify", "{tiny}", ".", "--top-k", "few"),
        ("classify", "{tiny}", ".", "--threads", 0),
        ("bench", "{tiny}", "--threads", 0),
        ("clasify",),
    ],
)
def test_wrong_usage_exits_2(litelens, tiny, arguments):
    ended = litelens(*(str(argument).format(tiny=tiny) for argument in arguments))
    assert ended.returncode == 2 and "Usage: " in ended.stderr and ended.stdout == ""
