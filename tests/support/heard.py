"""A process that is listened to: what it says on stderr, line by line as it comes."""

import queue
import subprocess
import threading
import time

import pytest

LIMIT_S = 120
"""For what takes seconds on a machine that is not busy."""


class Heard:
    """A process, started with a pipe for its stderr, in text."""

    def __init__(self, process: subprocess.Popen):
        self.process = process
        self.said: list[str] = []
        """The lines that were waited for, and those before them."""
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def says(self, text: str) -> str:
        """Waits for a line with the text in it."""
        end_s = time.monotonic() + LIMIT_S
        while True:
            try:
                self.said.append(self._lines.get(timeout=max(0.0, end_s - time.monotonic())))
            except queue.Empty:
                pytest.fail(f"{text!r} was not said in {LIMIT_S} s, but: {self.said}")
            if text in self.said[-1]:
                return self.said[-1]

    def _read(self) -> None:
        for line in self.process.stderr:
            self._lines.put(line.rstrip())
