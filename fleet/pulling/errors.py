"""What goes wrong with bringing pictures from a device."""

from fleet.errors import FleetError


class StateMissing(FleetError):
    """The device has no such folder of what its running loop keeps."""


class ImplausibleAnswer(FleetError):
    """What came is nothing that a device with litelens sends: longer than it may be, or no archive."""
