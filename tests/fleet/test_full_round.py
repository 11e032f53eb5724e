"""The full round on loopback, as a person types it: from a bare machine to its hard examples back at the workstation.

`pytest -m soak -rP tests/fleet/test_full_round.py` shows each step and what came of it.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

pytest_plugins = ["systemd_fixtures", "machine_fixtures", "fleet_fixtures"]
pytestmark = pytest.mark.soak
PORT = "8099"
ADDRESS = f"http://127.0.0.1:{PORT}"
OFTEN = """
[follow]
address = "{address}"
root = "/etc/litelens/root.json"
every_s = 3

[hard_examples]
folder = "hard-examples"
low = 0.0
high = 1.0
every_s = 1
"""
"""What a person changes in run.toml so that a test need not wait an hour: looks, and frames that count as hard."""


class Round:
    """A workstation, a machine, and what is done with them."""

    def __init__(self, machine, site: Path, passphrase: Path):
        self.machine, self.site = machine, site
        self._passphrase = passphrase
        self.shown = 0

    def step(self, what: str, *words: object, code: int = 0) -> str:
        """Runs a litelens command at the workstation and prints it with what it said; it must end with `code`."""
        ended = self.machine.workstation(*words)
        self.tell(what, f"$ litelens {' '.join(Path(str(word)).name for word in words)}", ended.returncode)
        for line in (ended.stdout + ended.stderr).strip().splitlines()[-6:]:
            print(f"     {line}")
        assert ended.returncode == code, ended.stdout + ended.stderr + self.machine.booted.log("litelens")
        return ended.stdout + ended.stderr

    def tell(self, what: str, how: str, code: int | None = None) -> None:
        self.shown += 1
        print(f"{self.shown:2} {what}: {how}{'' if code is None else f' -> exit code {code}'}")

    def publish(self, what: str, model: Path) -> None:
        keys = ("--keys", self.site.parent / "keys", "--passphrase-file", self._passphrase)
        self.step(what, "publish", model, "--repo", self.site, *keys)

    def store(self) -> dict:
        """What the device says of its store."""
        ended = self.machine.litelens("store", "list", "/srv/litelens/store", "tiny", "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)["models"][0]

    def answers(self, what: str, version: str) -> None:
        """Waits until the service classifies with a version that is on trial no more."""

        def does() -> bool:
            found = self.store()
            active = self.machine.booted.show("litelens", "ActiveState") == "active"  # not "reloading"
            return active and found["current"] == version and found["trial"] is None

        try:
            self.machine.booted.wait_until(does, 300)
        except AssertionError:
            pytest.fail(f"{version} does not answer: {self.store()}\n{self.machine.booted.log('litelens')}")
        self.tell(
            what, f"version {version} answers; systemd: {self.machine.booted.show('litelens', 'StatusText')}"
        )

    def says(self, what: str, text: str) -> None:
        """Waits for a line in the service's log."""

        def found() -> list[str]:
            return [line for line in self.machine.booted.log("litelens").splitlines() if text in line]

        try:
            self.machine.booted.wait_until(found, 300)
        except AssertionError:
            pytest.fail(f"{text!r} was not said:\n{self.machine.booted.log('litelens')}")
        self.tell(what, f"the service says: {found()[-1]}")


@pytest.fixture
def full_round(provisionable, tmp_path) -> Iterator[Round]:
    """With a web server that serves the repository as soon as there is one."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery\n")
    passphrase.chmod(0o600)
    site = tmp_path / "site"
    serve = (sys.executable, "-m", "http.server", PORT, "--bind", "127.0.0.1", "--directory", site)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(provisionable.in_its_network(*serve), cwd=tmp_path, **quiet) as server:
        yield Round(provisionable, site, passphrase)
        server.kill()


def test_from_a_bare_machine_to_its_hard_examples(full_round, variant, tmp_path):
    machine = full_round.machine
    v1, v2, v3, v4 = (variant(version, off=50 if version == "2" else 0) for version in "1234")
    full_round.publish("the repository begins with what is flashed first", v1)

    full_round.step("provision", "provision", "pi")
    full_round.step("flash version 1", "flash", v1, "--to", "pi")
    root = full_round.site / "metadata" / "1.root.json"
    service = ("--model", v1, "--camera", "demo", "--follow", ADDRESS, "--root", root)
    full_round.step("have it run as a service that follows", "provision", "pi", *service)
    config = machine.files / "etc/litelens/run.toml"
    config.write_text(config.read_text().partition("[hard_examples]")[0] + OFTEN.format(address=ADDRESS))
    machine.run("systemctl", "restart", "litelens", check=True)
    full_round.says("it follows", "tiny 1 is in use already")
    full_round.answers("it runs", "1")

    process = machine.booted.show("litelens", "MainPID")
    full_round.step("flash a broken version 2", "flash", v2, "--to", "pi", "--trial", 5, code=3)
    full_round.answers("it is refused, and version 1 goes on", "1")
    assert machine.booted.show("litelens", "MainPID") == process

    full_round.step("flash version 3", "flash", v3, "--to", "pi", "--trial", 5)
    full_round.answers("it stays", "3")
    full_round.says(
        "what the repository offers does not undo it", "tiny 1 was in use before and is left aside"
    )

    back = ("--to", "pi", "--from", "3", "--why", "the round says so", "--yes")
    full_round.step("roll back", "fleet", "rollback", "tiny", *back)
    full_round.says("its loop takes it over", "tiny 1 answers now")
    full_round.answers("it is back", "1")

    full_round.publish("publish version 4", v4)
    full_round.says("the device follows", "tiny 4 is in use now")
    full_round.says("its loop takes it over", "tiny 4 answers now")
    full_round.answers("its trial is over", "4")
    assert machine.booted.show("litelens", "MainPID") == process, "one process all along, no frame was missed"

    full_round.step("pull hard examples", "pull", "pi", "--to", tmp_path / "pulled")
    pictures = sorted((tmp_path / "pulled").rglob("*.jpg"))
    assert pictures
    with Image.open(pictures[0]) as picture:
        full_round.tell(
            "they are pictures", f"{len(pictures)} of them, the first {picture.width}x{picture.height} px"
        )
    full_round.step("what was done", "fleet", "history", "--to", "pi")
    full_round.step("how it does", "fleet", "status", "--to", "pi")
