"""Cameras, who may open them, and picamera2."""

import fcntl
import os
import struct
from dataclasses import dataclass

from edge_runtime.board import board_model
from litelens.doctor.check import Check, Machine, last_line
from litelens.doctor.software import Python

# linux/videodev2.h: struct v4l2_capability, and _IOR('V', 0, struct v4l2_capability).
_CAPABILITY = struct.Struct("16s32s32sIII12x")
_QUERYCAP = 2 << 30 | _CAPABILITY.size << 16 | ord("V") << 8
_CAPTURE = 0x1 | 0x1000
"""V4L2_CAP_VIDEO_CAPTURE and its multi-planar kind."""
_MEMORY_TO_MEMORY = 0x4000 | 0x8000
_DEVICE_CAPS = 0x80000000
_NO_CAMERAS = ("bcm2835-isp", "bcm2835-codec", "pispbe", "rpi-hevc-dec", "rpivid")
"""Drivers of a Raspberry Pi's image processors and codecs, some of whose nodes can capture."""
_SENSORS = ("unicam", "bcm2835-unicam", "rp1-cfe")
"""Drivers of its own connectors: raw data, which only libcamera makes pictures of."""


@dataclass(frozen=True)
class Capability:
    """What a V4L2 device says it is."""

    driver: str
    card: str
    """As a person would call it."""
    captures: bool
    """Whether it is a source of pictures."""

    @classmethod
    def of(cls, answer: bytes) -> "Capability":
        """Reads a struct v4l2_capability."""
        driver, card, _, _, capabilities, device_capabilities = _CAPABILITY.unpack(answer)
        # The first field is of the whole device, of which this node is one of several.
        own = device_capabilities if capabilities & _DEVICE_CAPS else capabilities
        name = _string(driver)
        captures = bool(own & _CAPTURE) and not own & _MEMORY_TO_MEMORY and name not in _NO_CAMERAS
        return cls(name, _string(card), captures)


def _string(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")


def check_cameras(machine: Machine) -> Check:
    """Which cameras Linux knows."""
    found, closed = [], []
    for node in machine.files("dev/video*"):
        name = f"/{node.relative_to(machine.root)}"
        try:
            capability = _ask(str(node))
        except PermissionError:
            closed.append(name)
        except OSError:
            continue  # no V4L2 device, or unplugged this moment
        else:
            if capability.driver in _SENSORS:
                found.append(f"{name} is a camera on the board's connector (--camera picamera)")
            elif capability.captures:
                found.append(f"{name} is {capability.card}")
    if found:
        return Check("cameras", "ok", "; ".join(found))
    if closed:
        return Check(
            "cameras",
            "warn",
            f"{machine.user} may not open {', '.join(closed)}",
            _join_group(machine, "video"),
        )
    fix = "plug one in and look: ls /dev/video*"
    if _raspberry_pi(machine):
        fix += "; on the board's connector: rpicam-hello --list-cameras"
    return Check("cameras", "warn", "none; a stream (rtsp://, http://), a file and demo need none", fix)


def _ask(node: str) -> Capability:
    handle = os.open(node, os.O_RDWR | os.O_NONBLOCK)
    try:
        return Capability.of(fcntl.ioctl(handle, _QUERYCAP, bytes(_CAPABILITY.size)))
    finally:
        os.close(handle)


def check_video_group(machine: Machine) -> Check:
    """Whether this user may open cameras."""
    # video:x:44:pi,anna
    lines = (line.split(":") for line in machine.text("etc/group").splitlines())
    group = next((fields for fields in lines if fields[0] == "video" and len(fields) == 4), None)
    if group is None or machine.uid == 0:
        return Check("video group", "ok", "not needed by root" if machine.uid == 0 else "not on this machine")
    if group[2] in map(str, machine.groups):
        return Check("video group", "ok", f"{machine.user} is in it")
    if machine.user in group[3].split(","):
        return Check(
            "video group", "warn", f"{machine.user} is in it since this login began", "log out and in again"
        )
    return Check("video group", "warn", f"{machine.user} is not in it", _join_group(machine, "video"))


def _join_group(machine: Machine, group: str) -> str:
    return f"sudo usermod -aG {group} {machine.user}, then log out and in again"


def check_picamera2(machine: Machine, python: Python) -> Check:
    """Whether this environment sees picamera2, which Debian's package installs for the system's Python."""
    if not _raspberry_pi(machine):
        return Check("picamera2", "ok", "not needed: no Raspberry Pi")
    ended = machine.run(machine.python, "-P", "-c", "import picamera2")
    if ended.returncode == 0:
        return Check("picamera2", "ok", "can be imported")
    if not (machine.root / "usr/lib/python3/dist-packages/picamera2").is_dir():
        found = "not installed; only cameras on the board's connector need it"
        return Check("picamera2", "warn", found, "sudo apt-get install -y python3-picamera2")
    environment = python.prefix
    if environment != python.base_prefix and "true" not in _system_packages(machine, environment):
        found = f"installed, but the virtual environment {environment} does not see the system's packages"
        fix = f"sed -i 's/^include-system-site-packages.*/include-system-site-packages = true/' {environment}/pyvenv.cfg"
        return Check("picamera2", "warn", found, fix)
    why = last_line(ended.stderr)
    if "numpy" in why:  # its companions were built against Debian's NumPy 1
        return Check("picamera2", "warn", f"cannot be imported: {why}", python.pip("numpy<2"))
    if python.base_prefix != "/usr":
        fix = "make the environment of the system's Python: /usr/bin/python3 -m venv --system-site-packages .venv"
        return Check("picamera2", "warn", f"cannot be imported by {python.base_prefix}'s Python: {why}", fix)
    return Check(
        "picamera2",
        "warn",
        f"cannot be imported: {why}",
        "sudo apt-get install --reinstall -y python3-picamera2",
    )


def _system_packages(machine: Machine, environment: str) -> str:
    """The value of include-system-site-packages in a virtual environment's pyvenv.cfg."""
    lines = machine.text(f"{environment}/pyvenv.cfg").lower().splitlines()
    return next(
        (line.partition("=")[2] for line in lines if line.startswith("include-system-site-packages")), ""
    )


def _raspberry_pi(machine: Machine) -> bool:
    return (board_model(machine.root) or "").startswith("Raspberry Pi")
