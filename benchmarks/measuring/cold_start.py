"""How long it takes from nothing to a label."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from threading import Timer

import numpy as np
from PIL import Image

from benchmarks.card.contract import ColdStart
from edge_runtime.device.name import CPU
from edge_runtime.errors import LitelensError

TIMEOUT_S = 120.0


def measure_cold_start(model: Path, device: str, threads: int, frame: np.ndarray, tries: int) -> ColdStart:
    """Starts litelens anew for one picture, again and again.

    On the CPU that is `litelens classify`. On an Edge TPU it is `litelens run`, which alone of the two knows it, with
    the picture for a camera.

    Args:
        model: NAME.tflite, as the user named it.
        device: What the model runs on, as edge_runtime.device names it.
        threads: One inference may use so many.
        frame: The picture: RGB, uint8, shape (height, width, 3); it is handed over as a JPEG.
        tries: The files are in the system's memory for all but perhaps the first.

    Raises:
        LitelensError: If the command does not print a label.
    """
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.jpg"
        Image.fromarray(frame).save(picture)
        if device == CPU:
            command = ["classify", model, picture]
        else:
            command = [
                "run",
                model,
                "--camera",
                picture,
                "--device",
                device,
                "--max-frames",
                1,
                "--state",
                folder,
            ]
        command = list(map(str, [*command, "--threads", threads]))
        seconds = tuple(_until_first_line(command) for _ in range(tries))
    return ColdStart(seconds, median(seconds))


def _until_first_line(command: list[str]) -> float:
    # The same modules as here, whatever lies in the working directory.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        start = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "litelens", *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
        )
        timer = Timer(TIMEOUT_S, child.kill)
        timer.start()
        try:
            line = child.stdout.readline()
            seconds = time.perf_counter() - start
            child.communicate()
        finally:
            timer.cancel()
            child.kill()
            child.wait()
        if line and not child.returncode:
            return seconds
        said.seek(0)
        last = (said.read().strip().splitlines() or ["it printed nothing"])[-1]
    raise LitelensError(
        f"litelens {' '.join(command[:2])} ended with {child.returncode} before it had a label: {last}",
        f"see what it says: litelens {' '.join(command[:2])} PICTURE",
    )
