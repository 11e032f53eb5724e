"""The tiny model, pictures of one colour, and the command as a user runs it."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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


@pytest.fixture(scope="session")
def interrupt():
    """Starts the command, presses Ctrl-C once its stderr says `when`, and returns (exit code, all of stderr)."""

    def run(when: str, *arguments: object) -> tuple[int, str]:
        command = [sys.executable, "-m", "litelens", *map(str, arguments)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        said = ""
        for line in process.stderr:
            said += line
            if when in line:
                process.send_signal(signal.SIGINT)
                break
        said += process.communicate(timeout=120)[1]
        return process.returncode, said

    return run


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


@pytest.fixture(scope="session")
def parts(tmp_path_factory) -> Path:
    """Rendered pictures of six classes, split, with a broken file among them."""
    from trainer.rendering import write_pictures

    folder = tmp_path_factory.mktemp("parts")
    write_pictures(folder, 25, seed=5)
    (folder / "train" / "gear" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    return folder


@pytest.fixture(scope="session")
def trained_run(parts, tmp_path_factory) -> Path:
    """The run folder of a short training on the rendered pictures (about a minute)."""
    from trainer.config import TrainConfig
    from trainer.training import train

    out = tmp_path_factory.mktemp("runs") / "parts"
    train(TrainConfig(data=str(parts), weights="starter", size=96, epochs=(10, 1)), out)
    return out
