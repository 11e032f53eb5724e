"""What tells this device from others in a staged rollout. It is used here alone and never sent."""

import hashlib
import hmac
import secrets
from pathlib import Path

from edge_runtime.whole_file import write_whole

MACHINE_ID = Path("/etc/machine-id")
FILE_NAME = "device-id"
_APPLICATION = b"litelens staged rollout"


def device_id(folder: Path, machine_id: Path = MACHINE_ID) -> str:
    """The same on each call, another one on each device.

    The text of the file device-id in folder, where there is one. Else a hash of the machine's id: its own says, in
    man machine-id, that programs shall show nobody more than that. Where there is neither, a random one is kept in
    folder. Devices whose cards were copied, machine-id and all, count as one.

    Raises:
        WriteError: If folder takes no file.
    """
    kept = folder / FILE_NAME
    if text := _text(kept):
        return text
    # systemd writes "uninitialized" into images that are to be copied.
    if (text := _text(machine_id)) and text != "uninitialized":
        return hmac.new(text.encode(), _APPLICATION, hashlib.sha256).hexdigest()
    text = secrets.token_hex(16)
    write_whole(kept, f"{text}\n".encode())
    return text


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
