"""Heat, power, memory, disk and clock."""

import os
import time

from edge_runtime.board import (
    available_memory_bytes,
    board_model,
    temperature_c,
    throttle_flags,
    throttle_history,
    throttle_reasons,
)
from litelens.doctor.check import Check, Machine

HOT_C = 80
"""Where a Raspberry Pi begins to slow down: https://www.raspberrypi.com/documentation/computers/config_txt.html"""
LITTLE_MEMORY_BYTES, LITTLE_DISK_BYTES = 100 << 20, 200 << 20
NO_DISK_BYTES = 10 << 20
EARLIEST = 1_750_000_000
"""Seconds since 1970, in June 2025: before this program was written."""
STATE = "var/lib"
"""Where services keep what they save."""


def check_temperature(machine: Machine) -> Check:
    """Whether the processor is cool enough to run at full speed."""
    degrees, model = temperature_c(machine.root), board_model(machine.root)
    found = (f"{model}, " if model else "") + ("not told" if degrees is None else f"{degrees:.1f} °C")
    if degrees is not None and degrees >= HOT_C:
        return Check("temperature", "warn", found, "a heat sink, a fan, or air around the case")
    return Check("temperature", "ok", found)


def check_power(machine: Machine) -> Check:
    """Whether heat or low voltage slows a Raspberry Pi down, now or since it was started."""
    flags = throttle_flags(machine.root, machine.program("vcgencmd"))
    if flags is None:
        return Check("power", "ok", "not told by this machine")
    now, before = throttle_reasons(flags), throttle_history(flags)
    if not now and not before:
        return Check("power", "ok", "never throttled since the start")
    found = f"now: {', '.join(now) or 'nothing'}; since the start: {', '.join(before) or 'nothing'}"
    if "low voltage" in now + before:
        return Check(
            "power", "warn", found, "the board's own power supply and a short cable; unplug what draws much"
        )
    return Check("power", "warn", found, "a heat sink, a fan, or air around the case")


def check_memory(machine: Machine) -> Check:
    """Whether a camera still fits into the memory: it takes 90 MB, and OpenCV some more."""
    available = available_memory_bytes(machine.root)
    if available is None:
        return Check("memory", "ok", "not told")
    found = f"{available >> 20} MB available"
    if available < LITTLE_MEMORY_BYTES:
        return Check("memory", "warn", found, "end the largest programs: ps aux --sort=-rss | head")
    return Check("memory", "ok", found)


def check_disk(machine: Machine) -> Check:
    """Whether there is room for events, history and pictures."""
    folder = machine.root / STATE
    try:
        disk = os.statvfs(folder)
    except OSError as problem:
        return Check("disk", "fail", f"/{STATE}: {problem.strerror}", f"sudo mkdir -p /{STATE}")
    free = disk.f_bavail * disk.f_frsize
    found = f"{free >> 20} MB free in /{STATE}"
    if disk.f_flag & os.ST_RDONLY:
        fix = "look why: sudo dmesg | grep -iE 'mmc|ext4|read-only'; a worn SD card must be replaced"
        return Check("disk", "fail", f"/{STATE} is read-only", fix)
    if free < LITTLE_DISK_BYTES:
        verdict = "fail" if free < NO_DISK_BYTES else "warn"
        return Check("disk", verdict, found, "sudo apt-get clean; sudo journalctl --vacuum-size=50M")
    return Check("disk", "ok", found)


def check_clock(machine: Machine, now: float | None = None) -> Check:
    """Whether the clock can be right: a Raspberry Pi has none of its own without power."""
    now = time.time() if now is None else now
    fix = "sudo timedatectl set-ntp true; timedatectl timesync-status"
    found = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < EARLIEST:
        return Check("clock", "fail", f"{found}, which is in the past", fix)
    asked = machine.run("timedatectl", "show", "--property=NTPSynchronized", "--value")
    if asked.stdout.strip() == "no":
        return Check("clock", "warn", f"{found}, not synchronised", fix)
    synchronised = (
        "synchronised" if asked.stdout.strip() == "yes" else "whether it is synchronised is not told"
    )
    return Check("clock", "ok", f"{found}, {synchronised}")
