"""What goes wrong while a device is made."""

from fleet.errors import FleetError


class ProvisionError(FleetError):
    """A machine cannot become a litelens device as it is, or its installation did not end."""


class RootRightsMissing(ProvisionError):
    """The user may do nothing as root there."""
