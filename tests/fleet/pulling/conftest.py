"""Devices with pictures on them: some that a real `litelens run` saved, others made as it makes them."""

import hashlib
import io
import json
import shutil
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from ssh_server import Device, SshServer, wait_until

from litelens.cli import main

MODEL = {"name": "tiny", "version": "1", "labels": ["blue", "green", "red"]}
RUN = """
[hard_examples]
folder = "{state}/hard-examples"
every_s = 0.1
free_bytes = 0
"""


def picture(seed: int, size: tuple[int, int] = (120, 160), quality: int = 92) -> bytes:
    """A JPEG of its own for each seed: soft blobs, as unlike another as two photographs."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


@dataclass(frozen=True)
class Camera:
    """A device behind a real sshd, and what its loop keeps."""

    device: Device
    server: SshServer

    @property
    def name(self) -> str:
        return self.device.name

    @property
    def state(self) -> Path:
        return self.device.home / "state"

    def hard(
        self, second: int, content: bytes, scores: dict[str, float] | None = None, why: str = "uncertain"
    ) -> Path:
        """Puts a hard example there, of a second after noon; returns the picture."""
        scores = scores or {"blue": 0.25, "green": 0.35, "red": 0.4}
        described = {"why": why, "model": MODEL, "answer": "unknown", "scores": scores}
        stem = f"hard-examples/20260314T12{second // 60:02}{second % 60:02}.000Z-{why}"
        self.put(f"{stem}.json", json.dumps(described).encode())
        return self.put(f"{stem}.jpg", content)

    def saved(self, label: str, second: int, content: bytes) -> Path:
        """Puts a frame there that a person saved."""
        end = hashlib.sha256(content + label.encode()).hexdigest()[:8]
        return self.put(f"saved/{label}/20260314-13{second // 60:02}{second % 60:02}-000-{end}.jpg", content)

    def program(self, name: str, script: str) -> Path:
        """Puts one in the place of the system's, for commands over ssh too, which no login shell starts."""
        keys = self.server.folder / "authorized_keys"
        home = f'environment="HOME={self.device.home}"'
        path = f'environment="PATH={self.device.home}/bin:/usr/bin:/bin"'
        keys.write_text(keys.read_text().replace(f"{home} ", f"{home},{path} "))
        return self.device.program(name, script)

    def put(self, name: str, content: bytes) -> Path:
        path = self.state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


@pytest.fixture
def garden(device, ssh_server) -> Camera:
    return _camera(device, ssh_server)


@pytest.fixture
def shed(ssh_server: SshServer, garden) -> Camera:
    return _camera(ssh_server.device("shed"), ssh_server)


def _camera(device: Device, server: SshServer) -> Camera:
    camera = Camera(device, server)
    camera.state.mkdir()
    return camera


@pytest.fixture
def fleet(garden, tmp_path) -> Path:
    """A fleet file of garden and shed, each with its state."""
    folder = garden.device.home.parent
    lines = [
        f'{name} = {{address = "{name}", state = "{folder}/{name}/state"}}' for name in ("garden", "shed")
    ]
    path = tmp_path / "fleet.toml"
    path.write_text("[devices]\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def pull(fleet, tmp_path):
    """Runs `litelens pull` in this process, on garden or on the devices that are named, into tmp_path/pulled."""

    def run(devices: str = "garden", *arguments: str, exit_code: int = 0) -> Result:
        words = ["pull", devices, "--fleet", str(fleet), "--to", str(tmp_path / "pulled"), *arguments]
        ended = CliRunner().invoke(main, words)
        if ended.exception and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        assert ended.exit_code == exit_code, ended.stderr
        return ended

    return run


@pytest.fixture
def pulled(tmp_path) -> Path:
    return tmp_path / "pulled"


def names(folder: Path) -> list[str]:
    """The files in class folders: CLASS/NAME."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.parent != folder
    )


def lines(folder: Path) -> list[dict]:
    """The index."""
    return [json.loads(line) for line in (folder / "pulled.jsonl").read_text().splitlines()]


@pytest.fixture(scope="session")
def a_days_work(tiny, tmp_path_factory) -> Path:
    """The state folder of a real `litelens run`: hard examples, and two frames that were saved by the page's API."""
    folder = tmp_path_factory.mktemp("state")
    config = folder.parent / f"{folder.name}.toml"
    config.write_text(RUN.format(state=folder))
    command = [
        sys.executable,
        "-m",
        "litelens",
        "run",
        tiny,
        "--config",
        config,
        "--camera",
        "demo",
        "--quiet",
    ]
    command += ["--web", "127.0.0.1:0", "--web-pictures", folder / "saved", "--state", folder]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder)
    try:
        address = next(word for line in process.stderr for word in line.split() if word.startswith("http://"))
        address = address.rstrip("/.,")
        wait_until(lambda: len(list(folder.glob("hard-examples/*.jpg"))) >= 8, "hard examples", 240)
        for label in ("gear", "hex nut"):
            request = urllib.request.Request(
                f"{address}/api/save", json.dumps({"class": label}).encode(), {"Origin": address}
            )
            urllib.request.urlopen(request, timeout=60).read()
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    return folder


@pytest.fixture
def worked(garden, a_days_work) -> Camera:
    """Garden after that run."""
    shutil.copytree(a_days_work, garden.state, dirs_exist_ok=True)
    return garden
