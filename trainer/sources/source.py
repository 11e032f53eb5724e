"""What every way in comes to: picture files in one folder, each with a label and perhaps a split."""

from dataclasses import dataclass
from pathlib import Path

SPLIT_NAMES = ("train", "validation", "test")


@dataclass(frozen=True)
class SourceFile:
    """A file that somebody labelled; whether it is a readable picture, the audit finds out."""

    path: Path
    label: str
    split: str
    """"train", "validation", "test", or "" where the source is not split."""


@dataclass(frozen=True)
class Remark:
    """Something odd about the source itself that the audit reports: a line of a csv, a file that nothing names."""

    kind: str
    """One of trainer.audit.findings.KINDS."""
    path: Path
    detail: str


@dataclass(frozen=True)
class Source:
    """Labelled files, whatever they came from; what is no file by itself was unpacked into the cache first."""

    spec: str
    """As given to --data."""
    folder: Path
    """Every file lies below it; names in splits.json are relative to it."""
    files: tuple[SourceFile, ...]
    """Sorted by name, so that every machine sees the same order."""
    remarks: tuple[Remark, ...] = ()
