"""A publisher that is killed at any instant leaves a repository that devices can read, and that can be published into."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_runtime.updating.fetching import Request, fetch
from fleet.repository.publishing import publish
from fleet.repository.repository import is_repository

INTERRUPTING = Path(__file__).with_name("interrupting.py")
ROOT = Path(__file__).parents[3]


@pytest.fixture
def interrupted(tmp_path, site):
    """Runs something and kills it at each step; returns the folders that it left, and that of a run to the end, last."""

    def run(what: str, model: Path) -> list[Path]:
        begin = site / "0"  # all copies lie below what the server serves
        begin.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, INTERRUPTING, what, site, model]
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=300,
            cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests/support'}"},
        )
        assert ended.returncode == 0, ended.stderr
        return sorted((path for path in site.iterdir() if path != begin), key=lambda path: int(path.name))

    return run


@pytest.fixture
def look(address, tmp_path):
    """What a device gets from one of the folders; `before` names the state of a device that has been there before."""

    def run(folder: Path, before: Path | None = None) -> str:
        own = tmp_path / "devices" / str(len(list(tmp_path.glob("devices/*"))))
        shutil.copytree(before, own) if before else own.mkdir(parents=True)
        root = tmp_path / "root.json"
        root.write_bytes((folder / "site" / "metadata" / "1.root.json").read_bytes())
        request = Request(
            f"{address}/{folder.name}/site", str(root), str(own), "tiny", "stable", "one", 0.0, ()
        )
        return fetch(request).version

    return run


@pytest.fixture
def begun(site, keyring, repack, now, tmp_path, look):
    """A repository with version 1, and the state of a device that has seen it."""
    keys = keyring(site / "0" / "keys")
    publish(repack(version="1"), site / "0" / "site", keys, now, channel="stable", buckets=10_000)
    assert look(site / "0") == "1"
    return tmp_path / "devices" / "0"


def again(folder: Path, keyring, model: Path) -> None:
    keys = keyring(folder / "keys")
    publish(model, folder / "site", keys, datetime.now(UTC), channel="stable", buckets=10_000)


def test_a_killed_publish(interrupted, look, begun, keyring, repack):
    model = repack(version="2")
    folders = interrupted("publish", model)
    seen = [look(folder, begun) for folder in folders]
    assert seen == sorted(seen), "the old one up to some instant, the new one from then on"
    assert set(seen) == {"1", "2"} and seen[-1] == "2"
    for folder in folders:
        again(folder, keyring, model)
        assert look(folder, begun) == look(folder) == "2"


@pytest.mark.slow
def test_a_killed_rotation(interrupted, look, begun, keyring, repack):
    folders = interrupted("rotate", repack(version="2"))
    assert {look(folder, begun) for folder in folders} == {look(folder) for folder in folders} == {"1"}
    assert (
        not (folders[0] / "site/metadata/2.root.json").exists()
        and (folders[-1] / "site/metadata/2.root.json").exists()
    )
    for folder in folders:
        again(folder, keyring, repack(version="2"))
        assert look(folder, begun) == look(folder) == "2"


@pytest.mark.slow
def test_a_killed_creation(interrupted, look, keyring, repack, site):
    folders = interrupted("create", repack(version="1"))
    made = [is_repository(folder / "site") for folder in folders]
    assert made == sorted(made) and made[-1] and not made[0]
    for folder in folders:
        again(folder, keyring, repack(version="1"))
        assert look(folder) == "1"


@pytest.mark.slow
def test_a_reader_in_the_midst_of_many_publishes(device, publish, keyring, repack, site, tmp_path):
    """Thirty publishes in another process, one after the other, while a device looks again and again."""
    publish("1")
    program = (
        "import sys; from pathlib import Path; from datetime import UTC, datetime\n"
        "from fleet.repository.keys import Keyring; from fleet.repository.publishing import publish\n"
        "for model in sys.argv[3:]:\n"
        "    keys = Keyring((Path(sys.argv[2]),), lambda path, new: 'correct horse battery')\n"
        "    publish(Path(model), Path(sys.argv[1]), keys, datetime.now(UTC), channel='stable', buckets=10_000)\n"
    )
    models = []
    for version in range(2, 32):
        models.append(tmp_path / f"{version}.tflite")
        models[-1].write_bytes(repack(version=str(version)).read_bytes())
    command = [sys.executable, "-c", program, site, keyring().folders[0], *models]
    seen = []
    with subprocess.Popen(command, cwd=ROOT, env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests/support'}"}) as publisher:
        while publisher.poll() is None:
            seen.append(int(device().version))
        assert publisher.returncode == 0
    seen.append(int(device().version))
    assert seen == sorted(seen) and seen[-1] == 31
    print(f"{len(seen)} looks saw {len(set(seen))} versions")
