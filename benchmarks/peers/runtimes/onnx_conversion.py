"""A .tflite as ONNX, by tf2onnx in its own environment."""

import os
import subprocess
from pathlib import Path

from benchmarks.peers.runtimes.peer_process import PeerFailed

LIMIT_S = 600.0
"""It imports TensorFlow first; on two busy cores it took 18 s in all."""
OPSET = 18


def to_onnx(python: Path, model: Path, out: Path) -> None:
    """Converts a model; of integers it keeps its scales, in pairs of QuantizeLinear and DequantizeLinear.

    Args:
        python: Of the environment with tf2onnx.
        model: A .tflite.
        out: The .onnx to write.

    Raises:
        PeerFailed: If there is no such environment, or tf2onnx cannot convert it or does not come to an end.
    """
    if not python.exists():
        raise PeerFailed(f"no ONNX: {python} is not there; make bench-peers makes it")
    # -I: nothing of this folder or of the user is on its path.
    command = [python, "-I", "-m", "tf2onnx.convert", "--tflite", model.absolute(), "--output", out]
    try:
        ended = subprocess.run(
            [*command, "--opset", str(OPSET)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=LIMIT_S,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )
    except subprocess.TimeoutExpired as problem:
        raise PeerFailed(f"no ONNX: tf2onnx was not done in {LIMIT_S:g} s") from problem
    if ended.returncode or not out.exists():
        last = (ended.stdout.strip().splitlines() or ["it said nothing"])[-1]
        raise PeerFailed(f"no ONNX: tf2onnx ended with exit code {ended.returncode}: {last}")
