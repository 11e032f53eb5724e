"""The wheels of litelens and of all it needs, for another machine: brought along, that machine needs no network."""

import email
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

import edge_runtime
from edge_runtime.errors import LitelensError
from fleet.provisioning import pip_for_target
from trainer.sources.cache import cache_folder

PIP_S = 1800.0
"""For one run of pip: some 100 MB over a slow line."""
MACHINES = ("aarch64", "armv7l", "x86_64")
_PACKAGE = "litelens"
_SAID = 600
"""The characters of pip's complaint that an error shows, its last."""
_NO_NETWORK = (
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeout",
    "ReadTimeout",
    "ProxyError",
    "SSLError",
)
_NO_WHEEL = re.compile(r"No matching distribution found for ([^\s;(]+)")


class WheelsError(LitelensError):
    """The wheels for a machine cannot be brought together."""


@dataclass(frozen=True)
class System:
    """What decides on wheels: the machine, its Python and its C library."""

    machine: str
    """As `uname -m` says it."""
    python: str
    """Such as "3.11"."""
    glibc_minor: int
    """Of glibc 2.X: wheels that were built against a later one do not load."""
    constraints: tuple[str, ...]
    """What Debian's own modules, seen in a virtual environment with system site packages, need of ours."""
    provided: frozenset[str]
    """Packages without a wheel for this Python that Raspberry Pi OS has as Debian's."""

    def marker_variables(self) -> dict[str, str]:
        """By the names of https://packaging.python.org/en/latest/specifications/dependency-specifiers/."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }

    def pip_options(self) -> list[str]:
        """Has pip choose among wheels as the machine's own pip would (PEP 600), best first."""
        oldest = 5 if self.machine == "x86_64" else 17
        platforms = [f"manylinux_2_{minor}" for minor in range(self.glibc_minor, oldest - 1, -1)]
        platforms += ["manylinux2014", "linux"]
        return [
            "--only-binary=:all:",
            "--implementation=cp",
            f"--python-version={self.python}",
            f"--abi=cp{self.python.replace('.', '')}",
            *(f"--platform={platform}_{self.machine}" for platform in platforms),
        ]


# picamera2, simplejpeg and libcamera's Python module come from Debian, compiled against its NumPy: 1.24 in bookworm, 2.2 in
# trixie. The other NumPy's major version breaks them. lgpio 0.2.2.0 has wheels up to Python 3.12; python3-lgpio is Debian's.
_SYSTEMS = {
    "3.11": (36, ("numpy<2",), frozenset()),
    "3.13": (41, ("numpy>=2.1",), frozenset({"lgpio"})),
}


def collect_wheels(machine: str, python: str, folder: Path, extras: tuple[str, ...] = ()) -> list[Path]:
    """Puts the wheels of litelens, of its base install and of extras into folder; `pip --no-index` can install them.

    What was downloaded once is kept in the user's cache.

    Args:
        machine: One of MACHINES.
        python: "3.11" (Raspberry Pi OS bookworm) or "3.13" (trixie).
        folder: It is made.
        extras: Of litelens: "camera", "mqtt", "web", "gpio", "update".

    Raises:
        WheelsError: If there is no pip here, no network, no wheel of a package for that machine, or no room.
    """
    system = _system(machine, python)
    own = own_wheel()
    found = [own, *_dependencies(own, system, tuple(sorted(set(extras))))]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copyfile(wheel, folder / wheel.name)) for wheel in found]
    except OSError as problem:
        raise WheelsError(
            f"cannot copy wheels to {folder}: {problem}", "make room, or name another folder"
        ) from problem


def own_wheel() -> Path:
    """litelens' wheel, of the code that runs here; it lies in the user's cache.

    Raises:
        WheelsError: As `collect_wheels` does.
    """
    source = _source_tree()
    if source is None:
        version = importlib.metadata.version(_PACKAGE)
        options = ["download", "--no-deps", "--only-binary=:all:", f"{_PACKAGE}=={version}"]
        kept = _kept(f"{_PACKAGE}-{version}", lambda new: _pip([*options, f"--dest={new}"]))
    else:
        files = list(_files_of(source))
        kept = _kept(f"{_PACKAGE}-{_digest(source, files)}", lambda new: _build(source, files, new))
    return next(kept.glob("*.whl"))


def constraints(python: str) -> tuple[str, ...]:
    """What pip is to heed on a machine whose Python is "3.11" or "3.13"; nothing is known of another."""
    return _SYSTEMS[python][1] if python in _SYSTEMS else ()


def _system(machine: str, python: str) -> System:
    if machine not in MACHINES or python not in _SYSTEMS:
        raise WheelsError(
            f"no wheels are collected for Python {python} on {machine}, expected Python {' or '.join(_SYSTEMS)} "
            f"on {', '.join(MACHINES)}",
            "install on the machine itself, from its own network: pip install litelens",
        )
    return System(machine, python, *_SYSTEMS[python])


def _source_tree() -> Path | None:
    """The folder that litelens is imported or was installed from; None if it came as a wheel."""
    candidates = [Path(edge_runtime.__file__).parents[1]]
    try:
        origin = importlib.metadata.distribution(_PACKAGE).read_text("direct_url.json") or "{}"
    except importlib.metadata.PackageNotFoundError:
        origin = "{}"
    url = urlsplit(json.loads(origin).get("url", ""))
    if url.scheme == "file":
        candidates.append(Path(unquote(url.path)))
    for folder in candidates:
        with_name = folder / "pyproject.toml"
        if with_name.is_file() and _pyproject(folder)["project"]["name"] == _PACKAGE:
            return folder
    return None


def _pyproject(source: Path) -> dict:
    return tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))


def _files_of(source: Path) -> Iterator[Path]:
    """What the wheel is built from: a working tree holds gigabytes beside it."""
    pyproject = _pyproject(source)
    rooms = pyproject["tool"]["setuptools"]["packages"]["find"]["include"]
    names = ["pyproject.toml", pyproject["project"]["readme"], *pyproject["project"]["license-files"]]
    yield from (source / name for name in names)
    for room in sorted(source.iterdir()):
        if (room / "__init__.py").is_file() and any(fnmatch(room.name, pattern) for pattern in rooms):
            yield from (file for file in sorted(room.rglob("*")) if file.is_file() and file.suffix != ".pyc")


def _digest(source: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(source)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _build(source: Path, files: list[Path], new: Path) -> None:
    """From a copy: setuptools leaves folders behind, whose old content it packs the next time."""
    copy = new.parent / "source"
    for file in files:
        target = copy / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    _pip(["wheel", "--no-deps", f"--wheel-dir={new}", str(copy)])


def _dependencies(own: Path, system: System, extras: tuple[str, ...]) -> list[Path]:
    """The wheels that litelens' needs there, with those that they need."""
    metadata = _metadata(own)
    if unknown := set(extras) - set(metadata.get_all("Provides-Extra", [])):
        raise WheelsError(
            f"litelens has no extra {min(unknown)}",
            f"it has {', '.join(metadata.get_all('Provides-Extra', []))}",
        )
    needs = [need for need in _needs(metadata, system, extras) if need.name not in system.provided]
    wanted = [str(need) for need in needs] + list(system.constraints)
    name = "-".join((system.machine, f"python{system.python}", *extras))

    def download(new: Path) -> None:
        # Without their markers, which are read: pip would read them for this machine.
        requirements = [need.name + _extras(need) + str(need.specifier) for need in needs]
        options = [
            *system.pip_options(),
            f"--constraint={_constraints_file(system, new.parent)}",
            f"--dest={new}",
        ]
        _pip(["download", *options, *requirements], system)
        _check_complete([own, *new.iterdir()], system, extras)

    digest = hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:12]
    return sorted(_kept(f"{name}-{digest}", download).iterdir())


def _needs(metadata: email.message.Message, system: System, extras: Iterable[str]) -> list[Requirement]:
    """What a package requires on that system."""
    environments = [system.marker_variables() | {"extra": extra} for extra in extras or ("",)]
    needs = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    return [
        need for need in needs if not need.marker or any(need.marker.evaluate(one) for one in environments)
    ]


def _extras(need: Requirement) -> str:
    return f"[{','.join(sorted(need.extras))}]" if need.extras else ""


def _constraints_file(system: System, folder: Path) -> Path:
    file = folder / "constraints.txt"
    file.write_text("\n".join(system.constraints) + "\n")
    return file


def _check_complete(wheels: list[Path], system: System, extras: tuple[str, ...]) -> None:
    """Walks from litelens through what each wheel requires on that system: each must be there.

    Raises:
        WheelsError: If one is not. The markers are read here once more, as pip is no library whose inside is promised.
    """
    found = {}
    for wheel in wheels:
        name, version, *_ = parse_wheel_filename(wheel.name)
        found[name] = (version, _metadata(wheel))
    todo, done = [(_PACKAGE, frozenset(extras))], set()
    while todo:
        package = todo.pop()
        if package in done:
            continue
        done.add(package)
        name, wanted = package
        for need in _needs(found[name][1], system, wanted):
            needed = canonicalize_name(need.name)
            if needed in system.provided:
                continue
            if needed not in found or not need.specifier.contains(found[needed][0], prereleases=True):
                raise WheelsError(
                    f"{name} needs {need} on {system.machine}, and pip {importlib.metadata.version('pip')} did not "
                    "bring it",
                    f"update pip: {sys.executable} -m pip install --upgrade pip",
                )
            todo.append((needed, frozenset(need.extras)))


def _metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def _kept(name: str, make: Callable[[Path], None]) -> Path:
    """A folder of wheels in the user's cache; made now if it is not there, whole or not at all."""
    kept = cache_folder() / "wheels" / name
    if kept.is_dir():
        return kept
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".") as work:
            new = Path(work, "new")
            new.mkdir()
            make(new)
            for wheel in new.iterdir():
                with wheel.open("rb") as file:
                    os.fsync(file.fileno())
            if not kept.is_dir():  # another process may have been faster
                new.rename(kept)
    except OSError as problem:
        raise WheelsError(
            f"cannot keep wheels in {kept.parent}: {problem}", "make room, or set LITELENS_CACHE"
        ) from problem
    return kept


def _pip(arguments: list[str], system: System | None = None) -> None:
    """Runs pip, which then believes to be on that system, or knows where it is.

    Raises:
        WheelsError: If there is none, or it failed.
    """
    if importlib.util.find_spec("pip") is None:
        raise WheelsError(
            f"{sys.executable} has no pip", f"{sys.executable} -m ensurepip, or uv pip install pip"
        )
    markers = system.marker_variables() if system else {}
    command = [sys.executable, pip_for_target.__file__, json.dumps(markers), *arguments]
    try:
        # Not -I: PIP_... variables and pip's own settings say which index and which proxy.
        ended = subprocess.run(
            [*command, "--disable-pip-version-check", "--no-input"],
            capture_output=True,
            text=True,
            timeout=PIP_S,
        )
    except subprocess.TimeoutExpired as problem:
        raise WheelsError(
            f"pip took longer than {PIP_S:g} s", "try again: what arrived is in pip's cache"
        ) from problem
    if ended.returncode:
        raise _failure(ended.stderr, system)


def _failure(said: str, system: System | None) -> WheelsError:
    if any(word in said for word in _NO_NETWORK):
        return WheelsError(
            f"pip cannot reach its index: {said.strip()[-_SAID:]}",
            "connect this machine; what was collected once is in the cache and needs no network",
        )
    missing = _NO_WHEEL.search(said)
    if missing and system:
        there = f"Python {system.python} on {system.machine}"
        hint = "have the device install from its own network: --online"
        if system.machine == "armv7l":
            hint = f"use a 64-bit Raspberry Pi OS, or {hint}; there pip has piwheels"
        return WheelsError(
            f"there is no wheel of {missing[1]} for {there}, glibc 2.{system.glibc_minor}", hint
        )
    return WheelsError(f"pip failed: {said.strip()[-_SAID:]}", "mend it, and try again")
