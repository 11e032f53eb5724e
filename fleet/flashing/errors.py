"""What keeps a model from a device."""

from fleet.errors import FleetError


class CheckMissed(FleetError):
    """The device cannot take this model as it is now; nothing was sent."""


class TrialFailed(FleetError):
    """The model passed its self-test on the device, and did not do in its running loop."""

    exit_code = 3


class TrialUnseen(FleetError):
    """The connection was lost while the model was on trial; the device ends the trial without a workstation."""
