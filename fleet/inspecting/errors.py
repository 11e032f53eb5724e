"""What goes wrong with a fleet that is asked."""

from fleet.errors import FleetError


class DevicesUnwell(FleetError):
    """A device could not be asked, does not do its work, or did not do what was asked of it."""


class NotAgreed(FleetError):
    """Nobody has said yes."""


class NoWayBack(FleetError):
    """A device has no version before the one that answers."""
