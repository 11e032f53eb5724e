"""Pins that are on while a label is in view."""

import sys

from edge_runtime.deciding.observation import Observation
from edge_runtime.errors import ConfigError, MissingExtraError
from edge_runtime.extras import extra
from edge_runtime.sinks.background import Handover, NotDelivered
from edge_runtime.sinks.settings import pin_and_label


class Gpio(Handover[str]):
    """Switches pins when the state changes; all are off, and given back, when it ends.

    A process that is killed (kill -9) may leave its pins as they are.
    """

    def __init__(self, pins: tuple[str, ...], labels: tuple[str, ...]):
        """Takes which pins, each PIN=LABEL, and the model's labels, which tell whether one is misspelt.

        Raises:
            ConfigError: If a label is none of the model's.
            MissingExtraError: If gpiozero is not installed.
        """
        super().__init__("gpio", keep=1)
        self._labels = dict(map(pin_and_label, pins))
        for label in self._labels.values():
            if label not in labels:
                raise ConfigError(
                    f"gpio: the model has no label {label!r:.80}", f"it has: {', '.join(labels)[:500]}"
                )
        with extra("gpio", "--gpio"):
            import gpiozero
        self._gpiozero = gpiozero
        self._pins: dict[int, gpiozero.OutputDevice] = {}
        self._state = ""

    def __enter__(self) -> "Gpio":
        """Takes the pins, and switches them off.

        Raises:
            MissingExtraError: If there is no library that reaches this machine's pins, or there are none.
            ConfigError: If a pin does not exist, or another program has it.
        """
        for number in self._labels:
            try:
                self._pins[number] = self._gpiozero.OutputDevice(number)
            except (self._gpiozero.BadPinFactory, ImportError) as problem:
                raise MissingExtraError(
                    f"--gpio finds no pins on this machine: {problem}",
                    "on a Raspberry Pi: sudo apt install python3-lgpio, or pip install lgpio",
                ) from problem
            except self._failures() as problem:
                self.release()
                raise ConfigError(
                    f"gpio: cannot use pin {number}: {problem}", "name a pin that no other program uses"
                ) from problem
        return super().__enter__()

    def take(self, observation: Observation) -> None:
        """Keeps a new state."""
        if observation.state != self._state:
            self._state = observation.state
            self.put(observation.state)

    def deliver(self, item: str) -> None:
        try:
            for number, pin in self._pins.items():
                pin.value = self._labels[number] == item
        except self._failures() as problem:
            raise NotDelivered(f"cannot switch a pin: {problem}") from problem

    def release(self) -> None:
        for pin in self._pins.values():
            pin.close()  # and with that, off

    def _failures(self) -> tuple[type[Exception], ...]:
        """What gpiozero raises, and the library below it, whichever that is."""
        below = (getattr(sys.modules.get(name), "error", None) for name in ("lgpio", "pigpio"))
        return (self._gpiozero.GPIOZeroError, OSError, RuntimeError, *filter(None, below))
