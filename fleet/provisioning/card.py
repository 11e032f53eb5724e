"""The boot partition of a card with a fresh Raspberry Pi OS: what it is, and how files get onto it."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.whole_file import write_whole
from fleet.provisioning.cloud_init import MARK
from fleet.provisioning.errors import ProvisionError

BUNDLE = "litelens"
LOG = "litelens-first-boot.log"
_CHUNK_BYTES = 2**20
_SPARE_BYTES = 8 * 2**20
"""Stays free: the firmware's own files are replaced by upgrades."""
_FIRST_BOOT = "init=/usr/lib/raspberrypi-sys-mods/firstboot"
_RESIZE = "resize"
_RUN = (
    "systemd.run=/boot/firmware/firstrun.sh",
    "systemd.run_success_action=reboot",
    "systemd.unit=kernel-command-line.target",
)
_REGDOM = "cfg80211.ieee80211_regdom="
_WRITE_ANEW = "write the card anew with Raspberry Pi Imager, without its customisation, and run this again"
# What the files are that a fresh trixie has: comments, and these lines.
_FRESH_USER_DATA = re.compile(r"\s*(#.*|ssh_pwauth:.*|)")
_NETWORK_OF_SOMEBODY = re.compile(r"\s*(wifis|addresses|access-points|bonds|bridges|vlans)\s*:")


class CardError(ProvisionError):
    """A folder is no boot partition of a fresh Raspberry Pi OS, or has no room for what it is to take."""


@dataclass(frozen=True)
class Card:
    """A boot partition whose system was never started."""

    folder: Path
    release: str
    """Of Raspberry Pi OS: "bookworm", which reads custom.toml, or "trixie", which reads cloud-init's files."""
    machine: str
    """ "aarch64", or "armv7l": a 32-bit system."""

    @property
    def python(self) -> str:
        """The version that the release has."""
        return {"bookworm": "3.11", "trixie": "3.13"}[self.release]


def read_card(folder: Path) -> Card:
    """Finds out what lies on a card.

    Raises:
        CardError: If it is no boot partition of Raspberry Pi OS bookworm or trixie, was started before, or has a first boot
            that somebody else has prepared.
    """
    words = _command_line(folder)
    if (folder / LOG).exists() or not {_FIRST_BOOT, _RESIZE} & set(words):
        raise CardError(
            f"the first boot of the system in {folder} is over: nothing there would be read", _WRITE_ANEW
        )
    if (folder / "user-data").is_file() and (folder / "meta-data").is_file():
        release = "trixie"
    elif _FIRST_BOOT in words:
        release = "bookworm"
    else:
        raise CardError(
            f"the system in {folder} reads neither cloud-init's user-data nor custom.toml",
            "use Raspberry Pi OS trixie or bookworm; or set it up by hand, and then litelens provision user@host",
        )
    _check_nobodys(folder, release, words)
    return Card(folder, release, "armv7l" if (folder / "kernel7.img").exists() else "aarch64")


def write_card(card: Card, bundle: Path, files: dict[str, str], country: str = "") -> None:
    """Writes a bundle and the files that are read at the first boot; each is whole or absent, what starts it all is last.

    Args:
        card: Where.
        bundle: A folder, which becomes BUNDLE there.
        files: By name, the one that starts it the last.
        country: Of the Wi-Fi, for the kernel.

    Raises:
        CardError: If there is not enough room, or it cannot be written.
        WriteError: The same for a single file.
    """
    _check_room(card, bundle)
    new, target = card.folder / f"{BUNDLE}.new", card.folder / BUNDLE
    try:
        for old in (new, target):
            shutil.rmtree(old, ignore_errors=not old.exists())
        _copy(bundle, new)
        new.rename(target)
        _flush(card.folder)
    except OSError as problem:
        raise CardError(
            f"cannot write {card.folder}: {problem}",
            "see that it is mounted for writing, and has room: df -h",
        ) from problem
    last = list(files)[-1]
    for name, content in files.items():
        if name != last:
            write_whole(card.folder / name, content.encode())
    line = _command_line(card.folder)
    if card.release == "trixie":
        write_whole(card.folder / "cmdline.txt", _line(_with_country(line, country)))
        write_whole(card.folder / last, files[last].encode())
    else:
        write_whole(card.folder / last, files[last].encode())
        write_whole(
            card.folder / "cmdline.txt", _line([word for word in line if word not in _RUN] + list(_RUN))
        )


def _command_line(folder: Path) -> list[str]:
    """The words of cmdline.txt.

    Raises:
        CardError: If there is none, or this is no boot partition.
    """
    missing = [name for name in ("cmdline.txt", "config.txt") if not (folder / name).is_file()]
    if missing:
        raise CardError(
            f"{folder} is no boot partition of Raspberry Pi OS: it has no {missing[0]}",
            "name the folder where the card's small partition, bootfs, is mounted: lsblk -o NAME,LABEL,MOUNTPOINTS",
        )
    try:
        lines = (folder / "cmdline.txt").read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise CardError(f"cannot read {folder / 'cmdline.txt'}: {problem}", _WRITE_ANEW) from problem
    words = lines[0].split()
    if not words or any(line.strip() for line in lines[1:]):
        raise CardError(f"{folder / 'cmdline.txt'} is not one line, as the firmware reads it", _WRITE_ANEW)
    return words


def _check_nobodys(folder: Path, release: str, words: list[str]) -> None:
    """Refuses what somebody else has prepared: two masters at the first boot end in neither's device."""
    foreign = [name for name in ("userconf.txt", "wpa_supplicant.conf") if (folder / name).exists()]
    for name in ("custom.toml", "firstrun.sh"):
        if (folder / name).exists() and not _is_ours(folder / name):
            foreign.append(name)
    if any(word.startswith("systemd.run=") and word not in _RUN for word in words):
        foreign.append("cmdline.txt")
    if release == "trixie":
        user_data, network = folder / "user-data", folder / "network-config"
        if not _is_ours(user_data) and not all(map(_FRESH_USER_DATA.fullmatch, _lines(user_data))):
            foreign.append("user-data")
        if not _is_ours(network) and any(map(_NETWORK_OF_SOMEBODY.match, _lines(network))):
            foreign.append("network-config")
    if (folder / BUNDLE).exists() and not (folder / BUNDLE / "first-boot.sh").is_file():
        foreign.append(BUNDLE)
    if foreign:
        raise CardError(
            f"{folder / foreign[0]} was not written by litelens image, nor by who made the system",
            _WRITE_ANEW,
        )


def _is_ours(file: Path) -> bool:
    return any(line.startswith(MARK.rstrip(".")) for line in _lines(file)[:3])


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []


def _with_country(words: list[str], country: str) -> list[str]:
    words = [word for word in words if not word.startswith(_REGDOM)] if country else words
    return [*words, _REGDOM + country] if country else words


def _line(words: list[str]) -> bytes:
    return (" ".join(words) + "\n").encode()


def _check_room(card: Card, bundle: Path) -> None:
    needed = _size_bytes(bundle) + _SPARE_BYTES
    free = shutil.disk_usage(card.folder).free + sum(
        _size_bytes(card.folder / name) for name in (BUNDLE, f"{BUNDLE}.new")
    )
    if free < needed:
        raise CardError(
            f"{card.folder} has {free / 1e6:.0f} MB left, expected {needed / 1e6:.0f} MB",
            "remove what you put there; Raspberry Pi OS' own boot partition of 512 MB has the room",
        )


def _size_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _copy(source: Path, target: Path) -> None:
    """A folder with all in it, on the disk when this returns. FAT keeps no permissions, and takes none."""
    target.mkdir()
    for path in sorted(source.iterdir()):
        if path.is_dir():
            _copy(path, target / path.name)
            continue
        with path.open("rb") as content, (target / path.name).open("wb") as file:
            shutil.copyfileobj(content, file, _CHUNK_BYTES)
            file.flush()
            os.fsync(file.fileno())
    _flush(target)


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
