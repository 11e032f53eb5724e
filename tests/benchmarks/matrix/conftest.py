"""Models beside the tiny one, labelled pictures, and matrices that nobody measured."""

import hashlib
import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.card.contract import Accuracy, Machine, Spread
from benchmarks.matrix import results
from benchmarks.matrix.interpreters import INTERPRETERS
from benchmarks.matrix.results import paired_ratio

MACHINE = Machine("pi", "Some CPU", "aarch64", 4, 2**30, "Linux", "3.11")


@pytest.fixture(scope="session")
def tiny_float(tiny) -> Path:
    """The tiny model before its export: float32, its answer the largest sum of a colour, no labels."""
    return tiny.with_name("tiny_float.tflite")


@pytest.fixture(scope="session")
def newer(tiny_float, tmp_path_factory) -> Path:
    """A model with an operator that LiteRT knows and tflite-runtime 2.14.0 is too old for."""
    flatbuffers = pytest.importorskip("flatbuffers")
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tiny_float.read_bytes(), 0))
    (softmax,) = (code for code in model.operatorCodes if code.builtinCode == schema.BuiltinOperator.SOFTMAX)
    softmax.version = 4
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path = tmp_path_factory.mktemp("newer") / "newer.tflite"
    path.write_bytes(bytes(builder.Output()))
    return path


@pytest.fixture
def damaged(tiny_float, tmp_path) -> Path:
    """A model whose list of operators lies outside the file: LiteRT refuses it, and tflite-runtime crashes."""
    content = bytearray(tiny_float.read_bytes())
    (root,) = struct.unpack_from("<I", content)
    vtable = root - struct.unpack_from("<i", content, root)[0]
    operator_codes = root + struct.unpack_from("<H", content, vtable + 4 + 2 * 1)[0]
    struct.pack_into("<I", content, operator_codes, 2**30)
    path = tmp_path / "damaged.tflite"
    path.write_bytes(content)
    return path


@pytest.fixture
def run_folder(tiny_float, tmp_path) -> Path:
    """A training run's folder with one candidate, as an export leaves it."""
    folder = tmp_path / "runs" / "colours"
    (folder / "candidates").mkdir(parents=True)
    (folder / "labels.txt").write_text("blue\ngreen\nred\n")
    model = shutil.copy(tiny_float, folder / "candidates" / "float-0123456789abcdef.tflite")
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    facts = {"inputs": {"normalisation": {"mean": 0, "std": 1}}, "facts": {}, "model_sha256": sha256}
    model.with_suffix(".json").write_text(json.dumps(facts))
    return folder


@pytest.fixture
def colours(tmp_path, coloured) -> Path:
    """Two pictures of each of the tiny model's classes, all but one of which it labels right."""
    folder = tmp_path / "colours"
    for label in ("blue", "green", "red"):
        (folder / label).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(coloured(label)).save(folder / label / f"{number}.png")
    Image.fromarray(coloured("red")).save(folder / "blue" / "1.png")
    return folder


@pytest.fixture(scope="session")
def machine() -> Machine:
    """A board with four cores."""
    return MACHINE


@pytest.fixture(scope="session")
def made_up():
    """Makes a matrix without measuring: models x all interpreters x thread counts."""

    def make(models: int = 3, threads: tuple[int, ...] = (1, 2), top1s=None, close: bool = False, **changed):
        draw = np.random.default_rng(models)
        sizes = [round(9e6 / 3**number) for number in range(models)]
        cells = []
        first = None
        for model in range(models):
            for interpreter in INTERPRETERS:
                for count in threads:
                    ms = (
                        5.0
                        if close
                        else float(draw.uniform(1, 20) * (15 if interpreter == "tflite_runtime" else 1))
                    )
                    rounds = [ms * factor for factor in (0.99, 1, 1, 1, 1, 1.01)]
                    first = first or rounds
                    spread = Spread.of(np.array(rounds) / 1000)
                    top1 = None if top1s is None else top1s[model]
                    accuracy = (
                        None
                        if top1 is None
                        else Accuracy("colours", "test", 200, round(top1 * 200), top1, ())
                    )
                    cells.append(
                        results.Cell(
                            number=len(cells) + 1,
                            model=f"run/model{model}",
                            interpreter=interpreter,
                            threads=count,
                            problem="",
                            hint="",
                            latency=results.Latency(
                                600, spread, tuple(rounds), 0.02, paired_ratio(rounds, first)
                            ),
                            accuracy=accuracy,
                            agreement=None if top1 is None else 0.995,
                            on_front=len(cells) % 5 == 0,
                        )
                    )
        return results.Matrix(
            **{
                "litelens": "0.1.0",
                "models": tuple(
                    results.Model(
                        f"run/model{i}", f"model{i}.tflite", "0" * 64, size, 160, 224, "uint8", "int8"
                    )
                    for i, size in enumerate(sizes)
                ),
                "interpreters": tuple(results.Interpreter(name, "2.0", "") for name in INTERPRETERS),
                "cells": tuple(cells),
                "rounds": 6,
                "round_s": 1.0,
                "seed": 0,
                "frame_height_px": 480,
                "frame_width_px": 640,
                "notes": (),
                "others_share": 0.01,
                "reasons": (),
                **changed,
            }
        )

    return make
