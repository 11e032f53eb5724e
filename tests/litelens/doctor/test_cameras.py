import dataclasses
import subprocess
from pathlib import Path

import pytest

from litelens.doctor import cameras
from litelens.doctor.cameras import Capability, check_cameras, check_picamera2, check_video_group

PI = {"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0"}
DEBIANS = PI | {"usr/lib/python3/dist-packages/picamera2/__init__.py": ""}
HIDDEN, SEEN = (f"include-system-site-packages = {value}" for value in ("false", "true"))
NUMPY_ABI = "echo 'ValueError: numpy.dtype size changed, may indicate binary incompatibility' >&2; exit 1"
NO_LIBCAMERA = "echo no libcamera >&2; exit 1"


@pytest.mark.parametrize(
    "files, script, config, base, verdict, says, fix",
    [
        ({}, "exit 1", "", "/usr", "ok", "no Raspberry Pi", ""),
        (PI, "exit 0", "", "/usr", "ok", "can be imported", ""),
        (PI, "exit 1", "", "/usr", "warn", "not installed", "apt-get install -y python3-picamera2"),
        (DEBIANS, "exit 1", HIDDEN, "/usr", "warn", "does not see", "sed -i"),
        (DEBIANS, NUMPY_ABI, SEEN, "/usr", "warn", "numpy.dtype", "pip install 'numpy<2'"),
        (DEBIANS, NO_LIBCAMERA, SEEN, "/opt", "warn", "/opt's Python", "/usr/bin/python3 -m venv --system-site-packages"),
        (DEBIANS, NO_LIBCAMERA, SEEN, "/usr", "warn", "no libcamera", "--reinstall"),
    ],
    ids=["no pi", "sound", "absent", "hidden", "numpy", "other python", "broken"],
)  # fmt: skip
def test_picamera2(
    machine, program, tmp_path, files, script, config, base, verdict, says, fix, sound, assert_is
):
    (tmp_path / "pyvenv.cfg").write_text(f"home = /usr/bin\n{config}\nversion = 3.11.2\n")
    python = dataclasses.replace(sound, prefix=str(tmp_path), base_prefix=base)
    found = check_picamera2(machine(files, python=f"{program('python', script)}/python"), python)
    assert_is(found, verdict, says, fix)


def test_the_fix_for_a_hidden_picamera2_mends_it(machine, program, tmp_path, sound):
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    python = dataclasses.replace(sound, prefix=str(tmp_path))
    found = check_picamera2(machine(DEBIANS, python=f"{program('python', 'exit 1')}/python"), python)
    subprocess.run(["sh", "-c", found.fix], check=True)
    assert (tmp_path / "pyvenv.cfg").read_text() == "home = /usr/bin\ninclude-system-site-packages = true\n"


def capability(driver: str, capabilities: int, own: int, card: str = "HD Webcam C270") -> bytes:
    return cameras._CAPABILITY.pack(driver.encode(), card.encode(), b"usb-1", 0x60C12, capabilities, own)


@pytest.mark.parametrize(
    "answer, captures",
    [
        (capability("uvcvideo", 0x84A00001, 0x04200001), True),
        (capability("uvcvideo", 0x84A00001, 0x04A00000), False),
        (capability("old", 0x00000001, 0), True),
        (capability("unicam", 0x85A00001, 0x05200001), True),
        (capability("bcm2835-codec", 0x84204000, 0x04204000), False),
        (capability("bcm2835-isp", 0x84200001, 0x04200001), False),
        (capability("rkvdec", 0x84001000, 0x04009000), False),
        (capability("imx-capture", 0x84001000, 0x04001000), True),
        (bytes(104), False),
        (b"\xff" * 104, False),
    ],
    ids=["webcam", "its metadata", "old driver", "csi", "codec", "isp", "m2m", "mplane", "zeros", "ones"],
)  # fmt: skip
def test_capabilities(answer, captures):
    assert Capability.of(answer).captures is captures


def test_the_ioctl_is_the_kernels():
    assert cameras._QUERYCAP == 0x80685600 and cameras._CAPABILITY.size == 104


def test_cameras(machine, monkeypatch, assert_is):
    """No V4L2 device can be made here, so what the kernel would answer is given."""
    there = machine(
        dict.fromkeys(("dev/video0", "dev/video1", "dev/video2", "dev/video10", "dev/video11"), "")
    )

    def ask(node: str) -> Capability:
        answers = {
            "video0": Capability("uvcvideo", "HD Webcam C270", True),
            "video1": Capability("uvcvideo", "HD Webcam C270", False),
            "video2": Capability("unicam", "unicam", True),
            "video10": Capability("bcm2835-codec", "decode", False),
        }
        if Path(node).name not in answers:
            raise OSError(19, "No such device")
        return answers[Path(node).name]

    monkeypatch.setattr(cameras, "_ask", ask)
    found = check_cameras(there)
    assert_is(found, "ok", "/dev/video0 is HD Webcam C270; /dev/video2 is a camera on the board's connector")
    assert "video1" not in found.found


def test_cameras_that_may_not_be_opened(machine, monkeypatch, assert_is):
    def refuse(node: str) -> Capability:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cameras, "_ask", refuse)
    found = check_cameras(machine({"dev/video0": ""}, uid=1))
    assert_is(found, "warn", "daemon may not open /dev/video0", "sudo usermod -aG video daemon")


@pytest.mark.parametrize(
    "files, fix", [({}, "ls /dev/video*"), (PI, "rpicam-hello"), ({"dev/video0": "a file"}, "ls")]
)
def test_no_cameras(machine, files, fix, assert_is):
    assert_is(check_cameras(machine(files)), "warn", "none", fix)


@pytest.mark.parametrize(
    "group, uid, groups, verdict, says, fix",
    [
        ("video:x:44:anna", 0, (0,), "ok", "root", ""),
        ("video:x:44:anna", 1, (1, 44), "ok", "daemon is in it", ""),
        ("video:x:44:anna,daemon", 1, (1,), "warn", "since this login began", "log out"),
        ("video:x:44:anna", 1, (1,), "warn", "daemon is not in it", "sudo usermod -aG video daemon"),
        ("video:x:44:", 4_000_000, (), "warn", "4000000 is not in it", "usermod"),
        ("audio:x:29:", 1, (1,), "ok", "not on this machine", ""),
        ("video:x\nnonsense\n\n", 1, (1,), "ok", "not on this machine", ""),
    ],
)
def test_video_group(machine, group, uid, groups, verdict, says, fix, assert_is):
    there = machine({"etc/group": f"root:x:0:\n{group}\n"}, uid=uid, groups=groups)
    assert_is(check_video_group(there), verdict, says, fix)
