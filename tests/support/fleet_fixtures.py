"""Devices to flash: behind a real sshd, each with a litelens, a store and a loop that runs what is current there.

A test module takes them by `pytest_plugins = ["ssh_fixtures", "fleet_fixtures"]`.
"""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ssh_server import Device, wait_until

from edge_runtime.model_file import pack, read_model_file
from edge_runtime.store.install import install
from edge_runtime.store.lock import is_in_use
from edge_runtime.store.store import Store

ROOT = Path(__file__).parents[2]
LITELENS = f"""#!/bin/sh
export PYTHONPATH={ROOT}
exec {sys.executable} -m litelens "$@"
"""
"""A program that is this working tree's litelens."""
_STARTS_S = 120


@dataclass
class FleetDevice:
    """A device of the fleet."""

    device: Device
    store_folder: Path
    """As `store` in the fleet file."""
    state: Path
    """As `state` in the fleet file: where its loop keeps history and frames."""
    loops: list[subprocess.Popen] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.device.name

    @property
    def home(self) -> Path:
        return self.device.home

    def store(self, model: str = "tiny") -> Store:
        """The store of one model, as it lies on the device."""
        return Store(self.store_folder / model)

    def install(self, file: Path) -> None:
        """Has a model file answer there, without a trial, as if it had been flashed long ago."""
        install(self.store(read_model_file(file).manifest.name), file, by="test")

    def current(self, model: str = "tiny") -> str | None:
        """The version that `current` leads to, read through the link as a loop reads it."""
        link = self.store_folder / model / "current"
        return read_model_file(link).manifest.version if os.path.lexists(link) else None

    def last(self, model: str = "tiny") -> tuple[str, str, str]:
        """What happened last in the store, why, and by whom."""
        event = self.store(model).history().events[-1]
        return event.what, event.why, event.by

    def wrap(self, script: str) -> None:
        """Has a shell script stand before litelens on the device.

        In it, `real` runs litelens and `$*` is what it was called with; the real one is what runs at the script's end.
        """
        self.device.program(
            "litelens", f"#!/bin/sh\nreal() {{ ({LITELENS[10:]}) }}\n{script}\n{LITELENS[10:]}"
        )

    def start(self, *arguments: object, model: str = "tiny") -> subprocess.Popen:
        """Starts `litelens run STORE/MODEL/current` with the drawn camera; returns once it runs the current version."""
        command = [sys.executable, "-m", "litelens", "run", self.store_folder / model / "current"]
        command += ["--camera", "demo", "--threads", 1, "--quiet", "--state", self.state, *arguments]
        with (self.state / "run.log").open("ab") as log:
            loop = subprocess.Popen(
                [*map(str, command)],
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(self.home)},
            )
        self.loops.append(loop)
        self.runs(model)
        return loop

    def runs(self, model: str = "tiny") -> None:
        """Waits until the loop runs the current version, and the store can know."""
        store = self.store(model)
        wait_until(
            lambda: (
                any(loop.poll() is not None for loop in self.loops)
                or is_in_use(store.file(store.state().current))
            ),
            f"{self.name} runs {model}",
            _STARTS_S,
        )
        assert all(loop.poll() is None for loop in self.loops), (self.state / "run.log").read_text()

    def stop(self) -> None:
        """Ends what runs there, at once."""
        for loop in self.loops:
            loop.kill()
            loop.wait(60)
        self.loops.clear()


@dataclass(frozen=True)
class Fleet:
    """Devices and the file that names them."""

    file: Path
    """For --fleet."""
    devices: tuple[FleetDevice, ...]
    """In the file's order: d1, d2 ..."""

    def __getitem__(self, number: int) -> FleetDevice:
        return self.devices[number]

    def __iter__(self) -> Iterator[FleetDevice]:
        return iter(self.devices)


@pytest.fixture
def fleet_of(ssh_server, workstation, tmp_path, monkeypatch) -> Iterator[Callable[[int], Fleet]]:
    """Makes a fleet of so many devices; their loops are ended at the test's end."""
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    made: list[FleetDevice] = []

    def make(count: int, litelens: str | None = LITELENS) -> Fleet:
        ssh_server.trust()
        file = tmp_path / "fleet.toml"
        lines = ["[devices]"]
        for number in range(1, count + 1):
            device = ssh_server.device(f"d{number}")
            store, state = device.home / "store", device.home / "state"
            store.mkdir()
            state.mkdir()
            if litelens is not None:
                device.program("litelens", litelens)
            made.append(FleetDevice(device, store, state))
            lines.append(f'd{number} = {{address = "d{number}", store = "{store}", state = "{state}"}}')
        file.write_text("\n".join(lines) + "\n")
        return Fleet(file, tuple(made))

    yield make
    for device in made:
        device.stop()


@pytest.fixture
def variant(tiny, tmp_path) -> Callable[..., Path]:
    """Writes the tiny model under another version or name, with answers that are off, or with ballast; returns its path."""
    whole, content = read_model_file(tiny), tiny.read_bytes()
    own = content[: content.index(b"PK\x03\x04")]

    def write(
        version: str, *, name: str = "tiny", off: int = 0, ballast: bytes = b"", model: bytes = own
    ) -> Path:
        vectors = tuple(
            dataclasses.replace(vector, expected=(vector.expected[0] + off, *vector.expected[1:]))
            for vector in whole.manifest.selftest
        )
        manifest = dataclasses.replace(whole.manifest, name=name, version=version, selftest=vectors)
        path = tmp_path / "models" / version / f"{name}.tflite"
        path.parent.mkdir(parents=True, exist_ok=True)
        # After the flatbuffer, which says by itself where it ends.
        path.write_bytes(pack(model + ballast, whole.labels, manifest))
        return path

    return write
