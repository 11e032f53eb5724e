"""Which repository a running loop follows: the settings of `litelens run --follow`."""

import math
from dataclasses import dataclass

from edge_runtime.errors import ConfigError
from edge_runtime.updating.offers import CHANNELS, STABLE


@dataclass(frozen=True)
class FollowSettings:
    """Where new versions come from, and who vouches for them."""

    address: str = ""
    """http:// or https://, the folder that `litelens publish` writes."""
    root: str = ""
    """The file of root metadata that this device was given to trust; it stays: every look begins with it."""
    channel: str = STABLE
    max_latency_ms: float | None = None
    """A version with which more than 1 of 100 frames of 640x480 takes longer is refused; None only measures."""
    every_s: float = 3600.0
    """Between two looks, up to a quarter early or late."""

    def __post_init__(self):
        """Checks the values.

        Raises:
            ConfigError: If one is not as its field says.
            UpdateError: If the address is none of a folder on a web server.
        """
        from edge_runtime.updating.download import repository_address  # ssl takes some ms to load

        if not self.address:
            raise ConfigError(
                "no repository to follow is named", "give --follow URL, or set address in [follow]"
            )
        repository_address(self.address)
        if not self.root:
            raise ConfigError(
                "no root metadata to trust is named",
                "copy metadata/1.root.json of the repository to this device, and give --root ROOT.json",
            )
        if self.channel not in CHANNELS:
            raise ConfigError(
                f"follow.channel is {self.channel!r:.80}, expected {' or '.join(CHANNELS)}",
                "give --channel stable",
            )
        if self.max_latency_ms is not None and not 0 < self.max_latency_ms < math.inf:
            raise ConfigError(
                f"follow.max_latency_ms is {self.max_latency_ms}, expected more than 0", "such as 100"
            )
        if not 1 <= self.every_s <= 30 * 86400:
            raise ConfigError(
                f"follow.every_s is {self.every_s}, expected 1 to {30 * 86400}", "such as 3600, once an hour"
            )
