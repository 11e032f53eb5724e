"""What can go wrong in a store; each is an instruction, as all of edge_runtime.errors."""

from edge_runtime.errors import LitelensError


class StoreError(LitelensError):
    """A store cannot be read or written, or cannot do what was asked of it as it is now."""


class StoreMissing(StoreError):
    """There is no such store on this device."""


class StoreBusy(StoreError):
    """Somebody else works in the store, or tries a version; the message names who."""


class VersionRefused(StoreError):
    """A file is not what was announced, or cannot be a version of this model; nothing of it was kept."""


class SelfTestMissed(VersionRefused):
    """A file's answers are wrong on this device, or come too late; nothing of it was kept."""

    exit_code = 3
