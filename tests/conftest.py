"""The tiny model, pictures of one colour, and the command as a user runs it."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# A shell that starts the tests in the background has them, and what they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

TINY = Path(__file__).parent / "data" / "tiny.tflite"
COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}


@pytest.fixture(scope="session")
def tiny() -> Path:
    """A model file whose answer is the frame's dominant colour: blue, green or red."""
    return TINY


@pytest.fixture(scope="session")
def coloured():
    """Makes a frame of one of the tiny model's classes."""

    def make(label: str, size: tuple[int, int] = (48, 64)) -> np.ndarray:
        return np.broadcast_to(np.array(COLOURS[label], np.uint8), (*size, 3)).copy()

    return make


@pytest.fixture
def pictures(tmp_path, coloured) -> Path:
    """A folder: a blue, a green and a red picture (the green one in a folder below), and a hidden file."""
    folder = tmp_path / "pictures"
    (folder / "b").mkdir(parents=True)
    for name, label in (("a.png", "blue"), ("b/b.png", "green"), ("c.png", "red")):
        Image.fromarray(coloured(label)).save(folder / name)
    (folder / ".hidden.png").write_bytes(b"not seen")
    return folder


@pytest.fixture(scope="session")
def litelens():
    """Runs the command in a process of its own; returns it when it has ended."""

    def run(*arguments: object, **options) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "litelens", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, **{"timeout": 120, **options})

    return run


@pytest.fixture
def litelens_here(monkeypatch):
    """Runs the command in this process, where TensorFlow is imported once for many tests; returns click's result."""

    def run(*arguments: object, cwd: Path = Path()):
        from click.testing import CliRunner

        from litelens.cli import main

        monkeypatch.chdir(cwd)
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="session")
def interrupt():
    """Starts the command, sends it a signal (Ctrl-C) once its stderr says `when`, and returns (exit code, all of stderr)."""

    def run(when: str, *arguments: object, by: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        command = [sys.executable, "-m", "litelens", *map(str, arguments)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        said = ""
        for line in process.stderr:
            said += line
            if when in line:
                process.send_signal(by)
                break
        said += process.communicate(timeout=120)[1]
        return process.returncode, said

    return run


@pytest.fixture
def vcgencmd(tmp_path):
    """A program in vcgencmd's place."""

    def write(script: str) -> str:
        path = tmp_path / "vcgencmd"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return write


@pytest.fixture
def video(tmp_path, coloured) -> Path:
    """Five red frames as an MJPG AVI."""
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "red.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for _ in range(5):
        writer.write(np.ascontiguousarray(coloured("red")[..., ::-1]))  # OpenCV writes BGR
    writer.release()
    return path


@pytest.fixture
def tmpfs(tmp_path):
    """Mounts a memory disk: root may write into any folder, whatever its permissions, but not onto a full disk."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode:
            pytest.skip(f"mounting is not permitted here: {ended.stderr.strip()}")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", folder], check=True)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """The folder of a name, which `make` fills in the first process of pytest-xdist that asks; the others wait for it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # that of all processes

    def made(name: str, make) -> Path:
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / name).exists():
                make(folder / f"{name}.making")
                (folder / f"{name}.making").rename(folder / name)
        return folder / name

    return made


@pytest.fixture(scope="session")
def parts(made_once) -> Path:
    """Rendered pictures of six classes, split, with a broken file among them."""
    from edge_runtime.rendering import write_pictures

    def make(folder: Path) -> None:
        write_pictures(folder, {"train": 15, "validation": 5, "test": 5}, seed=5)
        (folder / "train" / "gear" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")

    return made_once("parts", make)


@pytest.fixture(scope="session")
def trained_run(parts, made_once, tmp_path_factory) -> Path:
    """The run folder of a short training on the rendered pictures (half a minute); this process's own, for its exports."""
    from trainer.config import TrainConfig
    from trainer.training import train

    config = TrainConfig(data=str(parts), weights="starter", size=96, epochs=(10, 1))
    trained = made_once("trained", lambda folder: train(config, folder))
    return shutil.copytree(trained, tmp_path_factory.mktemp("runs") / "parts")


def _random_pictures(count: int, size: int) -> np.ndarray:
    """uint8 of shape (count, size, size, 3), each of its own colours and brightness."""
    draw = np.random.default_rng(0)
    coarse = draw.integers(0, 256, (count, 4, 4, 3)) * draw.uniform(0.2, 1, (count, 1, 1, 3))
    return coarse.repeat(size // 4, axis=1).repeat(size // 4, axis=2).astype(np.uint8)


@pytest.fixture(scope="session")
def small_pictures() -> np.ndarray:
    """64 pictures of 32 x 32 for the small network."""
    return _random_pictures(64, 32)


@pytest.fixture(scope="session")
def small_net(small_pictures):
    """Makes an untrained network of MobileNetV2's kinds of layers, which quantizes in seconds instead of a minute.

    Flat, takes [-1, 1] at 32 x 32; its answers on small_pictures are spread over the classes and seldom sure.
    """

    def make(classes: int = 4):
        from trainer.legacy_keras import tf

        tf.keras.utils.set_random_seed(0)
        layers = tf.keras.layers
        image = x = tf.keras.Input((32, 32, 3), name="image")
        for convolution in (
            layers.Conv2D(8, 3, strides=2, use_bias=False, name="stem"),
            layers.DepthwiseConv2D(3, use_bias=False, name="depthwise"),
            layers.Conv2D(16, 1, use_bias=False, name="project"),
        ):
            x = layers.BatchNormalization(momentum=0.0, name=f"{convolution.name}_norm")(convolution(x))
            x = layers.ReLU(6.0, name=f"{convolution.name}_relu")(x)
        features = layers.GlobalAveragePooling2D(name="features")(x)
        head = layers.Dense(classes, "softmax", kernel_initializer="orthogonal", name="probabilities")
        model = tf.keras.Model(image, head(features), name="small")
        normalised = small_pictures.astype(np.float32) / 127.5 - 1
        model(normalised, training=True)  # momentum 0: BatchNorm takes these pictures' statistics
        kernel, _ = head.get_weights()
        mean = tf.keras.Model(image, features)(normalised).numpy().mean(axis=0)
        head.set_weights([5 * kernel, -5 * mean @ kernel])
        return model

    return make


@pytest.fixture(scope="session")
def small_run_folder(trained_run, small_net, tmp_path_factory) -> Path:
    """A run folder whose model is the small network at chance: an export of it takes seconds, and no gate passes it."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    shutil.copytree(trained_run, folder, ignore=shutil.ignore_patterns("candidates"))
    small_net(classes=6).save(folder / "model.keras")
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("size = 96", "size = 32"))
    return folder


@pytest.fixture
def small_run(small_run_folder, tmp_path) -> Path:
    """A copy of it, to change and to export."""
    return shutil.copytree(small_run_folder, tmp_path / "small")


@pytest.fixture(scope="session")
def export_here():
    """Runs `litelens export` in this process, which has TensorFlow already; its exception is in the result."""

    def run(run_folder: Path, out: Path, *options: object):
        from click.testing import CliRunner

        from exporter.cli import export

        arguments = [str(argument) for argument in (run_folder, "--out", out, *options)]
        return CliRunner().invoke(export, arguments, standalone_mode=False)

    return run
