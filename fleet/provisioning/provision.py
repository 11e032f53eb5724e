"""From a machine that was never seen to a litelens device, over ssh; what a cut left, the same call goes on with."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge_runtime.store.history import printable
from fleet.connection import Connection, Ended
from fleet.files import upload
from fleet.provisioning.bundle import INSTALL, Bundle, Wanted, write_bundle
from fleet.provisioning.errors import ProvisionError
from fleet.provisioning.root_rights import Passwords, RootRights, root_rights
from fleet.runtime import ANSWER_S, VENV

FOLDER = ".cache/litelens/provision"
"""Below the user's HOME: what a cut left there, the next call goes on with."""
_LEAST_PYTHON = (3, 11)

# One line a fact, so that nothing of it is read as another's. A 64-bit kernel may run a 32-bit system.
_ASK = f"""
cd
echo "home=$PWD"
echo "kernel=$(uname -s)"
echo "machine=$(uname -m)"
echo "system=$(sed -n 's/^PRETTY_NAME=//p' /etc/os-release 2>/dev/null | tr -d '"')"
[ -d /run/systemd/system ] && echo systemd=yes
/usr/bin/python3 -c 'import sys; print("python=%d.%d" % sys.version_info[:2]); print("bits=%d" % (sys.maxsize.bit_length() + 1))'
/usr/bin/python3 -c 'import ensurepip, venv; ensurepip.version()' && echo venv=yes
[ -f {VENV}/complete ] && echo "environment=$(readlink {VENV})"
exit 0
"""
_STAGE = f"""
# $@: the paths that are to be there, below FOLDER; others, of an earlier call, go.
set -e
umask 077
cd
mkdir -p {FOLDER}/wheels
cd {FOLDER}
find . -type f | while read -r file; do
    for wanted; do
        case $file in "./$wanted" | "./$wanted".*.partial) continue 2 ;; esac
    done
    rm -f "$file"
done
"""


@dataclass(frozen=True)
class Machine:
    """What a machine says of itself."""

    home: str
    """The user's, an absolute path."""
    machine: str
    """Of its Python: "armv7l" on a 32-bit system, whatever its kernel says."""
    python: str
    """Of /usr/bin/python3, such as "3.11"."""
    system: str
    """As it calls itself."""
    environment: str
    """The one that `litelens` is in there, or ""."""


@dataclass
class Bundles:
    """The bundles for all machines of a call: made once for each machine and Python, when one of the kind was met."""

    folder: Path
    wanted: Wanted
    online: bool = False
    _made: dict[tuple[str, str], asyncio.Task[Bundle]] = field(default_factory=dict)

    async def of(self, machine: Machine) -> Bundle:
        """The one for a machine.

        Raises:
            LitelensError: As `write_bundle`.
        """
        kind = (machine.machine, machine.python)
        if kind not in self._made:
            folder = self.folder / f"{kind[0]}-{kind[1]}"
            making = asyncio.to_thread(write_bundle, folder, *kind, self.wanted, online=self.online)
            self._made[kind] = asyncio.create_task(making)
        return await asyncio.shield(self._made[kind])  # one device's end is not the others'


async def provision(
    connection: Connection,
    bundles: Bundles,
    passwords: Passwords,
    say: Callable[[str], None],
    *,
    dry_run: bool = False,
) -> None:
    """Makes a machine a litelens device; one that is one already is left as it is.

    Args:
        connection: To the machine.
        bundles: What is brought there.
        passwords: For sudo, where it wants one.
        say: Told in a line what is done, as it is done.
        dry_run: Only says what would be done.

    Raises:
        ProvisionError: If the machine cannot be one, or install.sh there failed.
        RootRightsMissing: If nobody may be root there.
        WheelsError: If there are no wheels for it.
        FleetError: As `Connection.check` and `upload`.
    """
    machine = await ask_machine(connection)
    rights = await root_rights(connection, passwords)
    bundle = await bundles.of(machine)
    there = machine.environment == bundle.environment
    files = bundle.files(with_wheels=not there)
    size_mb = sum(path.stat().st_size for _, path in files) / 1e6
    say(
        f"{machine.system}, {machine.machine}, Python {machine.python}; {'has' if there else 'gets'} {bundle.environment}"
    )
    if dry_run:
        say(f"would bring {len(files)} files, {size_mb:.1f} MB, and run {INSTALL} as root")
        return
    if not there:
        say(f"bringing {size_mb:.1f} MB")
    folder = f"{machine.home}/{FOLDER}"
    await connection.check(("sh", "-c", _STAGE, "sh", *(name for name, _ in files)), timeout_s=ANSWER_S)
    for name, path in files:
        await upload(connection, path, f"{folder}/{name}")
    await _install(rights, folder, say)
    await connection.run(("rm", "-rf", folder), timeout_s=ANSWER_S)


async def ask_machine(connection: Connection) -> Machine:
    """What a machine is, if litelens can run there.

    Raises:
        ProvisionError: If it cannot.
    """
    ended = await connection.run(("sh", "-c", _ASK), timeout_s=ANSWER_S)
    lines = ended.stdout.decode(errors="replace").splitlines()
    facts = {key: printable(value) for key, _, value in (line.partition("=") for line in lines)}
    address, system = connection.address, facts.get("system") or facts.get("kernel", "nothing that is known")
    if facts.get("kernel") != "Linux" or "systemd" not in facts:
        raise ProvisionError(
            f"{address} runs {system} and was not started by systemd",
            "use Raspberry Pi OS or another Debian; elsewhere install with pip, and start `litelens run` yourself",
        )
    python = facts.get("python", "")
    python = python if re.fullmatch(r"\d{1,3}\.\d{1,3}", python, re.ASCII) else ""
    if not python or tuple(map(int, python.split("."))) < _LEAST_PYTHON:
        raise ProvisionError(
            f"{address} runs {system} with {f'Python {python}' if python else 'no /usr/bin/python3'}, expected Python 3.11 "
            "or later",
            "use Raspberry Pi OS bookworm or later"
            if python
            else f"{address.ssh('sudo', 'apt-get', 'install', '--yes', 'python3-venv')}",
        )
    if "venv" not in facts:
        raise ProvisionError(
            f"{address} has a Python without venv and ensurepip",
            address.ssh("sudo", "apt-get", "install", "--yes", "python3-venv"),
        )
    machine = facts.get("machine", "")
    if machine == "aarch64" and facts.get("bits") == "32":
        machine = "armv7l"
    return Machine(facts.get("home", ""), machine, python, system, facts.get("environment", ""))


async def _install(rights: RootRights, folder: str, say: Callable[[str], None]) -> None:
    """Runs install.sh, whose lines are shown as they come."""
    said, complained = _Lines(lambda line: say(printable(line))), []
    complaints = _Lines(complained.append)
    ended = await rights.run(("sh", f"{folder}/{INSTALL}"), said.take, complaints.take)
    said.end()
    complaints.end()
    if ended.status:
        raise _failure(rights.connection, ended, complained)


def _failure(connection: Connection, ended: Ended, complained: list[str]) -> ProvisionError:
    told = {key: printable(text) for key, _, text in (line.partition(": ") for line in complained)}
    last = printable(complained[-1]) if complained else f"status {ended.status}"
    return ProvisionError(
        f"{connection.address}: {told.get('error', last)}",
        f"there: {told['hint']}"
        if "hint" in told
        else f"look there: {connection.address.ssh('df', '-h')}; then run the same command again",
    )


class _Lines:
    """Cuts what comes in pieces of any size into lines."""

    def __init__(self, take: Callable[[str], object]):
        self._take, self._rest = take, b""

    def take(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._take(line.decode(errors="replace"))

    def end(self) -> None:
        """The last line, where it has no end."""
        if self._rest:
            self._take(self._rest.decode(errors="replace"))
            self._rest = b""
