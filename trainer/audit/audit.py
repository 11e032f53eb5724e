"""Puts together what an audit finds: in the files, in the source, and between the files."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import DataError
from trainer.audit.duplicates import look_alike_groups
from trainer.audit.findings import (
    EXACT_DUPLICATE,
    HIDDEN,
    IMBALANCE,
    KINDS,
    LABEL_CONFLICT,
    LEAKAGE,
    NEAR_DUPLICATE,
    NOT_LISTED,
    TOO_DEEP,
    Audit,
    Finding,
    Inspection,
)
from trainer.sources.source import Source

NOT_LOOKED_AT = (HIDDEN, NOT_LISTED, TOO_DEEP)
"""Kinds of remarks that tell of a file which is there, but is none of the source's."""
_MOST_NAMES = 4
_SMALL_SHARE = 0.1


def summarise(
    source: Source, inspections: Sequence[Inspection], placed: dict[Path, tuple[str, str]]
) -> Audit:
    """Joins the findings, those of a kind together in the order of KINDS.

    Args:
        source: Where the files came from.
        inspections: Of source.files, in their order.
        placed: {path: (split, label)} of the usable files.
    """
    found = [finding for inspection in inspections for finding in inspection.findings]
    found += [Finding(remark.kind, (remark.path,), remark.detail) for remark in source.remarks]
    for group in look_alike_groups(inspections):
        found += _compare([_Double(inspections[n], *placed[inspections[n].path]) for n in group])
    counts = _count(placed.values())
    found += _imbalance(counts)
    order = {kind: position for position, kind in enumerate(KINDS)}
    not_looked_at = sum(remark.kind in NOT_LOOKED_AT for remark in source.remarks)
    return Audit(
        files=len(inspections) + not_looked_at,
        usable=sum(inspection.usable for inspection in inspections),
        findings=tuple(sorted(found, key=lambda finding: order[finding.kind])),
        counts=counts,
    )


def refuse(audit: Audit, kinds: Iterable[str]) -> None:
    """Raises DataError if there are findings of these kinds, with their counts and the first of each."""
    found = [(kind, audit.of(kind)) for kind in kinds if audit.of(kind)]
    if found:
        told = "; ".join(f"{len(some)} {kind}, the first: {some[0].detail}" for kind, some in found)
        raise DataError(
            f"the audit found {told}",
            f"remove or repair the files, or leave {', '.join(kind for kind, _ in found)} out of --strict; "
            "litelens audit DIR --report audit.html shows all",
        )


@dataclass(frozen=True)
class _Double:
    """One of several files that show the same picture."""

    inspection: Inspection
    split: str
    label: str

    @property
    def place(self) -> str:
        return "/".join(name for name in (self.split, self.label) if name)


def _compare(doubles: Sequence[_Double]) -> Iterator[Finding]:
    by_place: dict[tuple[str, str], list[_Double]] = defaultdict(list)
    for double in doubles:
        by_place[double.split, double.label].append(double)
    for together in by_place.values():
        by_pixels: dict[str, list[_Double]] = defaultdict(list)
        for double in together:
            by_pixels[double.inspection.pixels_sha256].append(double)
        for same in by_pixels.values():
            if len(same) > 1:
                yield _found(EXACT_DUPLICATE, same)
        if len(by_pixels) > 1:
            yield _found(NEAR_DUPLICATE, [same[0] for same in by_pixels.values()])
    if len({double.split for double in doubles}) > 1:
        yield _found(LEAKAGE, doubles)
    if len({double.label for double in doubles}) > 1:
        yield _found(LABEL_CONFLICT, doubles)


def _found(kind: str, doubles: Sequence[_Double]) -> Finding:
    names = [
        f"{double.inspection.path} ({double.place})" if double.place else str(double.inspection.path)
        for double in doubles[:_MOST_NAMES]
    ]
    more = f" and {len(doubles) - _MOST_NAMES} more" if len(doubles) > _MOST_NAMES else ""
    equal = len({double.inspection.pixels_sha256 for double in doubles}) == 1
    return Finding(
        kind,
        tuple(double.inspection.path for double in doubles),
        f"{'equal pixels' if equal else 'look the same'}: {', '.join(names)}{more}",
    )


def _count(places: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for (split, label), count in sorted(Counter(places).items()):
        counts[split][label] = count
    order = ("train", "validation", "test")
    return dict(
        sorted(counts.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))
    )


def _imbalance(counts: dict[str, dict[str, int]]) -> Iterator[Finding]:
    totals: Counter[str] = Counter()
    for of_split in counts.values():
        totals.update(of_split)
    if not totals:
        return
    largest, most = totals.most_common(1)[0]
    for label, count in sorted(totals.items()):
        if count < _SMALL_SHARE * most:
            yield Finding(IMBALANCE, (), f"{label!r} has {count} usable pictures, {largest!r} has {most}")
