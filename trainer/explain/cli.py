"""The verb `explain`. TensorFlow is imported only when a picture is made."""

import difflib
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from PIL import Image

from edge_runtime.errors import ConfigError
from edge_runtime.extras import extra
from edge_runtime.pictures import read_picture
from edge_runtime.preprocessing import resize
from edge_runtime.whole_file import write_whole

if TYPE_CHECKING:
    from trainer.explain.adversarial import Attack, Distance
    from trainer.explain.ideal import Ideal
    from trainer.explain.judging import Answer

    Pairs = dict[str, tuple[Answer, Answer]]

FILE = click.Path(path_type=Path)
_seed = click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def _steps(default: int, text: str):
    return click.option("--steps", type=click.IntRange(min=1), default=default, show_default=True, help=text)


@click.group()
@click.argument("run", metavar="RUN", type=FILE)
@click.pass_context
def explain(context: click.Context, run: Path) -> None:
    """Draw what a training run sees, and what fools it.

    \b
    litelens explain runs/parts ideal --class gear --out gear.png
    litelens explain runs/parts adversarial bolt.jpg --target gear --out fooled.png --model parts.tflite
    """
    context.obj = run


@explain.command()
@click.option("--class", "label", required=True, metavar="LABEL", help="The class to draw.")
@click.option("--out", type=FILE, required=True, metavar="FILE.png", help="The picture to write.")
@_steps(200, "Of gradient ascent.")
@_seed
@_json
@click.pass_obj
def ideal(folder: Path, label: str, out: Path, steps: int, seed: int, as_json: bool) -> None:
    """Draw the picture that a class's score likes best.

    Gradient ascent on the class's logit from grey and a little noise, with total-variation loss and a random
    shift in each step. The picture has the size of the model's input.
    """
    _check_png("--out", out)
    with extra("train", "litelens explain"):  # TensorFlow: seconds to import, and absent on devices
        from trainer.explain.ideal import make_ideal
        from trainer.explain.logits import logits_of
        from trainer.run_folder import load_model, read

    run = read(folder)
    class_id = _class_id(label, run.labels, "--class")
    made = make_ideal(logits_of(load_model(run)), class_id, size=run.config.size, steps=steps, seed=seed)
    write_whole(out, _png(made.picture))
    if as_json:
        facts = {"class": label, "before": asdict(made.before), "after": asdict(made.after)}
        click.echo(json.dumps(facts | {"picture": str(out)}))
    else:
        _print_ideal(label, made, out)


@explain.command()
@click.argument("image", metavar="IMAGE", type=FILE)
@click.option("--target", required=True, metavar="LABEL", help="What the model is to call the picture.")
@click.option("--out", type=FILE, required=True, metavar="FILE.png", help="The picture to write.")
@click.option(
    "--model", type=FILE, metavar="NAME.tflite", help="The run's model file, to be tried on it too."
)
@click.option(
    "--figure", type=FILE, metavar="FILE.png", help="Both pictures, their difference and the scores."
)
@click.option(
    "--epsilon",
    type=click.IntRange(1, 255),
    metavar="N",
    help="Largest change of a byte.  [default: the first of 1, 2, 4, 8, 16 that is enough]",
)
@_steps(40, "Of gradient descent, for each epsilon.")
@_seed
@_json
@click.pass_obj
def adversarial(
    folder: Path,
    image: Path,
    target: str,
    out: Path,
    model: Path | None,
    figure: Path | None,
    epsilon: int | None,
    steps: int,
    seed: int,
    as_json: bool,
) -> None:
    """Change a picture a little, so that the model calls it something else.

    Projected gradient descent on the float model's input (the picture's centre crop) with total-variation loss on
    the change. The result is rounded to bytes, written, and judged as it is read back. Exit code 0 whether or not
    the model was fooled.
    """
    for option, file in (("--out", out), ("--figure", figure)):
        _check_png(option, file)
    with extra("train", "litelens explain"):
        from trainer.explain.adversarial import attack, distance
        from trainer.explain.figure import render_attack
        from trainer.explain.judging import ask_float, ask_int8, open_int8
        from trainer.explain.logits import logits_of
        from trainer.run_folder import load_model, read

    run = read(folder)
    target_id = _class_id(target, run.labels, "--target")
    size = (run.config.size, run.config.size)
    original = resize(read_picture(image), size)
    classifier = None if model is None else open_int8(model, run)
    logits = logits_of(load_model(run))
    before = ask_float(logits, run.labels, original)
    if before.answer == target:
        raise ConfigError(
            f"{image} is called {target!r} already ({before.scores[target]:.3f}), expected another --target",
            f"choose another picture, or another of {_some(run.labels)}",
        )
    made = attack(logits, original, target_id, epsilon=epsilon, steps=steps, seed=seed)
    write_whole(out, _png(made.picture))
    attacked = resize(read_picture(out), size)  # what the file holds, the way a device reads it
    answers = {"float": (before, ask_float(logits, run.labels, attacked))}
    if classifier is not None:
        answers["int8"] = (ask_int8(classifier, original), ask_int8(classifier, attacked))
    if figure is not None:
        write_whole(figure, render_attack(original, attacked, answers, target))
    apart = distance(original, attacked)
    if as_json:
        click.echo(json.dumps(_facts(target, made, apart, answers) | {"picture": str(out)}))
    else:
        _print_attack(target, made, apart, answers, out)


def _facts(target: str, made: "Attack", apart: "Distance", answers: "Pairs") -> dict:
    judged = {
        name: {"before": asdict(before), "after": asdict(after), "fooled": after.answer == target}
        for name, (before, after) in answers.items()
    }
    facts = {"target": target, "epsilon": made.epsilon, "distance": asdict(apart), "float": judged["float"]}
    return facts | {"int8": judged.get("int8")}


def _print_ideal(label: str, made: "Ideal", out: Path) -> None:
    before, after = made.before, made.after
    rows = {
        "class": label,
        "score": f"{before.score:.3f} before, {after.score:.3f} after",
        "logit": f"{before.logit:.2f} before, {after.logit:.2f} after",
        "total variation": f"{before.total_variation:.2f} before, {after.total_variation:.2f} after",
        "picture": out,
    }
    _print_rows(rows)


def _print_attack(target: str, made: "Attack", apart: "Distance", answers: "Pairs", out: Path) -> None:
    rows: dict[str, object] = {"target": target}
    for name, (before, after) in answers.items():
        rows[f"{name} before"] = _said(before, target)
        rows[f"{name} after"] = _said(after, target)
        rows[f"{name} fooled"] = "yes" if after.answer == target else "no"
    if "int8" not in answers:
        rows["int8"] = "not judged, give --model NAME.tflite"
    psnr = "no change" if apart.psnr_db is None else f"PSNR {apart.psnr_db:.1f} dB"
    rows |= {
        "largest change": f"{apart.largest} of 255 (epsilon {made.epsilon})",
        "RMS change": f"{apart.rms:.2f} of 255 ({psnr})",
        "total variation": f"{apart.total_variation:.2f} of the change",
        "picture": out,
    }
    _print_rows(rows)


def _print_rows(rows: dict[str, object]) -> None:
    width = max(map(len, rows))
    for name, value in rows.items():
        click.echo(f"{name:{width}}  {value}")


def _said(answer: "Answer", target: str) -> str:
    """``cats 0.998, dogs 0.002``; ``unknown (cats 0.612, dogs 0.388)``."""
    best = next(iter(answer.scores))
    scores = ", ".join(f"{label} {answer.scores[label]:.3f}" for label in dict.fromkeys((best, target)))
    return scores if answer.answer == best else f"{answer.answer} ({scores})"


def _class_id(label: str, labels: tuple[str, ...], option: str) -> int:
    if label in labels:
        return labels.index(label)
    nearest = difflib.get_close_matches(label, labels, 1, cutoff=0.5)
    raise ConfigError(
        f"{option} is {label!r}, expected one of {_some(labels)}",
        f"did you mean {nearest[0]!r}?" if nearest else f"name a class of the run in {option}",
    )


def _check_png(option: str, file: Path | None) -> None:
    if file is not None and file.suffix.lower() != ".png":
        raise ConfigError(
            f"{option} is {file}, expected a .png file: other formats may change the bytes",
            f"use {option} {file.stem or 'picture'}.png",
        )


def _png(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="png")
    return file.getvalue()


def _some(labels: tuple[str, ...]) -> str:
    return ", ".join(labels[:20]) + (f" and {len(labels) - 20} more" if len(labels) > 20 else "")
