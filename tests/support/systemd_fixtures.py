"""A systemd of its own: booted in namespaces over a throw-away copy of this machine's files.

A test module takes it by `pytest_plugins = ["systemd_fixtures"]`.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A control group of its own, so that systemd takes it for the whole tree. The files are an overlay in memory;
# /proc/sys and /sys are read-only, and the capabilities that would reach the machine itself (its clock, its
# modules, its devices) are gone.
BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
cd "$1"
mkdir control upper work root
mount -t cgroup2 cgroup2 control
mkdir control/$0
echo 0 > control/$0/cgroup.procs
exec unshare --cgroup bash -ec "$INSIDE" "$@"
"""
INSIDE = """
cd "$0"
mount -t overlay overlay -o lowerdir=/,upperdir=$0/upper,workdir=$0/work root
cd root
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,ro,bind proc/sys
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup || true
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do : > dev/$name; mount --bind /dev/$name dev/$name; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs tmpfs dev/shm
mount -t tmpfs tmpfs run
: > etc/machine-id
for folder in "$@"; do mkdir -p ".$folder"; mount --bind "$folder" ".$folder"; done
mount --make-rshared .
exec setpriv --bounding-set -sys_time,-sys_boot,-sys_module,-mknod,-sys_rawio \\
    env -i container=litelens-tests PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    chroot . /lib/systemd/systemd --system --unit=basic.target --show-status=0
"""
SWEEP = """
mount --make-rprivate /
mount -t cgroup2 cgroup2 /mnt
for attempt in $(seq 50); do
    find "/mnt/$0" -depth -type d -exec rmdir {} + 2>/dev/null && exit 0
    sleep 0.1  # its processes are still dying
done
"""


class Booted:
    """A running systemd and a way in."""

    def __init__(self, init: int, python: Path):
        self.init = init
        self.python = python
        """Of a virtual environment that has litelens, this working tree's, without PYTHONPATH."""

    @property
    def files(self) -> Path:
        """Its /, seen from outside."""
        return Path(f"/proc/{self.init}/root")

    def command(self, *words: object, cwd: str = "/") -> list[str]:
        """A command line that runs a command as its root."""
        namespaces = ("--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--root")
        return ["nsenter", f"--target={self.init}", *namespaces, f"--wdns={cwd}", "--", *map(str, words)]

    def run(self, *words: object, cwd: str = "/", **options) -> subprocess.CompletedProcess:
        """Runs a command as its root; returns it when it has ended."""
        options = {"capture_output": True, "text": True, "timeout": 120} | options
        return subprocess.run(self.command(*words, cwd=cwd), cwd="/", **options)

    def litelens(self, *words: object, **options) -> subprocess.CompletedProcess:
        return self.run(self.python, "-I", "-m", "litelens", *words, **options)

    def show(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", unit, f"--property={name}", "--value").stdout.strip()

    def log(self, unit: str) -> str:
        return self.run("journalctl", f"--unit={unit}", "--output=cat", "--no-pager").stdout

    def wait_until(self, holds, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, "not within the time"
            time.sleep(0.1)


@pytest.fixture(scope="session")
def own_python(tmp_path_factory) -> Path:
    """The Python of a new virtual environment that finds this working tree and what this one has installed."""
    environment = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    site, own = (
        Path(prefix, "lib", f"python3.{sys.version_info.minor}", "site-packages")
        for prefix in (environment, sys.prefix)
    )
    (site / "litelens.pth").write_text(f"{ROOT}\n{own}\n")
    return environment / "bin" / "python"


@pytest.fixture(scope="session")
def booted(own_python, tmp_path_factory):
    """Boots a systemd of its own, as Debian 12 has it and Raspberry Pi OS bookworm."""
    seen = (ROOT, sys.prefix, sys.base_prefix, own_python.parents[1])
    with boot(tmp_path_factory.mktemp("systemd"), own_python, seen) as inside:
        yield inside


@contextmanager
def boot(folder: Path, python: Path, seen: Iterable[str | Path] = ()) -> Iterator[Booted]:
    """Boots one for the ``with`` block.

    Args:
        folder: An empty one, where its files are mounted.
        python: What Booted.python is to be.
        seen: Folders that are to be this machine's own in there.
    """
    for program, package in (
        ("/lib/systemd/systemd", "systemd"),
        ("unshare", "util-linux"),
        ("setpriv", "util-linux"),
    ):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: Debian's package {package}")
    group = f"litelens-tests-{os.getpid()}-{folder.name}"
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc", "--net"]
    process = subprocess.Popen(
        [*command, "bash", "-c", BOOT, group, folder, *{str(path) for path in seen}],
        env=os.environ | {"INSIDE": INSIDE},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield Booted(_init(process), python)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        subprocess.run(["unshare", "--mount", "bash", "-c", SWEEP, group])


def _init(process: subprocess.Popen) -> int:
    """The process that is 1 in there, once it has booted."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.skip(
                f"no systemd can be booted here: {process.stdout.read().strip() or process.returncode}"
            )
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if children and Path(f"/proc/{children[0]}/comm").read_text().strip() == "systemd":
            inside = Booted(int(children[0]), Path())
            if inside.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"):
                return inside.init
        time.sleep(0.1)
    pytest.fail("systemd did not boot within a minute")
