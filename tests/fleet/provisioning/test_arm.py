"""The wheels on a 64-bit Arm system: Debian 12's packages for arm64, which are Raspberry Pi OS bookworm's, under QEMU.

Its programs run through binfmt_misc of a user namespace of the test's own (Linux 6.7 and later), so this machine's stays
as it is. A minute or two.
"""

import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from fleet.provisioning.bundle import EXTRAS
from fleet.provisioning.wheels import collect_wheels

pytestmark = pytest.mark.arm
QEMU = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
# /dev with what is mounted in it: in a user namespace a part of it may not be uncovered.
ENTER = """
set -e
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
cat "$1" >/proc/sys/fs/binfmt_misc/register
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
shift
exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"
"""
IN_A_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"]


class Arm:
    """An arm64 Debian 12 in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def run(self, *words: object, timeout_s: float = 1200) -> subprocess.CompletedProcess:
        command = [*IN_A_NAMESPACE, "bash", "-c", ENTER, str(self.folder), str(QEMU), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)


@pytest.fixture(scope="module")
def arm(tmp_path_factory) -> Arm:
    """Unpacked, not installed: Python needs no more, and dpkg's scripts would take an hour."""
    for program, package in (
        (shutil.which("debootstrap"), "debootstrap"),
        (QEMU.exists(), "qemu-user-static"),
    ):
        if not program:
            pytest.skip(f"{package} is not installed: Debian's package {package}")
    folder = tmp_path_factory.mktemp("arm") / "root"
    words = [
        "debootstrap",
        "--arch=arm64",
        "--foreign",
        "--variant=minbase",
        "--include=python3,python3-venv",
    ]
    ended = subprocess.run([*words, "bookworm", folder], capture_output=True, text=True, timeout=900)
    if ended.returncode:
        pytest.skip(f"Debian's packages for arm64 cannot be had: {ended.stdout[-300:]}")
    for package in sorted((folder / "var/cache/apt/archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True, timeout=120)
    system = Arm(folder)
    machine = system.run("uname", "-m", timeout_s=60)
    if machine.stdout.strip() != "aarch64":
        pytest.skip(f"no program for Arm runs here (before Linux 6.7?): {machine.stderr.strip()}")
    return system


@pytest.fixture(scope="module")
def installed(arm) -> Arm:
    """With all wheels, as install.sh installs them. Without bytecode, which QEMU would take long to make."""
    collect_wheels("aarch64", "3.11", arm.folder / "wheels", (*EXTRAS, "camera", "gpio"))
    script = """
    python3 -m venv --without-pip --system-site-packages /venv
    PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl) /venv/bin/python -m pip install --no-compile \
        --quiet --no-index --no-deps --ignore-installed /wheels/*.whl
    """
    ended = arm.run("sh", "-ec", script)
    assert ended.returncode == 0, ended.stderr
    return arm


def test_the_interpreter_answers_as_the_exporter_saw(installed, tiny):
    shutil.copy(tiny, installed.folder / "tiny.tflite")
    ended = installed.run("/venv/bin/litelens", "verify", "/tiny.tflite")
    assert ended.returncode == 0, ended.stderr
    assert "ai_edge_litert" in ended.stdout and "passed" in ended.stdout
    ended = installed.run("/venv/bin/litelens", "selftest", "/tiny.tflite")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_library_loads(installed):
    """Against bookworm's C library, and NumPy 1, which its own picamera2 was compiled against."""
    program = textwrap.dedent("""
        import ai_edge_litert.interpreter, click, cv2, gpiozero, lgpio, numpy, paho.mqtt, platform, starlette, tuf, uvicorn
        import PIL.Image
        print(platform.machine(), numpy.__version__.split(".")[0], cv2.cvtColor(numpy.zeros((2, 2, 3), "uint8"), 4).shape)
    """)
    ended = installed.run("/venv/bin/python", "-I", "-c", program)
    assert ended.stdout.split("\n")[-2:] == ["aarch64 1 (2, 2, 3)", ""], ended.stderr


def test_it_classifies_what_a_camera_shows(installed, tiny):
    shutil.copy(tiny, installed.folder / "tiny.tflite")
    ended = installed.run(
        "/venv/bin/litelens",
        "run",
        "/tiny.tflite",
        "--camera",
        "demo",
        "--max-frames",
        "3",
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("\n") >= 3
