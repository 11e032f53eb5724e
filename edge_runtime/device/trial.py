"""What edge_runtime.device.probe runs in another process: `python -m edge_runtime.device.trial MODEL LIBRARY OPTIONS`."""

import json
import resource
import sys
from pathlib import Path

import numpy as np

from edge_runtime.device.probe import LONGEST, VERDICT
from edge_runtime.errors import InterpreterError
from edge_runtime.interpreter import Delegate, Interpreter


def main(model: str, library: str, options: str) -> None:
    """Loads a model with a delegate, runs it once, and prints the verdict after whatever the library prints."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected, and its memory of no use
    problem = ""
    try:
        delegate = Delegate(library, tuple((name, value) for name, value in json.loads(options)))
        interpreter = Interpreter(Path(model), threads=1, delegate=delegate)
        interpreter.invoke(np.zeros(interpreter.input.shape, interpreter.input.dtype))
    except InterpreterError as error:
        problem = str(error)[:LONGEST]
    print(f"\n{VERDICT}{json.dumps(problem)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
