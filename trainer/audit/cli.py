"""The verb `audit`. It needs no TensorFlow."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_runtime.extras import extra
from edge_runtime.whole_file import write_whole
from trainer.audit.findings import KINDS, SKIPPED_KINDS, Audit
from trainer.audit.totals import Totals
from trainer.config import Selection, load_config

if TYPE_CHECKING:
    from trainer.audit.audited import Audited

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("data", metavar="DIR")
@click.option("--sha256", metavar="HEX", help="Of the archive, where DIR is one or the address of one.")
@click.option(
    "--json", "json_file", type=_FILE, metavar="FILE", help="Write all findings as JSON; - prints it."
)
@click.option(
    "--report",
    type=_FILE,
    metavar="FILE.html",
    help="Write a page with thumbnails, which needs no other file.",
)
@click.option(
    "--strict",
    is_flag=False,
    flag_value=",".join(SKIPPED_KINDS),
    metavar="[KIND,KIND]",
    help="Exit with 1 where these kinds are found; alone: files that are no readable picture.",
)
@click.option("--seed", type=int, help=f"Of the split, as in train.  [default: {Selection.seed}]")
@click.option(
    "--validation-fraction", type=float, help=f"As in train.  [default: {Selection.validation_fraction}]"
)
@click.option("--test-fraction", type=float, help=f"As in train.  [default: {Selection.test_fraction}]")
def audit(data: str, json_file: Path | None, report: Path | None, strict: str | None, **flags) -> None:
    """Say what is wrong with a set of pictures.

    DIR is what train takes as --data, or a folder of pictures without classes. Every file is read. Pictures that
    look the same are searched for within classes, across them, and across the splits that train would make.

    \b
    litelens audit pictures/ --report audit.html
    litelens audit pictures/ --strict leakage,label-conflict
    """
    kinds = tuple(kind.strip() for kind in strict.split(",")) if strict else ()
    config = load_config(None, data=data, strict=kinds, **flags)
    with extra("train", "litelens audit"):  # imagehash and jinja2, absent on devices
        from trainer.audit.audit import refuse
        from trainer.audit.audited import audit_data
        from trainer.audit.report import printable, render_audit
    audited = audit_data(config.selection)
    if str(json_file) == "-":
        click.echo(_to_json(audited))
    else:
        for line in _table(audited):
            click.echo(printable(line))
        if json_file:
            write_whole(json_file, _to_json(audited).encode())
    if report:
        write_whole(report, render_audit(audited).encode())
    if audited.problem:
        click.echo(printable(f"nothing can be trained on this as it is: {audited.problem}"), err=True)
        click.echo(printable(f"hint: {audited.problem.hint}"), err=True)
    refuse(audited.audit, kinds)


def _table(audited: "Audited") -> Iterator[str]:
    from trainer.audit.report import told

    found = audited.audit
    for kind, meaning in KINDS.items():
        if some := found.of(kind):
            yield f"{kind:<16} {len(some):>6}  {meaning}"
            yield f"{'':<16} {'':>6}  first: {told(some[0], audited.source.folder)}"
    yield str(Totals.of(found))
    for split, of_split in found.counts.items():
        yield _split_line(split, of_split)


def _split_line(split: str, of_split: dict[str, int]) -> str:
    total, sizes = sum(of_split.values()), sorted(of_split.values())
    if list(of_split) == [""]:
        return f"{total} pictures without classes"
    classes = f"{len(sizes)} class{'es' if len(sizes) > 1 else ''} of {sizes[0]}"
    return f"{split or 'not split'}: {total} pictures, {classes}{f' to {sizes[-1]}' if sizes[-1] > sizes[0] else ''}"


def _to_json(audited: "Audited") -> str:
    """ASCII, so that names which are no valid text come through too."""
    found, folder = audited.audit, audited.source.folder

    def name(path: Path) -> str:
        return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)

    totals = Totals.of(found)
    described = {
        "data": audited.source.spec,
        "folder": str(folder),
        "files": totals.files,
        "used": totals.used,
        "skipped": totals.skipped,
        "hidden": totals.hidden,
        "left_out": totals.left_out,
        "counts": found.counts,
        "kinds": _kind_counts(found),
        "findings": [
            {"kind": finding.kind, "paths": [name(path) for path in finding.paths], "detail": finding.detail}
            for finding in found.findings
        ],
        "problem": audited.problem and {"error": str(audited.problem), "hint": audited.problem.hint},
    }
    return json.dumps(described, indent=1)


def _kind_counts(found: Audit) -> dict[str, int]:
    return {kind: len(found.of(kind)) for kind in KINDS if found.of(kind)}
