"""What an audit can find, and what it found."""

from dataclasses import dataclass, field
from pathlib import Path

UNREADABLE = "unreadable"
TRUNCATED = "truncated"
ZERO_BYTES = "zero-bytes"
BOMB = "bomb"
TOO_SMALL = "too-small"
WRONG_EXTENSION = "wrong-extension"
ANIMATED = "animated"
CMYK = "cmyk"
SIXTEEN_BIT = "16-bit"
EXIF_ROTATED = "exif-rotated"
HIDDEN = "hidden"
ABSENT = "absent"
LISTED_TWICE = "listed-twice"
NOT_LISTED = "not-listed"
TOO_DEEP = "too-deep"
EXACT_DUPLICATE = "exact-duplicate"
NEAR_DUPLICATE = "near-duplicate"
LEAKAGE = "leakage"
LABEL_CONFLICT = "label-conflict"
IMBALANCE = "imbalance"

KINDS = {
    # kind: what it means, one line
    UNREADABLE: "no picture that Pillow can read; skipped",
    TRUNCATED: "the file ends before the picture does; skipped",
    ZERO_BYTES: "an empty file; skipped",
    BOMB: "unpacks to more than is safe to hold; skipped",
    TOO_SMALL: "narrower or lower than 8 px; skipped",
    WRONG_EXTENSION: "the name says another format than the bytes; read by its bytes",
    ANIMATED: "more than one frame; the first is used",
    CMYK: "printing colours; converted to RGB",
    SIXTEEN_BIT: "16 bits a channel; reduced to 8",
    EXIF_ROTATED: "the camera was turned; turned back, here and on the device",
    HIDDEN: "a hidden file; not looked at",
    ABSENT: "labels.csv names it, but no such file is there",
    LISTED_TWICE: "labels.csv names it more than once; used once",
    NOT_LISTED: "a picture that labels.csv does not name; not used",
    TOO_DEEP: "a picture deeper than DIR/CLASS or DIR/SPLIT/CLASS; not used",
    EXACT_DUPLICATE: "the same picture twice in one class and split",
    NEAR_DUPLICATE: "looks the same as another of its class and split",
    LEAKAGE: "the same picture, or one that looks the same, in two splits: the model is judged on what it was trained on",
    LABEL_CONFLICT: "the same picture, or one that looks the same, in two classes",
    IMBALANCE: "a class with less than a tenth of the largest's pictures",
}
SKIPPED_KINDS = (UNREADABLE, TRUNCATED, ZERO_BYTES, BOMB, TOO_SMALL)
"""A file with one of these is not used."""


@dataclass(frozen=True)
class Finding:
    """One thing found."""

    kind: str
    """One of KINDS."""
    paths: tuple[Path, ...]
    """The file; of duplicates, leakage and label conflict all that look the same; of an imbalance none."""
    detail: str
    """A sentence with the values, for people."""


@dataclass(frozen=True)
class Inspection:
    """What one file is."""

    path: Path
    usable: bool
    findings: tuple[Finding, ...]
    sha256: str
    """Of the bytes; "" where they could not be read."""
    pixels_sha256: str
    """Of the decoded RGB pixels and their shape: the same picture under another format or name; "" if not usable."""
    perceptual_hash: int | None
    """64-bit pHash; None if not usable or too small to tell pictures apart."""
    size: tuple[int, int] | None
    """(height, width) as a person sees it; None if not usable."""
    thumbnail: bytes = b""
    """16 x 16 grey levels, where there is a perceptual_hash: confirms that pictures of close hashes are the same."""


@dataclass(frozen=True)
class Audit:
    """All that was found in a source."""

    files: int
    """How many were looked at, hidden ones included."""
    usable: int
    findings: tuple[Finding, ...]
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """{split: {label: usable pictures}}."""

    def of(self, kind: str) -> list[Finding]:
        """The findings of one kind."""
        return [finding for finding in self.findings if finding.kind == kind]
