"""What the machine says of itself before, during and after the windows."""

import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.card.contract import Reading
from benchmarks.measuring.energy import Meter
from edge_runtime.board import (
    ROOT,
    frequency_mhz,
    governor,
    load_average,
    temperature_c,
    throttle_flags,
    throttle_reasons,
)

EVERY_S = 1.0
GIVE_UP_S = 10.0
"""A sensor that hangs holds the bench up for no longer; vcgencmd itself gets two seconds."""


@dataclass(frozen=True)
class Sensors:
    """Where they are read; nothing is written."""

    root: Path = ROOT
    """Of /proc and /sys."""
    vcgencmd: str | None = None
    """Raspberry Pi's program, asked where /sys does not tell."""

    @classmethod
    def of_this_machine(cls) -> "Sensors":
        return cls(ROOT, shutil.which("vcgencmd"))

    def read(self, phase: str) -> Reading:
        """All of them, now; `seconds` is time.perf_counter(), as the first window has not begun yet.

        Args:
            phase: "before", "during" or "after".
        """
        flags = throttle_flags(self.root, self.vcgencmd)
        return Reading(
            seconds=time.perf_counter(),
            phase=phase,
            governor=governor(self.root),
            frequency_mhz=frequency_mhz(self.root),
            temperature_c=temperature_c(self.root),
            throttling=None if flags is None else tuple(throttle_reasons(flags)),
            load=load_average(self.root),
        )


class Watch:
    """Reads sensors and meter once a second in a thread, as long as the ``with`` block lasts.

    In a thread, as a sensor may hang; it sleeps nearly all the time, and gives the interpreter back to the measuring
    thread with each file that it reads.
    """

    def __init__(self, sensors: Sensors, meter: Meter | None, every_s: float = EVERY_S):
        """Takes what is read, and how often."""
        self.readings: list[Reading] = []
        """Filled from the thread; complete after the block."""
        self._sensors, self._meter, self._every_s = sensors, meter, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="sensors", daemon=True)

    def __enter__(self) -> "Watch":
        if self._meter:
            self._meter.sample()
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join(GIVE_UP_S)
        if self._meter and not self._thread.is_alive():
            self._meter.sample()

    def _read(self) -> None:
        stopped = False
        while not stopped:
            self.readings.append(self._sensors.read("during"))
            if self._meter:
                self._meter.sample()
            stopped = self._stop.wait(self._every_s)
