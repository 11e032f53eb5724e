"""What can go wrong with an update; nothing on the device has changed then, and the same is tried again later."""

from edge_runtime.errors import LitelensError


class UpdateError(LitelensError):
    """No update can be looked for here as asked."""


class NotReached(UpdateError):
    """The repository did not answer, not in time, or not to the end."""


class RepositoryRefused(UpdateError):
    """What the repository served is not what its keys vouch for, now."""
