"""A power cut on real file systems: an image is mounted, a process killed, and the image copied as it is at that moment.

What the kernel still holds in memory is not in the copy, as it would not be on the disk. The copy is mounted anew, which replays
its journal.
"""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from edge_runtime.store.store import Store

MIB = 1 << 20
# Name: how it is made, what has the program, size of the image, how it is mounted: not flushed every few seconds.
FILE_SYSTEMS = {
    "ext4": (["mkfs.ext4", "-q", "-F"], "e2fsprogs", 16 * MIB, "loop,commit=300"),
    "xfs": (["mkfs.xfs", "-q", "-f"], "xfsprogs", 320 * MIB, "loop,nouuid"),
    "btrfs": (["mkfs.btrfs", "-q", "-f"], "btrfs-progs", 128 * MIB, "loop,commit=300"),
}


class Images:
    """Images of a file system in a folder."""

    def __init__(self, folder: Path, name: str):
        self._folder, self._name = folder, name
        self._mounted: list[Path] = []

    def make(self) -> Path:
        command, package, size, _ = FILE_SYSTEMS[self._name]
        if shutil.which(command[0]) is None:
            pytest.skip(f"needs {command[0]} (Debian: {package})")
        image = self._folder / "image"
        with image.open("wb") as file:
            file.truncate(size)
        subprocess.run([*command, image], check=True, capture_output=True)
        return image

    def mount(self, image: Path) -> Path:
        where = self._folder / f"mounted-{image.name}"
        where.mkdir(exist_ok=True)
        options = FILE_SYSTEMS[self._name][-1]
        command = ["mount", "-t", self._name, "-o", options, image, where]
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode:
            pytest.skip(f"mounting is not permitted here: {ended.stderr.strip()}")
        self._mounted.append(where)
        return where

    def unmount(self, where: Path) -> None:
        subprocess.run(["umount", where], check=True)
        self._mounted.remove(where)

    def copy(self, image: Path, name: str) -> Path:
        """As the disk is now, whatever the kernel has not written yet."""
        copied = self._folder / name
        subprocess.run(["cp", "--sparse=always", image, copied], check=True)
        return copied

    def close(self) -> None:
        for where in list(self._mounted):
            self.unmount(where)


@pytest.fixture
def images(tmp_path):
    made = []

    def of(name: str) -> Images:
        made.append(Images(tmp_path, name))
        return made[-1]

    yield of
    for each in made:
        each.close()


POINTS = [
    *(("rename", n) for n in range(1, 6)),
    *(("fsync", n) for n in range(1, 16)),
    ("symlink", 1),
    ("symlink", 2),
]


SYSTEMS = [
    pytest.param("ext4", marks=pytest.mark.slow),
    pytest.param("xfs", marks=pytest.mark.soak),
    pytest.param("btrfs", marks=pytest.mark.soak),
]


@pytest.fixture
def begun(images, unchanged):
    """An image with a store in it, unmounted."""

    def make(name: str) -> tuple[Images, Path]:
        own = images(name)
        image = own.make()
        mounted = own.mount(image)
        (mounted / "store").mkdir()
        shutil.copytree(unchanged.folder, mounted / "store" / "tiny", symlinks=True)
        own.unmount(mounted)
        return own, image

    return make


@pytest.mark.parametrize("name", SYSTEMS)
def test_an_installation_that_a_power_cut_ends(tracer, begun, unchanged, model, links, clock, name):
    own, image = begun(name)
    cuts = 0
    for call, n in [*POINTS, (None, 0)]:
        disk = own.copy(image, "disk")
        mounted = own.mount(disk)
        options = ["-e", f"inject={call}:signal=KILL:when={n}"] if call else []
        status, seen = tracer.run("install", mounted / "store" / "tiny", model("4"), *options)
        left = own.mount(own.copy(disk, "left"))
        store, done = Store(left / "store" / "tiny", clock), status == 0
        cuts += not done
        assert status in (0, signal.SIGKILL), seen
        assert links(store)[0] in (("4",) if done else ("2", "4")), (call, n)
        clock.uptime_s = 101.0
        state = store.settle("after the cut")
        assert (state.current, state.previous) in ([("4", "2")] if done else [("2", "1"), ("4", "2")]), (
            call,
            n,
        )
        assert links(store) == (state.current, state.previous), (call, n)
        assert not [version for version in store.versions() if version.problem], (call, n)
        assert store.history().events[:5] == unchanged.history().events, (call, n)
        own.unmount(left)
        own.unmount(mounted)
    assert cuts >= 15


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_is_not_flushed_is_not_in_the_copy(tracer, begun, model, links, clock, name):
    """Else the test above would pass whatever the store does."""
    own, image = begun(name)
    mounted = own.mount(image)
    status, _ = tracer.run("without_fsync", mounted / "store" / "tiny", model("4"))
    left = own.mount(own.copy(image, "left"))
    assert status == 0 and links(Store(mounted / "store" / "tiny", clock)) == ("4", "2")
    assert links(Store(left / "store" / "tiny", clock)) == ("2", "1")
