"""The folder that makes a machine a litelens device: install.sh, run there by root, and all that it installs.

It goes there over ssh, or on an SD card's boot partition: FAT, so no links, no permissions, and no two names that differ
only in their case.
"""

import email
import hashlib
import json
import shutil
import zipfile
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from edge_runtime.capture.open_camera import WORDS, is_live
from edge_runtime.capture.redaction import redact
from edge_runtime.errors import ConfigError, WriteError
from edge_runtime.live.settings import load_settings
from edge_runtime.model_file import read_model_file
from edge_runtime.store.names import check_name
from fleet.provisioning.wheels import collect_wheels, constraints, own_wheel

INSTALL = "install.sh"
WHEELS = "wheels"
ETC = "/etc/litelens"
"""Where install.sh puts run.toml and root.json."""
EXTRAS = ("mqtt", "update", "web")
"""Of litelens, on every device: plain Python of a few MB, so that a sink or the live page can be added later."""
ONLINE_KIB = 600 * 1024
"""What an installation from the index may take there; what wheels take is known."""
_VENV_KIB = 60 * 1024
"""An environment with pip, and what pip needs while it works."""
_COMPILED = 1.4
"""Files with their bytecode, against the files alone."""


@dataclass(frozen=True)
class Wanted:
    """What a device is to do once it has litelens."""

    model: Path | None = None
    """Its first model; None: the store stays empty."""
    camera: str | None = None
    """As `litelens run --camera`; None: there is no service."""
    web: str | None = None
    """HOST:PORT of the live page; None: there is none."""
    follow: str | None = None
    """The signed repository that new versions come from; None: none."""
    root: Path | None = None
    """The root metadata that it is trusted by."""

    def __post_init__(self):
        """Checks what a device would refuse.

        Raises:
            ConfigError: If there is a camera without a model, or a setting of the service without a camera, or a value
                that `litelens run` does not take.
            UpdateError: If the address to follow is none.
        """
        if self.camera is not None and self.model is None:
            raise ConfigError("a camera without a model is no service", "name the model file, too")
        for name in ("web", "follow"):
            if getattr(self, name) is not None and self.camera is None:
                raise ConfigError(
                    f"--{name} is for the service, and there is none without a camera", "give --camera"
                )
        if (self.follow is None) != (self.root is None):
            raise ConfigError(
                "--follow and --root belong together: whom the device trusts is what it brings along",
                "--root metadata/1.root.json of the repository",
            )
        if self.camera is not None:
            _check_camera(self.camera)
            load_settings(None, self._run())

    @property
    def extras(self) -> tuple[str, ...]:
        """Of litelens. A GStreamer pipeline needs Debian's OpenCV, which PyPI's would hide."""
        own = self.camera is None or self.camera == "demo" or self.camera.startswith(("picamera", "gst:"))
        return EXTRAS if own else (*EXTRAS, "camera")

    def run_toml(self) -> str:
        """The config of `litelens run`: what was asked for, and what `litelens pull` and `drift` bring back later."""
        tables = self._run()
        parts = [_lines({name: value for name, value in tables.items() if not isinstance(value, dict)})]
        parts += [f"\n[{name}]\n{_lines(table)}" for name, table in tables.items() if isinstance(table, dict)]
        return "# Written by litelens provision; changes stay until it brings other settings.\n" + "".join(
            parts
        )

    def _run(self) -> dict[str, Any]:
        tables: dict[str, Any] = {
            "camera": self.camera,
            "history": {},
            "hard_examples": {"folder": "hard-examples"},
        }
        if self.web is not None:
            tables["web"] = {"address": self.web, "pictures": "saved"}
        if self.follow is not None:
            tables["follow"] = {"address": self.follow, "root": f"{ETC}/root.json"}
        return tables


@dataclass(frozen=True)
class Bundle:
    """A folder that `write_bundle` has written."""

    folder: Path
    environment: str
    """The name of the virtual environment that it makes, below /opt/litelens: of litelens' version and of every wheel's
    content, so that a device that has it needs no wheels."""

    def files(self, with_wheels: bool = True) -> list[tuple[str, Path]]:
        """Path below the folder, and the file; the wheels first, which take long, and install.sh last."""
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        paths.sort(key=lambda path: (path.parent == self.folder, path.name == INSTALL, path.name))
        named = [(path.relative_to(self.folder).as_posix(), path) for path in paths]
        return [(name, path) for name, path in named if with_wheels or not name.startswith(f"{WHEELS}/")]


def write_bundle(
    folder: Path, machine: str, python: str, wanted: Wanted, *, user: str = "", online: bool = False
) -> Bundle:
    """Writes all that a device needs, into a folder that is made and is to be empty.

    Args:
        folder: Its name there does not matter: install.sh looks beside itself.
        machine: The device's, as `fleet.provisioning.wheels` knows it.
        python: Its version, such as "3.11".
        wanted: What the device is to do.
        user: Whose device it is, as whom the service runs; "": who comes there by sudo, else a user that systemd makes.
        online: Brings litelens alone; the device gets the rest from its index.

    Raises:
        WheelsError: If the wheels cannot be brought together.
        ModelFileError: If the model is none.
        VersionRefused: If its name is no name in a store.
        WriteError: If the folder cannot be written.
    """
    name = "" if wanted.model is None else check_name("model", read_model_file(wanted.model).manifest.name)
    wheels = folder / WHEELS
    try:
        wheels.mkdir(parents=True)
        if online:
            own = own_wheel()
            found = [Path(shutil.copyfile(own, wheels / own.name))]
            requirements = [*needs_of(own, machine, wanted.extras), *constraints(python)]
        else:
            found = collect_wheels(machine, python, wheels, wanted.extras)
            requirements = sorted(map(_pin, found))
        version = next(_pin(wheel) for wheel in found if wheel.name.startswith("litelens-")).partition("==")[
            2
        ]
        environment = f"venv-{version}-{_digest(found, requirements)}"
        settings = {
            "version": version,
            "environment": environment,
            "machine": machine,
            "python": python,
            "online": "yes" if online else "no",
            "need_kib": ONLINE_KIB if online else _VENV_KIB + _unpacked_kib(found),
            "user": user,
            "model": name,
            "service": "yes" if wanted.camera is not None else "",
        }
        (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements))
        (folder / "settings").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        if wanted.model is not None:
            shutil.copyfile(wanted.model, folder / f"{name}.tflite")
        if wanted.camera is not None:
            (folder / "run.toml").write_text(wanted.run_toml(), encoding="utf-8")
        if wanted.root is not None:
            shutil.copyfile(wanted.root, folder / "root.json")
        shutil.copyfile(Path(__file__).with_name(INSTALL), folder / INSTALL)
    except OSError as problem:
        raise WriteError(
            f"cannot write {folder}: {problem}", "make room, or name another folder"
        ) from problem
    return Bundle(folder, environment)


def _check_camera(camera: str) -> None:
    """Raises ConfigError for what is no live camera and no file that a device could have; SourceError for an unknown scheme."""
    if is_live(camera) or camera.startswith("/"):
        return
    near = get_close_matches(camera.lower(), WORDS, n=1)
    raise ConfigError(
        f"there is no camera {redact(camera)}",
        f"did you mean {near[0]}?"
        if near
        else "picamera, 0 (/dev/video0), rtsp://..., or a file's absolute path there",
    )


def _pin(wheel: Path) -> str:
    """NAME==VERSION of a wheel's file name (PEP 427)."""
    name, version, *_ = wheel.name.split("-")
    return f"{name}=={version}"


def needs_of(wheel: Path, machine: str, extras: tuple[str, ...]) -> list[str]:
    """What litelens' wheel requires on a machine, without markers: pip on a 32-bit system under a 64-bit kernel, which is
    Raspberry Pi OS' own, takes the machine for an aarch64, for which other packages are right."""
    with zipfile.ZipFile(wheel) as archive:
        path = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(path))
    environments = [{"platform_machine": machine, "extra": extra} for extra in ("", *extras)]
    needs = []
    for need in map(Requirement, metadata.get_all("Requires-Dist", [])):
        if not need.marker or any(need.marker.evaluate(environment) for environment in environments):
            need.marker = None
            needs.append(str(need))
    return needs


def _digest(wheels: list[Path], requirements: list[str]) -> str:
    """Of what is in the wheels: each has a list of its files with their sha256, and the times in it do not matter."""
    digest = hashlib.sha256("\n".join(requirements).encode())
    for wheel in sorted(wheels):
        with zipfile.ZipFile(wheel) as archive:
            record = next(name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
            digest.update(archive.read(record))
    return digest.hexdigest()[:10]


def _unpacked_kib(wheels: list[Path]) -> int:
    size_bytes = 0
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            size_bytes += sum(entry.file_size for entry in archive.infolist())
    return int(size_bytes * _COMPILED) // 1024


def _lines(values: dict[str, str]) -> str:
    # A text in JSON is one in TOML; DEL alone TOML wants escaped.
    return "".join(
        f"{name} = {json.dumps(value, ensure_ascii=False)}\n".replace("\x7f", "\\u007f")
        for name, value in values.items()
    )
