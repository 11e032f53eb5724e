"""A csv of two columns, picture and label, with the pictures beside it or in folders below."""

import csv
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from edge_runtime.errors import DataError
from trainer.audit.findings import ABSENT, LISTED_TWICE, NOT_LISTED
from trainer.sources.listing import hidden, is_named_as_picture, quoted, visible, walk
from trainer.sources.source import Remark, Source, SourceFile

FILE_NAME = "labels.csv"
_EXPECTED = "expected a header and two columns separated by a comma: the picture's name, and its label"


@dataclass(frozen=True)
class _Line:
    number: int
    name: str
    """As it stands there, with / between folders."""
    label: str


def open_csv(spec: str, path: Path) -> Source:
    """Reads which label a csv gives to which picture.

    The columns may have any names. A picture is named with or without the ending of its file, and with or
    without the folders below the csv's. Not split.

    Raises:
        DataError: If the csv cannot be read, a line is not whole, a name leaves the folder or fits two files, a
            picture has two labels, or no picture is found.
    """
    header, *lines = _read(path)
    pictures = _Pictures(path)
    _check_header(path, header, lines, pictures)
    listed: dict[Path, list[_Line]] = defaultdict(list)
    remarks: list[Remark] = []
    for line in lines:
        found = pictures.named(line)
        listed[path.parent / line.name if found is None else found].append(line)
    files = []
    for picture, its_lines in listed.items():
        _check_one_label(path, picture, its_lines)
        numbers = " and ".join(str(line.number) for line in its_lines)
        if len(its_lines) > 1:
            remarks.append(Remark(LISTED_TWICE, picture, f"{path} names {picture} in lines {numbers}"))
        if picture in pictures.every:
            files.append(SourceFile(picture, its_lines[0].label, ""))
        else:
            remarks.append(Remark(ABSENT, picture, f"{path}, line {numbers}: {picture} is not there"))
    if not files:
        raise DataError(
            f"{path} names {len(lines)} pictures and none is there, the first is {lines[0].name!r}; "
            f"below {path.parent} are {len(pictures.every)} files",
            f"put the pictures into {path.parent} or a folder in it",
        )
    files.sort(key=lambda file: file.path.relative_to(path.parent).parts)
    not_listed = _not_listed(path, {file.path for file in files})
    return Source(spec, path.parent, tuple(files), (*remarks, *not_listed))


def _read(path: Path) -> list[_Line]:
    """The header, then at least one line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            numbered = [(rows.line_num, [field.strip() for field in row]) for row in rows if row]
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise DataError(f"cannot read {path}: {problem}", "save it as CSV in UTF-8") from problem
    if not numbered:
        raise DataError(f"{path} is empty, {_EXPECTED}", "write a first line such as: id,label")
    number, header = numbered[0]
    if len(header) != 2:
        raise DataError(
            f"{path} has {len(header)} column{'s' * (len(header) != 1)} ({', '.join(header)}), {_EXPECTED}",
            f"keep the two that matter: cut -d, -f1,2 {quoted(path)} > two_columns.csv"
            if len(header) > 2
            else "separate the columns by a comma",
        )
    if len(numbered) == 1:
        raise DataError(f"{path} has a header and no other line, {_EXPECTED}", "add a line for each picture")
    return [_line(path, number, row) for number, row in numbered]


def _check_header(path: Path, header: _Line, lines: list[_Line], pictures: "_Pictures") -> None:
    named = pictures.named(header)
    if is_named_as_picture(Path(header.name)) or (
        named is not None and named not in (pictures.named(line) for line in lines)
    ):
        raise DataError(
            f"{path}, line {header.number}: the header names a picture, {header.name!r}; {_EXPECTED}",
            "write a first line such as: id,label",
        )


def _line(path: Path, number: int, row: list[str]) -> _Line:
    if len(row) != 2 or not all(row):
        raise DataError(
            f"{path}, line {number}: {','.join(row)!r}, expected a name and a label",
            'correct the line; a comma within a label needs quotes: name,"a, b"',
        )
    name = row[0].replace("\\", "/")
    if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive:
        raise DataError(
            f"{path}, line {number}: {row[0]!r} leads out of the csv's folder",
            f"name pictures from {path.parent} down",
        )
    return _Line(number, name, row[1])


class _Pictures:
    """The files below the csv's folder by every name that a csv may give them."""

    def __init__(self, csv_path: Path):
        self._csv = csv_path
        self.every = {path for path in walk(csv_path.parent) if path != csv_path}
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(self.every):
            below = path.relative_to(csv_path.parent)
            for key in {path.name, f"./{below.as_posix()}"}:
                self._by_name[_composed(key)].append(path)
            for key in {path.stem, f"./{below.with_suffix('').as_posix()}"}:
                self._by_stem[_composed(key)].append(path)

    def named(self, line: _Line) -> Path | None:
        """The file that a line means; None if there is none.

        Raises:
            DataError: If there are several.
        """
        key = _composed(line.name)
        if "/" in key:  # from the csv's folder down; ./a.jpg is the one that lies beside it
            key = f"./{PurePosixPath(key).as_posix()}"
        found = self._by_name.get(key) or self._by_stem.get(key, [])
        if len(found) > 1:  # a picture and its side file, a.jpg and a.xml, are told apart by their endings
            found = [path for path in found if is_named_as_picture(path)] or found
        if len(found) > 1:
            raise DataError(
                f"{self._csv}, line {line.number}: {line.name!r} fits {len(found)} files: "
                f"{', '.join(map(str, found[:3]))}",
                f"name it with its folder and ending: ./{found[0].relative_to(self._csv.parent).as_posix()}",
            )
        return found[0] if found else None


def _composed(name: str) -> str:
    """macOS writes é as two characters where others write one."""
    return unicodedata.normalize("NFC", name)


def _check_one_label(path: Path, picture: Path, lines: list[_Line]) -> None:
    first = lines[0]
    for other in lines[1:]:
        if other.label != first.label:
            raise DataError(
                f"{path}: {picture} is {first.label!r} in line {first.number} and {other.label!r} in line {other.number}",
                "correct or remove one of the lines",
            )


def _not_listed(path: Path, listed: set[Path]) -> list[Remark]:
    """Pictures beside those that are listed; a folder without any, as test/ of a contest, is another matter."""
    remarks = []
    for folder in sorted({picture.parent for picture in listed}):
        remarks += hidden(folder)
        remarks += [
            Remark(NOT_LISTED, other, f"{path} does not name {other}")
            for other in visible(folder)
            if other not in listed and other.is_file() and is_named_as_picture(other)
        ]
    return remarks
