"""What a comparison of devices may come to."""

from edge_runtime.errors import LitelensError
from fleet.errors import FleetError


class Drifted(LitelensError):
    """A device is less sure than the validation pictures made expect, or than the other devices are."""

    exit_code = 3


class DevicesNotCompared(FleetError):
    """Several devices could not be asked, or have nothing to compare."""
