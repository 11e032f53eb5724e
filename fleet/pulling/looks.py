"""What the pictures that came look like: by it those are known that show the same again."""

import base64
from collections import defaultdict

import numpy as np

from trainer.audit.duplicates import looking_like
from trainer.audit.findings import Inspection

_HASH_BYTES, _THUMBNAIL_BYTES = 8, 256
LOOK_BYTES = _HASH_BYTES + _THUMBNAIL_BYTES


class Looks:
    """The looks of pictures, in groups that are searched apart."""

    def __init__(self):
        self._groups: dict[tuple[str, ...], _Group] = defaultdict(_Group)

    def add(self, group: tuple[str, ...], file: str, look: str) -> None:
        """Keeps one.

        Args:
            group: Of whatever words.
            file: What `alike` answers.
            look: From `look_of`.
        """
        if look:
            self._groups[group].add(file, base64.b64decode(look))

    def alike(self, group: tuple[str, ...], inspection: Inspection) -> str | None:
        """The first of a group that looks the same as a picture, or None."""
        return self._groups[group].alike(inspection)


def look_of(inspection: Inspection) -> str:
    """A picture's pHash and thumbnail as text; "" if it is too small or too flat to be known by them."""
    if inspection.perceptual_hash is None:
        return ""
    content = inspection.perceptual_hash.to_bytes(_HASH_BYTES, "big") + inspection.thumbnail
    return base64.b64encode(content).decode()


class _Group:
    def __init__(self):
        self._files: list[str] = []
        self._hashes = bytearray()
        self._thumbnails = bytearray()

    def add(self, file: str, look: bytes) -> None:
        self._files.append(file)
        self._hashes += look[:_HASH_BYTES]
        self._thumbnails += look[_HASH_BYTES:]

    def alike(self, inspection: Inspection) -> str | None:
        hashes = np.frombuffer(self._hashes, ">u8").astype(np.uint64)
        thumbnails = np.frombuffer(self._thumbnails, np.uint8).reshape(-1, _THUMBNAIL_BYTES)
        same = looking_like(inspection, hashes, thumbnails)
        return self._files[same[0]] if same else None
