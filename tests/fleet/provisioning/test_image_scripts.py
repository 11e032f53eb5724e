"""firstrun.sh and first-boot.sh, with their folders below the test's: killed before and after each command they run."""

import shutil
import subprocess
from pathlib import Path

import pytest
from cards import ROOT, fresh_bookworm

from fleet.provisioning import image

SCRIPTS = Path(image.__file__).parent
LINE = (
    f"{ROOT} quiet systemd.run=/boot/firmware/firstrun.sh systemd.run_success_action=reboot "
    "systemd.unit=kernel-command-line.target\n"
)
COMMANDS = ("cat", "cp", "ln", "mkdir", "mv", "rm", "sed", "sync", "tee")
# Counts itself, and cuts the power, which ends all that runs, before its work or after it.
CUT = """#!/bin/sh
echo >>{count}
number=$(($(wc -l <{count})))
[ $number != "$(cat {before})" ] || kill -KILL 0
{program} "$@"
status=$?
[ $number != "$(cat {after})" ] || kill -KILL 0
exit $status
"""


class Machine:
    """A root file system and a boot partition, in folders."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.boot = fresh_bookworm(folder / "boot")
        self.units = folder / "units"
        self.state = folder / "state"
        self.units.mkdir()
        (self.boot / "cmdline.txt").write_text(LINE)
        (self.boot / "litelens").mkdir()
        self.installed = folder / "installed"
        (self.boot / "litelens/install.sh").write_text(f"echo working; echo x >>{self.installed}\n")
        for name in ("first-boot.sh", "firstrun.sh"):
            target = self.boot / ("litelens" if name == "first-boot.sh" else "") / name
            target.write_text(self._moved((SCRIPTS / name).read_text()))
        for name in ("user-data", "network-config"):
            (self.boot / name).write_text("secret\n")
            (self.boot / f"litelens/{name}.later").write_text("public\n")
        self._wrap()

    def _moved(self, text: str) -> str:
        for old, new in (
            ("BOOT=/boot/firmware", f"BOOT={self.boot}"),
            ("STATE=/var/lib/litelens-first-boot", f"STATE={self.state}"),
            ("UNITS=/etc/systemd/system", f"UNITS={self.units}"),
            ("PATH=", f"PATH={self.folder}/commands:"),
        ):
            text = text.replace(old, new, 1)
        return text

    def _wrap(self) -> None:
        commands = self.folder / "commands"
        commands.mkdir()
        paths = {name: self.folder / name for name in ("count", "before", "after")}
        for name in COMMANDS:
            (commands / name).write_text(
                CUT.format(program=shutil.which(name), **paths).replace("$(cat ", "$(/bin/cat ")
            )
        (commands / "systemctl").write_text("#!/bin/sh\nexit 0\n")  # there is no systemd here
        for command in commands.iterdir():
            command.chmod(0o755)

    def run(self, *words: object, before: int = 0, after: int = 0) -> subprocess.CompletedProcess:
        for name, text in (("count", ""), ("before", f"{before}\n"), ("after", f"{after}\n")):
            (self.folder / name).write_text(text)
        return subprocess.run(
            ["sh", *map(str, words)], capture_output=True, text=True, timeout=60, start_new_session=True
        )

    @property
    def unit(self) -> Path:
        return self.units / "litelens-first-boot.service"

    def start_again(self) -> None:
        """What systemd does at the next boot, and at the one after it."""
        for _ in range(2):
            if (self.boot / "firstrun.sh").exists() and "systemd.run=" in (
                self.boot / "cmdline.txt"
            ).read_text():
                self.run(self.boot / "firstrun.sh")
        for _ in range(2):
            if (self.units / "multi-user.target.wants" / self.unit.name).exists():
                self.run(self.state / "first-boot.sh", "run")

    def assert_done(self) -> None:
        assert (self.boot / "cmdline.txt").read_text() == f"{ROOT} quiet\n"
        assert self.installed.read_text().startswith("x")
        assert not (self.boot / "litelens").exists() and not (self.boot / "firstrun.sh").exists()
        assert not self.unit.exists()
        assert not list((self.units / "multi-user.target.wants").iterdir())
        assert (
            (self.boot / "user-data").read_text() == (self.boot / "network-config").read_text() == "public\n"
        )
        assert (self.boot / "litelens-first-boot.log").read_text().endswith("first boot: done\n")


@pytest.fixture
def machine(tmp_path):
    made = []

    def make() -> Machine:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(folder)
        return Machine(folder)

    return make


def test_two_boots_install_once_and_leave_nothing(machine):
    new = machine()
    assert new.run(new.boot / "firstrun.sh").returncode == 0
    assert "ExecStart=/bin/sh" in new.unit.read_text() and not new.installed.exists()
    assert new.run(new.state / "first-boot.sh", "run").returncode == 0
    new.assert_done()
    assert new.installed.read_text() == "x\n" and not new.state.exists()
    assert (new.boot / "litelens-first-boot.log").read_text() == "working\nfirst boot: done\n"


def test_a_failure_leaves_all_for_the_next_try(machine):
    new = machine()
    (new.boot / "litelens/install.sh").write_text("echo error: no camera >&2; exit 1\n")
    new.run(new.boot / "firstrun.sh")
    assert new.run(new.state / "first-boot.sh", "run").returncode == 1
    assert "error: no camera" in (new.boot / "litelens-first-boot.log").read_text()
    assert new.unit.exists() and (new.boot / "litelens/install.sh").exists()
    assert (new.boot / "user-data").read_text() == "secret\n"


def test_without_a_bundle_nothing_is_armed(machine):
    new = machine()
    shutil.rmtree(new.boot / "litelens")
    assert new.run(new.boot / "firstrun.sh").returncode == 0
    assert (new.boot / "cmdline.txt").read_text() == f"{ROOT} quiet\n"
    assert not new.unit.exists()


def test_a_system_that_takes_no_service_still_starts_as_usual(machine):
    new = machine()
    new.units.rmdir()
    new.units.write_text("in the way")
    assert new.run(new.boot / "firstrun.sh").returncode == 0
    assert (new.boot / "cmdline.txt").read_text() == f"{ROOT} quiet\n"
    assert "error: litelens cannot be installed" in (new.boot / "litelens-first-boot.log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("phase", ["firstrun", "run"])
def test_power_cuts(machine, phase, when):
    """At each command in turn; the boots after it end as if nothing had been."""
    for number in range(1, 60):
        new = machine()
        if phase == "run":
            new.run(new.boot / "firstrun.sh")
        script = (new.boot / "firstrun.sh",) if phase == "firstrun" else (new.state / "first-boot.sh", "run")
        new.run(*script, **{when: number})
        last = (new.folder / "count").read_text().count("\n") < number
        new.start_again()
        new.assert_done()
        if last:
            break
    assert number > 8
