"""Boot partitions as Raspberry Pi OS has them before its first boot, and what a device is told in the tests."""

import subprocess
from pathlib import Path

from fleet.provisioning.raspberry_pi import FirstBoot, Wifi

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFUlIEnQvm3HBXq/H1yl/lJiqpTpv1GZPyowtody5TmV me@here"
WIFI = Wifi("Workshop 2", "correct horse", "GB")
FIRST_BOOT = FirstBoot("door-1", "ada", "", (KEY,), WIFI, "Europe/London")
ROOT = (
    "console=serial0,115200 console=tty1 root=PARTUUID=b5331c2f-02 rootfstype=ext4 fsck.repair=yes rootwait"
)


def fresh_trixie(folder: Path) -> Path:
    """As pi-gen's stage1/00-boot-files and stage2/04-cloud-init make it, the comments shortened."""
    return _partition(
        folder,
        {
            "cmdline.txt": f"{ROOT} resize\n",
            "user-data": "#cloud-config\n\n# This is the user-data configuration file for cloud-init.\n"
            "#hostname: raspberrypi\n\nssh_pwauth: false\n",
            "meta-data": "# This is the meta-data configuration file.\ndsmode: local\ninstance_id: rpios-image\n",
            "network-config": "# This file contains a netplan-compatible configuration\nnetwork:\n  version: 2\n\n"
            "  ethernets:\n    eth0:\n      dhcp4: true\n      optional: true\n\n#  wifis:\n#    wlan0:\n",
        },
    )


def fresh_bookworm(folder: Path) -> Path:
    """As the legacy images have it."""
    return _partition(folder, {"cmdline.txt": f"{ROOT} quiet init=/usr/lib/raspberrypi-sys-mods/firstboot\n"})


def _partition(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir()
    for name, text in {"config.txt": "arm_64bit=1\n", "kernel8.img": "", **files}.items():
        (folder / name).write_text(text)
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by their paths in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def debian_python(program: str, text: str) -> subprocess.CompletedProcess:
    """Runs a program by Debian's own Python, which has Debian's own modules; text is its standard input."""
    return subprocess.run(
        ["/usr/bin/python3", "-I", "-c", program], input=text, capture_output=True, text=True, timeout=60
    )
