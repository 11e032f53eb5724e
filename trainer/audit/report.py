"""The audit for people: as sections of a page, with thumbnails, and as a page of its own."""

import base64
import io
import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from edge_runtime.errors import PictureError
from edge_runtime.pictures import read_picture
from trainer.audit.audited import Audited
from trainer.audit.findings import HIDDEN, KINDS, SKIPPED_KINDS, Audit, Finding
from trainer.audit.totals import Totals
from trainer.page import render_page

TEMPLATE = Path(__file__).parent / "audit.html.j2"
THUMBNAIL_PX = 112
MOST_FINDINGS = 40
"""Of a kind that a page shows; it says how many more there are."""
MOST_PICTURES = 8
"""Of a finding that a page shows side by side."""


@dataclass(frozen=True)
class ShownPicture:
    """A file of a finding."""

    name: str
    url: str
    """A data: URL; "" if it cannot be shown."""


@dataclass(frozen=True)
class ShownFinding:
    """A finding, ready to be rendered."""

    detail: str
    pictures: list[ShownPicture]
    more: int
    """How many pictures it has beyond those."""


@dataclass(frozen=True)
class Section:
    """All findings of a kind, ready to be rendered."""

    kind: str
    meaning: str
    count: int
    shown: list[ShownFinding]
    more: int
    """How many findings there are beyond those."""


def render_audit(audited: Audited) -> str:
    """One self-contained HTML page."""
    audit, folder = audited.audit, audited.source.folder
    return render_page(
        TEMPLATE,
        spec=printable(audited.source.spec),
        totals=Totals.of(audit),
        problem=audited.problem and printable(str(audited.problem)),
        counts={
            printable(split) or "not split": {
                printable(label) or "no class": n for label, n in of_split.items()
            }
            for split, of_split in audit.counts.items()
        },
        labels=sorted(
            {printable(label) or "no class" for of_split in audit.counts.values() for label in of_split}
        ),
        sections=audit_section(audit, folder),
    )


def audit_section(audit: Audit, folder: Path, most: int = MOST_FINDINGS) -> list[Section]:
    """A section for each kind that was found, with thumbnails of `most` findings; paths are told from `folder` down."""
    sections = []
    for kind, meaning in KINDS.items():
        if found := audit.of(kind):
            shown = [_shown(finding, folder) for finding in found[:most]]
            sections.append(Section(kind, meaning, len(found), shown, len(found) - len(shown)))
    return sections


def thumbnail(path: Path) -> str:
    """A small JPEG of a picture as a data: URL; "" if it cannot be read."""
    try:
        image = Image.fromarray(read_picture(path))
    except PictureError:
        return ""
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def printable(text: str) -> str:
    """The text with what a terminal would obey or a file cannot hold written as escapes: names may be hostile."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii")
        for char in text
    )


def told(finding: Finding, folder: Path) -> str:
    """A finding's detail, printable, with its paths from `folder` down."""
    names = {str(path): _below(path, folder) for path in finding.paths[:MOST_PICTURES]}
    longest_first = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return printable(
        re.sub(longest_first, lambda match: names[match[0]], finding.detail) if names else finding.detail
    )


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _shown(finding: Finding, folder: Path) -> ShownFinding:
    pictures = [
        # What is no readable picture has no thumbnail, and what is hidden is not looked at.
        ShownPicture(
            printable(_below(path, folder)),
            "" if finding.kind in (*SKIPPED_KINDS, HIDDEN) else thumbnail(path),
        )
        for path in finding.paths[:MOST_PICTURES]
    ]
    return ShownFinding(told(finding, folder), pictures, len(finding.paths) - len(pictures))
