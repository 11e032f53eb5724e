"""What goes wrong with another machine."""

from edge_runtime.errors import LitelensError


class FleetError(LitelensError):
    """Base of all: something between here and another machine, or on it."""


class AddressError(FleetError):
    """A text names no machine, expected user@host or user@host:port."""


class SshConfigError(FleetError):
    """~/.ssh/config, known_hosts or a key cannot be read."""


class HostUnreachable(FleetError):
    """The name is not known, nothing answers there in time, or what answers is no ssh server."""


class HostKeyUnknown(FleetError):
    """The machine was never seen before, and nobody has said that its key is right."""


class HostKeyChanged(FleetError):
    """The machine shows another key than known_hosts has of it: it was installed anew, or it is not the same machine."""


class LoginRefused(FleetError):
    """The machine lets this user in with none of the keys, and no password was given or right."""


class ConnectionCut(FleetError):
    """The connection ended or fell silent before the work did."""


class RemoteTimeout(FleetError):
    """A command took longer there than it was given; it has been ended."""


class RemoteCommandFailed(FleetError):
    """A command ended there with another status than 0."""


class RemoteDiskFull(FleetError):
    """The machine has no room left."""


class RemotePermissionDenied(FleetError):
    """The user may not write or read there."""


class TransferDamaged(FleetError):
    """A file that arrived is not the one that was sent."""


class RuntimeMissing(FleetError):
    """The machine has no litelens that starts."""


class AnswerUnreadable(FleetError):
    """What litelens on the machine answered is not what this one reads."""


class DeviceRefused(FleetError):
    """litelens on the machine ended with an error of its own."""

    def __init__(self, message: str, hint: str, kind: str, exit_code: int):
        """Takes its message and hint, the name of its exception (such as "StoreBusy"), and its exit code there."""
        super().__init__(message, hint)
        self.kind = kind
        self.exit_code = 3 if exit_code == 3 else 1
        """3 where the self-test's answers were wrong or late."""
