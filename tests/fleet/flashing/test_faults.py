"""Faults in every phase of `litelens flash`, with a real sshd, a real litelens and a running loop on the device.

Version 1 answers and runs. Version 2 is flashed, and the fault happens. Then, every time: what `current` leads to passes its
self-test, the loop runs it, and the same command again ends well: with version 2 proven and running, and nothing left
of uploads; or, where version 2 is what is wrong, with version 1 as before, and a version 3 that is taken.

    pytest -m soak -rP tests/fleet/flashing/test_faults.py

prints a line a fault.
"""

import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from faulty_device import (
    CHECK,
    INSTALL,
    INSTALLED,
    LIMIT_S,
    UPLOAD,
    WATCH,
    FaultyDevice,
    Flashed,
)
from network import DEVICE_ADDRESS, Network
from ssh_server import make_key, wait_until

pytest_plugins = ["ssh_fixtures", "fleet_fixtures"]
pytestmark = pytest.mark.soak

BALLAST = random.Random(0).randbytes(2_000_000)


@dataclass(frozen=True)
class World:
    """What a fault happens in."""

    device: FaultyDevice
    model: Path
    """Version 2."""
    variant: Callable[..., Path]
    network: Network | None
    tmpfs: Callable[[str], Path]


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong."""

    name: str
    play: Callable[[World], Flashed]
    """Flashes version 2, and has it go wrong."""
    ends: str
    """Outcome and phase of that flash."""
    saying: str
    """Part of what it says."""
    answers: str
    """The version that answers then."""
    network: bool
    """Whether there is a network between workstation and device."""
    bad: bool
    """Whether version 2 is what is wrong."""


FAULTS: list[Fault] = []


def fault(
    name: str, ends: str, saying: str = "", *, answers: str = "1", network: bool = False, bad: bool = False
) -> Callable:
    """Adds the function below to the table."""

    def add(play: Callable) -> Callable:
        FAULTS.append(Fault(name, play, ends, saying, answers, network, bad))
        return play

    return add


def flashed_until(world: World, where: str, happens: Callable[[], None]) -> Flashed:
    """Flashes it, has something happen when the device comes to a place, and lets the device go on."""
    world.device.hold(where)
    flashing = world.device.flashing(world.model)
    world.device.held(where)
    happens()
    world.device.release(where)
    return flashing.ends()


def trial_ends(world: World) -> None:
    """Waits until the device has ended a trial, without a workstation."""
    wait_until(lambda: world.device.store.state().trial is None, "the trial ends", LIMIT_S)


# The connection is cut: sshd's processes for it die.


@fault("connection cut in connect", "failed in connect", "Connection reset by peer")
def _(world):
    world.device.server.hang()
    flashing = world.device.flashing(world.model)
    wait_until(lambda: connected(world.device.server.port), "it has connected", LIMIT_S)
    world.device.server.end()
    world.device.server.begin()
    return flashing.ends()


def connected(port: int) -> bool:
    """Whether a TCP connection to a port of this machine is there, accepted or not."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(f":{port:04X}" in line.split()[1] and line.split()[3] == "01" for line in lines)


for where, phase in ((CHECK, "check"), (UPLOAD, "upload"), (INSTALL, "install")):

    @fault(f"connection cut in {phase}", f"failed in {phase}", "was cut")
    def _(world, where=where):
        return flashed_until(world, where, world.device.server.cut)


@fault("connection cut in install, after the switch", "failed in install", "was cut", answers="2")
def _(world):
    ended = flashed_until(world, INSTALLED, world.device.server.cut)
    trial_ends(world)
    return ended


@fault("connection cut in watch", "flashed in watch", answers="2")
def _(world):
    return flashed_until(world, WATCH, world.device.server.cut)


# The network falls silent: packets vanish, and nobody is told. It speaks again once the command has given up.


@contextmanager
def silence(world: World) -> Iterator[None]:
    world.network.silence()
    yield
    world.network.speak()


@fault("silent network in connect", "failed in connect", "no login at", network=True)
def _(world):
    with silence(world):
        return world.device.flash(world.model)


for where, phase in ((CHECK, "check"), (UPLOAD, "upload")):

    @fault(f"silent network in {phase}", f"failed in {phase}", "was cut", network=True)
    def _(world, where=where):
        world.device.hold(where)
        flashing = world.device.flashing(world.model)
        world.device.held(where)
        with silence(world):
            ended = flashing.ends()
        world.device.release(where)
        return ended


@fault("silent network in install", "failed in install", "was cut", answers="2", network=True)
def _(world):
    """The device does not know, ends what it has begun, and proves the version by itself."""
    world.device.hold(INSTALL)
    flashing = world.device.flashing(world.model)
    world.device.held(INSTALL)
    with silence(world):
        world.device.release(INSTALL)
        ended = flashing.ends()
        wait_until(lambda: world.device.store.state().current == "2", "it switches", LIMIT_S)
        trial_ends(world)
    return ended


@fault("silent network in watch, for 30 s", "flashed in watch", answers="2", network=True)
def _(world):
    world.device.hold(WATCH)
    flashing = world.device.flashing(world.model)
    world.device.held(WATCH)
    with silence(world):
        world.device.release(WATCH)
        time.sleep(30)  # 15 s, and it counts as cut
    return flashing.ends()


# The power is cut: all that runs on the device is ended by kill -9, sshd and the loop too, and it boots again.


def power_cut(world: World) -> None:
    world.device.lose_power()
    world.device.have_power()


for where, phase in ((CHECK, "check"), (UPLOAD, "upload"), (INSTALL, "install, before it has begun")):

    @fault(f"power cut in {phase}", f"failed in {phase.partition(',')[0]}", "was cut")
    def _(world, where=where):
        return flashed_until(world, where, lambda: power_cut(world))


@fault("power cut in install, in the self-test", "failed in install", "was cut")
def _(world):
    flashing = world.device.flashing(world.model)
    wait_until(lambda: list(world.device.store.folder.glob(".incoming.*")), "it has the file", LIMIT_S)
    power_cut(world)
    return flashing.ends()


@fault("power cut in install, after the switch", "failed in install", "was cut", answers="2")
def _(world):
    ended = flashed_until(world, INSTALLED, lambda: power_cut(world))
    trial_ends(world)
    return ended


@fault("power cut in the trial", "flashed in watch", answers="2")
def _(world):
    return flashed_until(world, WATCH, lambda: power_cut(world))


@fault("power cut again and again in the trial", "failed in watch", "started 3 times without being healthy")
def _(world):
    """Each boot is cut as soon as the start has been counted; the fourth goes back."""
    flashing = world.device.flashing(world.model, trial_s=20)
    flashing.until("watch")
    for starts in (1, 2, 3):
        world.device.lose_power()
        world.device.server.begin()
        world.device.begin()
        wait_until(
            lambda starts=starts: world.device.store.state().trial.starts == starts,
            f"start {starts}",
            LIMIT_S,
        )
    power_cut(world)
    return flashing.ends()


# Disks.


def fill(disk: Path) -> Path:
    """Leaves no byte free; returns what is in the way."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    return ballast


def on_a_small_disk(world: World, folder: Path) -> Path:
    """Has a folder of the device lie on a disk of its own; returns that."""
    disk = world.tmpfs("size=16m")
    if folder.exists():
        shutil.move(folder, disk / folder.name)
    else:
        (disk / folder.name).mkdir()
    folder.symlink_to(disk / folder.name)
    return disk


@fault("disk that fills in upload", "failed in upload", "has no room left")
def _(world):
    disk = on_a_small_disk(world, world.device.home / ".cache")
    ended = flashed_until(world, UPLOAD, lambda: fill(disk))
    assert world.device.left() == []
    (disk / "ballast").unlink()
    return ended


@fault("disk that fills in install", "failed in install", "No space left on device")
def _(world):
    disk = on_a_small_disk(world, world.device.device.store_folder)
    ended = flashed_until(world, INSTALL, lambda: fill(disk))
    (disk / "ballast").unlink()
    return ended


# The wrong machine, or its clock.


@fault("wrong host key", "failed in connect", "does not show the host key it had")
def _(world):
    server = world.device.server
    make_key(server.folder / "other_key", "ed25519")
    other = (server.folder / "other_key.pub").read_text()
    server.known_hosts.write_text(f"{server.known_as} {other}")
    ended = world.device.flash(world.model)
    assert server.known_hosts.read_text() == f"{server.known_as} {other}"
    server.trust()
    return ended


for name, when in (("a year behind", "1 year ago"), ("a year ahead", "1 year")):

    @fault(f"clock that is {name}", "flashed in watch", answers="2")
    def _(world, when=when):
        world.device.lose_power()
        world.device.set_clock(when)
        world.device.have_power()
        ended = world.device.flash(world.model)
        said = world.device.store.history().events[-1].when
        assert abs(int(said[:4]) - time.gmtime().tm_year) == 1, (said, ended)
        return ended


# The model.


@fault("self-test that fails", "failed in install", "differs by 100 output steps", bad=True)
def _(world):
    return world.device.flash(world.variant("2", off=100))


@fault("model slower than the budget", "failed in install", "expected at most 0.001 ms", bad=True)
def _(world):
    return world.device.flash(world.model, "--max-latency-ms", 0.001)


# Ends the loop as soon as it has loaded the version, or has counted the start that would load it.
CRASHES = """
(while kill -0 $loop; do
    if grep -qE 'tiny 2 (answers now|is on trial, start)' "$log"; then kill -9 $loop; fi
    sleep 0.1
done) 2>/dev/null &
"""


@fault("crash loop after the switch", "failed in watch", "started 3 times without being healthy", bad=True)
def _(world):
    world.device.lose_power()
    world.device.server.begin()
    world.device.boot(beside=CRASHES)
    return world.device.flash(world.model, trial_s=600)


# Two workstations.


@fault("two flashes at once, of two versions", "failed in install", "is on trial for", answers="3")
def _(world):
    """The second is at the device's store first; the first comes there while that one's version is on trial."""
    world.device.hold(INSTALL)
    first = world.device.flashing(world.model)
    world.device.held(INSTALL)
    second = world.device.flashing(world.variant("3"), trial_s=600).until("watch")
    world.device.release(INSTALL)
    ended = first.ends()
    world.device.store.confirm("3", by="test")
    assert second.ends().code == 0
    return ended


@fault("two flashes at once, of the same version", "already in install", answers="2")
def _(world):
    world.device.hold(INSTALL)
    first = world.device.flashing(world.model)
    world.device.held(INSTALL)
    assert world.device.flash(world.model).code == 0
    world.device.release(INSTALL)
    return first.ends()


@pytest.fixture
def ssh_server(start_sshd, request):
    """On loopback; or at the far end of a network, where the fault needs one."""
    options = {}
    if request.node.callspec.params["fault"].network:
        options = {"enter": request.getfixturevalue("network").device, "listen": DEVICE_ADDRESS}
    return start_sshd(**options)


@pytest.fixture
def network() -> Iterator[Network]:
    """A network of its own."""
    if shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin") is None:
        pytest.skip("needs ip (Debian: iproute2)")
    try:
        made = Network()
    except subprocess.CalledProcessError as problem:
        pytest.skip(f"no network namespaces here: {problem.stderr}")
    yield made
    made.close()


@pytest.fixture
def faulty(fleet_of, ssh_server, variant, tmpfs) -> Iterator[Callable[..., FaultyDevice]]:
    """Makes the device d1, on which version 1 answers and runs; given how a command line begins on the workstation.

    It ends before a memory disk is taken away that it writes to.
    """
    made = []

    def make(by: tuple[str, ...] = ()) -> FaultyDevice:
        fleet = fleet_of(1)
        made.append(FaultyDevice(fleet[0], fleet, ssh_server, by))
        fleet[0].install(variant("1"))
        return made[-1].boot()

    yield make
    for device in made:
        device.end()


@pytest.fixture
def world(fault, faulty, variant, tmpfs, request) -> World:
    network = request.getfixturevalue("network") if fault.network else None
    device = faulty(network.workstation if network else ())
    return World(device, variant("2", ballast=BALLAST), variant, network, tmpfs)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_leaves_the_device_whole(fault, world):
    device = world.device
    ended = fault.play(world)
    assert f"{ended.outcome} in {ended.phase}" == fault.ends, ended
    assert (ended.code == 0) == (ended.outcome in ("flashed", "already"))
    assert fault.saying in ended.note, ended.note
    assert device.answers() == fault.answers
    device.runs(fault.answers)
    again = device.again()
    assert again.code == (3 if fault.bad else 0), again
    version = "1" if fault.bad else "2"
    assert device.answers() == version
    if fault.bad:
        version = "3"
        assert device.flash(world.variant(version)).code == 0
        assert device.answers() == version
    device.runs(version)
    assert device.store.state().trial is None and device.left() == []
    print(
        f"{fault.name!r} -> {ended} -> {fault.answers} answers -> again: {again.outcome} in {again.phase} -> {version} runs"
    )
