"""Accounts for every file."""

from dataclasses import dataclass

from trainer.audit.findings import HIDDEN, NOT_LISTED, SKIPPED_KINDS, TOO_DEEP, Audit


@dataclass(frozen=True)
class Totals:
    """How many files were there, and what became of them: files = used + skipped + hidden + left_out."""

    files: int
    used: int
    skipped: int
    """No usable picture."""
    hidden: int
    left_out: int
    """Not listed in labels.csv, or too deep."""

    @classmethod
    def of(cls, audit: Audit) -> "Totals":
        """Counts an audit's findings."""
        hidden = len(audit.of(HIDDEN))
        skipped = sum(len(audit.of(kind)) for kind in SKIPPED_KINDS)
        left_out = len(audit.of(NOT_LISTED)) + len(audit.of(TOO_DEEP))
        return cls(audit.files, audit.usable, skipped, hidden, left_out)

    def __str__(self) -> str:
        left_out = f", {self.left_out} left out" if self.left_out else ""
        return f"{self.files} files: {self.used} used, {self.skipped} skipped, {self.hidden} hidden{left_out}"
