"""The first boot of a card, for real: systemd, cloud-init, the wheels, the service; and power cuts in its midst.

The machine is this one's files under a memory disk, so the wheels on the card are for its processor and Python.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cards import FIRST_BOOT, KEY, fresh_bookworm, fresh_trixie
from systemd_fixtures import boot

from fleet.provisioning import image
from fleet.provisioning.bundle import Wanted
from fleet.provisioning.card import Card, read_card

pytest_plugins = ["systemd_fixtures", "machine_fixtures"]
pytestmark = pytest.mark.soak
UNIT = "litelens-first-boot"
# As github.com/RPi-Distro/pi-gen's stage2/04-cloud-init/files/99_raspberry-pi.cfg, but for `seedfrom: file:///boot/firmware`,
# which Debian 12's cloud-init reads from no configuration: a link does it. Its locale is not on every machine of the tests.
RASPBERRY_PI_CFG = """
datasource_list: [ NoCloud ]
ssh_deletekeys: false
ssh_genkeytypes: []
locale: false
"""


class NewPi:
    """A machine that was just switched on with a card that `litelens image` has written."""

    def __init__(self, booted):
        self.booted = booted
        self.run = booted.run
        self.firmware = booted.files / "boot/firmware"

    def insert(self, card: Path) -> None:
        shutil.rmtree(self.firmware, ignore_errors=True)
        shutil.copytree(card, self.firmware)

    @property
    def log(self) -> str:
        file = self.firmware / "litelens-first-boot.log"
        return file.read_text() if file.exists() else ""

    def state(self, unit: str) -> str:
        return self.booted.show(unit, "ActiveState")

    def wait_until_done(self) -> None:
        units = self.booted.files / f"etc/systemd/system/{UNIT}.service"
        try:
            self.booted.wait_until(lambda: not units.exists(), 900)
        except AssertionError:
            raise AssertionError(self.log + self.booted.log(UNIT)) from None

    def assert_it_classifies(self) -> None:
        assert self.log.endswith("done: litelens 0.1.0\nfirst boot: done\n"), self.log
        assert self.state("litelens") == "active", self.booted.log("litelens")
        answer = self.run("/usr/local/bin/litelens", "store", "list", "/srv/litelens/store")
        assert "tiny" in answer.stdout, answer.stdout + answer.stderr
        left = {path.name for path in self.firmware.iterdir()}
        assert not {"litelens", "firstrun.sh"} & left, left
        assert not (self.booted.files / "var/lib/litelens-first-boot").exists()
        assert self.run("systemctl", "cat", UNIT).returncode, "its unit is still there"


@pytest.fixture
def pi(tmp_path):
    if not Path("/usr/bin/python3").exists():
        pytest.skip("there is no /usr/bin/python3 here; Debian: sudo apt-get install python3-venv")
    (tmp_path / "machine").mkdir()
    with boot(tmp_path / "machine", Path("/usr/bin/python3")) as booted:
        yield NewPi(booted)


@pytest.fixture
def write(wheels_cache, tiny, tmp_path, monkeypatch):
    """`litelens image` onto a fresh card, with the wheels of this machine in place of a Raspberry Pi's."""
    python = subprocess.run(
        ["/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
    ).stdout.strip()
    monkeypatch.setenv("LITELENS_CACHE", str(wheels_cache))
    monkeypatch.setattr(Card, "python", python)

    def card(fresh) -> Path:
        folder = fresh(tmp_path / "card")
        found = read_card(folder)
        here = Card(folder, found.release, os.uname().machine)
        image.write_image(here, FIRST_BOOT, Wanted(model=tiny, camera="demo"), lambda said: None)
        return folder

    return card


def test_trixie_by_cloud_init(pi, write):
    if shutil.which("cloud-init") is None:
        pytest.skip("cloud-init is not installed: Debian's package cloud-init")
    pi.insert(write(fresh_trixie))
    (pi.booted.files / "etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg").write_text(RASPBERRY_PI_CFG)
    pi.run("mkdir", "-p", "/var/lib/cloud/seed", check=True)
    pi.run("ln", "-sfn", "/boot/firmware", "/var/lib/cloud/seed/nocloud", check=True)
    pi.run("systemctl", "start", "cloud-init.target", timeout=600)
    pi.booted.wait_until(lambda: pi.state("cloud-final") in ("active", "failed"), 300)
    pi.booted.wait_until(lambda: pi.log, 120)
    pi.wait_until_done()
    pi.assert_it_classifies()
    result = json.loads((pi.booted.files / "var/lib/cloud/data/result.json").read_text())
    assert result["v1"]["errors"] == [] and "NoCloud" in result["v1"]["datasource"]
    assert (pi.booted.files / "etc/hostname").read_text().strip() == "door-1"
    assert KEY in (pi.booted.files / "home/ada/.ssh/authorized_keys").read_text()
    groups = pi.run("id", "-nG", "ada").stdout.split()
    assert {"sudo", "video", "render", "litelens_store"} <= set(groups)
    assert pi.run("sudo", "-l", "-U", "ada").stdout.count("NOPASSWD: ALL")
    assert pi.booted.show("litelens", "User") == "ada"
    assert "users" not in (pi.firmware / "user-data").read_text()
    assert "wifis" not in (pi.firmware / "network-config").read_text()
    # The next boots: cloud-init reads what is left, and does nothing by it.
    before = (pi.booted.files / "etc/shadow").read_text()
    for words in (["init", "--local"], ["init"], ["modules", "--mode=config"], ["modules", "--mode=final"]):
        assert pi.run("cloud-init", *words, timeout=300).returncode == 0
    assert (pi.booted.files / "etc/shadow").read_text() == before
    assert (pi.booted.files / "etc/hostname").read_text().strip() == "door-1"
    pi.assert_it_classifies()


def test_bookworm_by_firstrun(pi, write):
    """What custom.toml does is Raspberry Pi OS' own; its user is made here by hand."""
    pi.insert(write(fresh_bookworm))
    pi.run("useradd", "--create-home", "ada", check=True)
    (pi.firmware / "custom.toml").unlink()  # its reader removes it
    pi.run("sh", "/boot/firmware/firstrun.sh", check=True)
    line = (pi.firmware / "cmdline.txt").read_text()
    assert "systemd." not in line and "root=PARTUUID=b5331c2f-02" in line
    assert pi.run("systemctl", "is-enabled", UNIT).stdout.strip() == "enabled"
    pi.run("systemctl", "daemon-reload", check=True)
    pi.run("systemctl", "start", "multi-user.target", "--no-block", check=True)
    pi.wait_until_done()
    pi.assert_it_classifies()


def test_the_power_is_cut_again_and_again(pi, write):
    """At each line that the log has not had before, all is killed; the next boot goes on."""
    pi.insert(write(fresh_bookworm))
    pi.run("useradd", "--create-home", "ada", check=True)
    script = pi.booted.files / "boot/firmware/litelens/first-boot.sh"
    script.write_text(script.read_text().replace("RestartSec=60", "RestartSec=3600"))
    pi.run("sh", "/boot/firmware/firstrun.sh", check=True)
    unit = pi.booted.files / f"etc/systemd/system/{UNIT}.service"
    seen: set[str] = set()

    def more_is_said() -> bool:
        return not unit.exists() or not seen.issuperset(pi.log.splitlines())

    for _ in range(30):
        pi.run("systemctl", "daemon-reload")
        pi.run("systemctl", "reset-failed")
        pi.run("systemctl", "start", UNIT)
        pi.booted.wait_until(more_is_said, 900)
        if not unit.exists():
            break
        seen |= set(pi.log.splitlines())
        pi.run("systemctl", "kill", "--signal=SIGKILL", UNIT)
        pi.booted.wait_until(lambda: pi.state(UNIT) != "active", 60)
        pi.run("systemctl", "stop", UNIT)
    pi.wait_until_done()
    pi.booted.wait_until(lambda: pi.state("litelens") == "active", 60)
    assert len(seen) > 3
    assert (pi.booted.files / "srv/litelens/store/tiny/current").is_symlink() or pi.run(
        "test", "-e", "/srv/litelens/store/tiny/current"
    ).returncode == 0


def test_what_fails_is_said_on_the_card_and_tried_again(pi, write):
    pi.insert(write(fresh_bookworm))  # and there is no user ada
    pi.run("sh", "/boot/firmware/firstrun.sh", check=True)
    pi.run("systemctl", "daemon-reload")
    pi.run("systemctl", "start", UNIT)
    pi.booted.wait_until(lambda: "no user ada" in pi.log, 120)
    pi.booted.wait_until(lambda: pi.state(UNIT) == "activating", 60)  # it waits for its next try
    assert (pi.firmware / "litelens/install.sh").exists()
    pi.run("useradd", "--create-home", "ada", check=True)
    pi.run("systemctl", "restart", UNIT, check=True)
    pi.wait_until_done()
    pi.assert_it_classifies()
