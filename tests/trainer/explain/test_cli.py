import json
import re
import shlex
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from edge_runtime.classifier import Classifier
from edge_runtime.errors import ConfigError, ModelFileError, PictureError, RunFolderError
from edge_runtime.pictures import read_picture
from trainer.explain.cli import explain as group

RECIPE = Path(__file__).parents[3] / "docs" / "recipes" / "ideal-and-adversarial.md"


@pytest.mark.parametrize(
    "arguments, shown",
    [
        ("--help", "ideal"),
        ("RUN --help", "adversarial"),
        ("RUN ideal --help", "--class LABEL"),
        ("RUN adversarial --help", "--epsilon N"),
    ],
)
def test_help_at_each_word(arguments, shown):
    ended = CliRunner().invoke(group, arguments.split())
    assert ended.exit_code == 0 and shown in ended.output


@pytest.mark.parametrize(
    "arguments, missing",
    [
        ("RUN", "Missing command"),
        ("RUN ideal --out a.png", "--class"),
        ("RUN adversarial --target a", "IMAGE"),
    ],
)
def test_what_is_missing_is_named(arguments, missing):
    ended = CliRunner().invoke(group, arguments.split())
    assert ended.exit_code == 2 and missing in ended.output


def test_the_recipes_examples_are_parsed_to_the_end():
    found = re.findall(r"^    litelens explain ([^\n#]+)", RECIPE.read_text(), re.MULTILINE)
    assert {shlex.split(example)[1] for example in found} == {"ideal", "adversarial"}
    for example in found:
        _, name, *arguments = shlex.split(example)
        command = group.get_command(click.Context(group), name)
        command.make_context(name, arguments)  # raises on an unknown flag or a missing argument


@pytest.fixture(scope="module")
def model_file(run_folder, export_here, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "trees.tflite"
    ended = export_here(run_folder, out, "--candidates", "ptq", "--gate", "off")
    assert out.exists(), ended.exception
    return out


@pytest.fixture
def target(model, picture) -> str:
    """A class of the run that the picture is not called."""
    scores = model(read_picture(picture)[np.newaxis] / np.float32(127.5) - 1).numpy()[0]
    return ("ash", "birch", "elm", "oak")[int(scores.argsort()[-2])]


@pytest.mark.slow
@pytest.mark.parametrize("json_flag", [(), ("--json",)])
def test_ideal_writes_a_picture_of_the_inputs_size(run_folder, explain, tmp_path, json_flag):
    out = tmp_path / "elm.png"
    said = explain(run_folder, "ideal", "--class", "elm", "--out", out, "--steps", 20, *json_flag)
    assert read_picture(out).shape == (32, 32, 3)
    if json_flag:
        facts = json.loads(said)
        assert facts["after"]["logit"] > facts["before"]["logit"]
        assert set(facts["after"]) == {"score", "logit", "total_variation"}
    else:
        for name in ("score", "logit", "total variation"):
            assert re.search(rf"^{name} +[-\d.]+ before, [-\d.]+ after$", said, re.MULTILINE)


@pytest.mark.slow
def test_the_attack_is_judged_by_what_the_file_holds(
    run_folder, model, model_file, picture, target, explain, tmp_path
):
    out, figure = tmp_path / "fooled.png", tmp_path / "figure.png"
    options = ("--target", target, "--out", out, "--model", model_file, "--figure", figure, "--epsilon", 64)
    facts = json.loads(explain(run_folder, "adversarial", picture, *options, "--json"))

    original, attacked = read_picture(picture), read_picture(out)
    assert facts["distance"]["largest"] == np.abs(attacked.astype(int) - original).max() <= 64
    scores = model(attacked[np.newaxis] / np.float32(127.5) - 1).numpy()[0]
    assert facts["float"]["after"]["scores"][target] == pytest.approx(float(scores.max()), abs=1e-5)
    assert facts["float"]["fooled"] and facts["float"]["before"]["answer"] != target

    device = Classifier(model_file)
    for when, frame in (("before", original), ("after", attacked)):
        predictions = device.classify(frame, 4)
        assert facts["int8"][when]["answer"] == device.answer(predictions)
        assert facts["int8"][when]["scores"] == {p.label: p.score for p in predictions}
    assert facts["int8"]["fooled"] == (facts["int8"]["after"]["answer"] == target)
    with Image.open(figure) as drawn:
        assert drawn.width > drawn.height


@pytest.mark.slow
def test_without_a_model_file_int8_is_not_judged(run_folder, picture, target, explain, tmp_path):
    options = ("--target", target, "--out", tmp_path / "a.png", "--epsilon", 1, "--steps", 1)
    said = explain(run_folder, "adversarial", picture, *options)
    assert "not judged, give --model NAME.tflite" in said
    assert re.search(r"^float fooled +(yes|no)$", said, re.MULTILINE)
    assert "int8 fooled" not in said


@pytest.mark.slow
def test_a_picture_larger_than_the_input_is_cropped_as_on_the_device(
    run_folder, picture, target, explain, tmp_path
):
    large = tmp_path / "large.png"
    Image.fromarray(np.pad(read_picture(picture), ((0, 0), (20, 20), (0, 0)))).save(large)
    out = tmp_path / "a.png"
    options = ("--target", target, "--epsilon", 2, "--steps", 2, "--out", out, "--json")
    facts = json.loads(explain(run_folder, "adversarial", large, *options))
    assert (
        np.abs(read_picture(out).astype(int) - read_picture(picture)).max()
        == facts["distance"]["largest"]
        <= 2
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "words, error, message, hint",
    [
        ("ideal --class elms", ConfigError, "--class is 'elms', expected one of ash, birch, elm, oak", "'elm'"),
        ("ideal --class xyz", ConfigError, "--class is 'xyz'", "name a class of the run"),
        ("ideal --class elm --out a.jpg", ConfigError, "expected a .png file", "use --out a.png"),
        ("adversarial {picture} --target Oak", ConfigError, "--target is 'Oak'", "'oak'"),
        ("adversarial {picture} --target {present}", ConfigError, "already", "choose another picture"),
        ("adversarial {text} --target oak", PictureError, "is no readable picture", "repair"),
        ("adversarial absent.jpg --target oak", PictureError, "absent.jpg is no readable picture", "file"),
        ("adversarial {picture} --target oak --model {tiny}", ModelFileError, "blue, green, red", "export this run"),
        ("adversarial {picture} --target oak --figure a.gif", ConfigError, "--figure is a.gif", "a.png"),
    ],
)  # fmt: skip
def test_mistakes_are_named_and_nothing_is_written(
    run_folder, model, picture, tiny, explain, tmp_path, words, error, message, hint
):
    text, out = tmp_path / "text.jpg", tmp_path / "out.png"
    text.write_text("no picture")
    scores = model(read_picture(picture)[np.newaxis] / np.float32(127.5) - 1).numpy()[0]
    present = ("ash", "birch", "elm", "oak")[int(scores.argmax())]
    filled = words.format(picture=picture, present=present, text=text, tiny=tiny)
    with pytest.raises(error, match=re.escape(message)) as raised:
        explain(run_folder, *_with_out(shlex.split(filled), out))
    assert hint in raised.value.hint
    assert not out.exists()


def _with_out(words: list[str], out: Path) -> list[str]:
    return words if "--out" in words else [*words, "--out", str(out)]


@pytest.mark.slow
def test_a_folder_that_is_no_run_is_named(explain, tmp_path):
    with pytest.raises(RunFolderError, match="expected a run folder"):
        explain(tmp_path, "ideal", "--class", "elm", "--out", tmp_path / "a.png")
