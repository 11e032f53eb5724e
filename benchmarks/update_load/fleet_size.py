"""From one look and one server to many devices: arithmetic, and the follower's own waits drawn for each device."""

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.update_load.looks import Look
from edge_runtime.updating.follower import EVERY_S, FIRST_S, JITTER

DAY_S = 86_400
WAVE = 0.1
"""Of the devices, a day."""


@dataclass(frozen=True)
class Peaks:
    """The most looks in one second, where all devices start in the same one."""

    first_minute: float
    second_hour: float
    """60 to 120 minutes after it."""
    last_hour: float
    """Of the first day."""


@dataclass(frozen=True)
class Daily:
    """What a fleet asks for on a day without a new version."""

    devices: int
    looks_s: float
    requests_s: float
    bytes_per_device: float
    bytes_total: float
    bits_s: float


@dataclass(frozen=True)
class Rollout:
    """A new version to all devices, WAVE of them a day."""

    bytes_per_wave: float
    bytes_total: float
    bits_s: float
    """In the first three quarters of the hour after a wave is let go: its devices look as evenly as ever."""


def daily(nothing_new: Look, signed_again: Look, devices: int) -> Daily:
    """24 looks a device: one after the timestamp was signed again, in the others nothing is new."""
    looks = DAY_S / EVERY_S
    per_device = (looks - 1) * nothing_new.total_bytes + signed_again.total_bytes
    looks_s = devices / EVERY_S
    return Daily(
        devices,
        looks_s,
        looks_s * nothing_new.requests,
        per_device,
        per_device * devices,
        per_device * devices * 8 / DAY_S,
    )


def rollout(update: Look, devices: int) -> Rollout:
    """What a version costs, whose look is given."""
    wave = update.total_bytes * devices * WAVE
    return Rollout(wave, update.total_bytes * devices, wave * 8 / EVERY_S)


def peaks(devices: int, seed: int = 0) -> Peaks:
    """Draws when each device looks on its first day, as `Follower` does."""
    chance = np.random.default_rng(seed)
    due_s = chance.uniform(0, FIRST_S, devices)
    a_second = np.zeros(DAY_S, np.int64)
    while (due_s < DAY_S).any():
        within = due_s[due_s < DAY_S].astype(np.int64)
        a_second += np.bincount(within, minlength=DAY_S)
        due_s += EVERY_S * chance.uniform(1 - JITTER, 1 + JITTER, devices)
    return Peaks(
        float(a_second[: math.ceil(FIRST_S)].max()),
        float(a_second[3600:7200].max()),
        float(a_second[-3600:].max()),
    )


def servers(requests_s: float, borne_s: float) -> int:
    """How many servers that bear so many requests a second."""
    return max(1, math.ceil(requests_s / borne_s))
