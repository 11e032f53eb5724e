"""What can go wrong where a repository is maintained; devices see it as it was before."""

from edge_runtime.errors import LitelensError


class RepositoryError(LitelensError):
    """The repository is absent, damaged, altered, or cannot be changed as asked."""


class KeyFileError(LitelensError):
    """A private key is absent, cannot be opened, or lies where others can read it."""


class ExpiredError(LitelensError):
    """Devices refuse the repository, because a role's signature is over its date."""
