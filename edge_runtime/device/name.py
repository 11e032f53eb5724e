"""How a device is named on the command line."""

import re
from dataclasses import dataclass

from edge_runtime.errors import LitelensError

CPU, EDGE_TPU, AUTO = "cpu", "edgetpu", "auto"
_EDGE_TPU = re.compile(r"edgetpu(?::(?P<bus>usb|pci))?(?::(?P<number>0|[1-9][0-9]{0,2}))?")


class DeviceError(LitelensError):
    """A device has no such name, or cannot be used."""


@dataclass(frozen=True)
class Device:
    """``cpu``, ``auto``, or ``edgetpu[:usb|:pci][:N]``."""

    kind: str
    """CPU, EDGE_TPU, or AUTO: an Edge TPU if one can be used, else the CPU."""
    bus: str = ""
    """How the Edge TPU is connected: "usb", "pci", or "" for either."""
    number: int | None = None
    """Which of several Edge TPUs, from 0, in the order in which its library lists them; None: any."""

    @classmethod
    def parse(cls, text: str) -> "Device":
        """Reads what `str` writes.

        Raises:
            DeviceError: If it names no device.
        """
        if text in (CPU, AUTO):
            return cls(text)
        if named := _EDGE_TPU.fullmatch(text):
            number = named["number"]
            return cls(EDGE_TPU, named["bus"] or "", None if number is None else int(number))
        raise DeviceError(
            f"the device {text!r} is none of cpu, auto and edgetpu[:usb|:pci][:N]",
            "name one of these: --device edgetpu:usb",
        )

    def __str__(self) -> str:
        number = "" if self.number is None else str(self.number)
        return ":".join(part for part in (self.kind, self.bus, number) if part)

    @property
    def edge_tpu(self) -> str:
        """The Edge TPU as its library names it: "usb:0", ":1", or "" for any."""
        return self.bus if self.number is None else f"{self.bus}:{self.number}"
