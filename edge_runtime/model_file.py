"""The contract between workstation and device: one ``.tflite`` file that carries everything.

The file is a TFLite model with TFLite Metadata, followed by a zip (``zipfile`` opens the file as it is).
The zip holds ``labels.txt`` and ``litelens.json``, the manifest; what else is in it is for who asks for it. What
the model itself says (shapes, dtypes, scales) is read from it and never repeated here. The exporter writes
through these dataclasses, the device reads through them.
"""

import dataclasses
import hashlib
import io
import json
import os
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.decision import DecisionRule
from edge_runtime.errors import ModelFileError
from edge_runtime.preprocessing import RESIZE_RULES

SCHEMA_VERSION = 2
LABELS_NAME = "labels.txt"
MANIFEST_NAME = "litelens.json"
LARGEST_MEMBER_BYTES = 2**22
"""Of labels and manifest each, unpacked; with a thousand classes both are a few hundred kilobytes."""
GATE_PASSED, GATE_OFF = "passed", "off"
EXPORT_AGAIN = "export the run again: litelens export runs/NAME --out NAME.tflite"
COPY_AGAIN = "copy the file again, or export it again"

# What zipfile raises on altered bytes, by where they are: found by altering every byte of a zip.
_DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError, EOFError)


@dataclass(frozen=True)
class Accuracy:
    """What the exporter measured, through the device's own Classifier."""

    split: str
    """The held-back split: "test", or "validation" where the data had no test split."""
    pictures: int
    float_top1: float
    """0 to 1, of the float32 model."""
    int8_top1: float
    """0 to 1, of the model in this file."""
    agreement: float
    """0 to 1: how often both gave the same first answer."""


@dataclass(frozen=True)
class Gate:
    """What the int8 model had to reach against float before it was written."""

    outcome: str
    """GATE_PASSED; or GATE_OFF: the gate was switched off, and this model may have missed it."""
    max_drop: float
    """Largest loss of top-1 that passes, in percentage points."""
    min_ratio: float
    """Smallest int8 top-1 divided by float top-1 that passes."""
    max_class_drop: float
    """Largest loss of any one class's recall that passes, in percentage points."""


@dataclass(frozen=True)
class SelfTestVector:
    """An input made by arithmetic and the output the exporter saw for it."""

    coefficients: tuple[int, int, int]
    """Pixel (y, x, channel) is (y * a + x * b + channel * c) mod 256."""
    expected: tuple[int, ...]
    """The raw output tensor."""
    tolerance: int
    """Largest difference, in steps of the output, that another interpreter's kernels may show."""

    def picture(self, size: tuple[int, int]) -> np.ndarray:
        """The input, uint8 of shape size + (3,)."""
        y, x, channel = np.ogrid[: size[0], : size[1], :3]
        a, b, c = self.coefficients
        return ((y * a + x * b + channel * c) % 256).astype(np.uint8)


@dataclass(frozen=True)
class Provenance:
    """Where the model came from."""

    data_fingerprint: str
    """sha256 over the names, splits and contents of the pictures."""
    config: dict
    """The training run's resolved config."""
    packages: dict
    """Package name to version."""


@dataclass(frozen=True)
class Manifest:
    """What a device must know beyond the model itself."""

    name: str
    version: str
    resize: str
    """The rule of edge_runtime.preprocessing that turns a frame into the input."""
    method: str
    """How the int8 model was made: "qat" (quantization-aware training) or "ptq" (post-training)."""
    accuracy: Accuracy
    gate: Gate
    decision: DecisionRule
    selftest: tuple[SelfTestVector, ...]
    provenance: Provenance
    model_sha256: str = ""
    """Of the bytes before the zip; filled in by `pack`."""
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """The manifest as JSON text, with sorted keys."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Reads what `to_json` wrote.

        Raises:
            ModelFileError: If text is no JSON object, comes from another schema, lacks a key, has an unknown
                one, or a value has the wrong type or is outside its bounds.
        """
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as problem:  # also a number of 5,000 digits, 1,000 brackets
            raise ModelFileError(f"{MANIFEST_NAME} is no JSON: {problem}", EXPORT_AGAIN) from problem
        if not isinstance(fields, dict):
            raise ModelFileError(
                f"{MANIFEST_NAME} holds a {type(fields).__name__}, expected an object", EXPORT_AGAIN
            )
        version = fields.get("schema_version")
        if version != SCHEMA_VERSION:
            raise ModelFileError(
                f"{MANIFEST_NAME} has schema version {version!r}, this litelens reads {SCHEMA_VERSION}",
                "update litelens on this machine, or export again with this version",
            )
        fields["accuracy"] = _exactly(Accuracy, fields.get("accuracy"), "accuracy")
        fields["gate"] = _gate(fields.get("gate"))
        fields["decision"] = _decision(fields.get("decision"))
        fields["provenance"] = _exactly(Provenance, fields.get("provenance"), "provenance")
        vectors = fields.get("selftest")
        if not isinstance(vectors, list) or not vectors:
            raise ModelFileError(
                f"{MANIFEST_NAME}: selftest is {vectors!r}, expected a list of at least one vector",
                EXPORT_AGAIN,
            )
        fields["selftest"] = tuple(_vector(vector) for vector in vectors)
        manifest = _exactly(cls, fields, "the manifest")
        if manifest.resize not in RESIZE_RULES:
            raise ModelFileError(
                f"{MANIFEST_NAME} asks for the resize rule {manifest.resize!r}, "
                f"this litelens knows {', '.join(RESIZE_RULES)}",
                "update litelens on this machine",
            )
        return manifest


@dataclass(frozen=True)
class ModelFile:
    """A model file, read and checked."""

    path: Path
    manifest: Manifest | None
    """None only while the exporter measures a candidate."""
    labels: tuple[str, ...]
    """One a class, in the order of the model's output."""
    size_bytes: int


def read_model_file(path: str | Path) -> ModelFile:
    """Reads a model file's labels and manifest and checks that its model is whole.

    Raises:
        ModelFileError: If the file is missing, is no TFLite model, was cut short or altered, has no manifest,
            or its manifest or labels cannot be read.
    """
    path = Path(path)
    # Not Path's is_file(), which raises where a folder may not be entered or the name is too long.
    if not os.path.isfile(path):
        raise ModelFileError(
            f"{path} is {'a directory' if os.path.isdir(path) else 'not there'}, expected a .tflite file",
            EXPORT_AGAIN,
        )
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise ModelFileError(
            f"cannot read {path}: {problem.strerror}", "check the file's permissions"
        ) from problem
    if content[4:8] != b"TFL3":
        start = content[:8].hex(" ") or "nothing"
        raise ModelFileError(
            f"{path} is no TFLite model: expected TFL3 at byte 4, the file starts with {start}",
            "name a .tflite file written by litelens export",
        )
    manifest, labels, end_of_model = _unpack(path, content)
    found = hashlib.sha256(content[:end_of_model]).hexdigest()
    if found != manifest.model_sha256:
        raise ModelFileError(
            f"{path} is damaged: its model has sha256 {found[:12]}..., "
            f"its manifest says {manifest.model_sha256[:12] or 'nothing'}...",
            COPY_AGAIN,
        )
    check_labels(labels, str(path))
    _check_thresholds(manifest, labels, str(path))
    return ModelFile(path, manifest, labels, len(content))


def read_member(path: Path, name: str) -> str | None:
    """A text that `pack` put beside labels and manifest; None where the file has none of that name.

    Raises:
        ModelFileError: If the file is damaged or cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _member(archive, name) if name in archive.namelist() else None
    except _DAMAGED_ZIP as problem:
        raise ModelFileError(f"{path} is damaged: {problem}", COPY_AGAIN) from problem
    except OSError as problem:
        raise ModelFileError(
            f"cannot read {path}: {problem.strerror}", "check the file's permissions"
        ) from problem


def pack(
    model: bytes, labels: tuple[str, ...], manifest: Manifest, beside: Mapping[str, str] | None = None
) -> bytes:
    """The content of a model file: a TFLite model (with its metadata) followed by labels and manifest.

    Args:
        model: Its bytes.
        labels: One a class.
        manifest: Without the model's sha256.
        beside: More texts by their names in the zip, for `read_member`. A device that does not know of them does
            without, so the manifest's schema stays.

    Raises:
        ModelFileError: If labels are empty, repeated, hold a line break, or cannot be written as UTF-8; or if
            a device would refuse the manifest.
    """
    check_labels(labels, "the model to pack")
    _check_thresholds(Manifest.from_json(manifest.to_json()), labels, "the model to pack")
    manifest = dataclasses.replace(manifest, model_sha256=hashlib.sha256(model).hexdigest())
    packed = io.BytesIO(model)
    packed.seek(0, io.SEEK_END)
    texts = {LABELS_NAME: "\n".join(labels) + "\n", MANIFEST_NAME: manifest.to_json(), **(beside or {})}
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_STORED) as archive:
        for name, text in texts.items():
            # A fixed date: the same run exports to the same bytes.
            archive.writestr(zipfile.ZipInfo(name), text)
    return packed.getvalue()


def _unpack(path: Path, content: bytes) -> tuple[Manifest, tuple[str, ...], int]:
    """The manifest, the labels and how many bytes of model precede them."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {info.filename: info for info in archive.infolist()}
            for name in (LABELS_NAME, MANIFEST_NAME):
                if name not in members:
                    raise ModelFileError(f"{path} carries no {name}, only {sorted(members)}", EXPORT_AGAIN)
            manifest_text = _member(archive, MANIFEST_NAME)
            # Not splitlines(): it also breaks at U+2028, form feeds and others that a label may hold.
            labels = tuple(_member(archive, LABELS_NAME).removesuffix("\n").split("\n"))
    except _DAMAGED_ZIP as problem:
        if isinstance(problem, zipfile.BadZipFile) and not zipfile.is_zipfile(io.BytesIO(content)):
            raise _without_zip(path, content) from problem
        raise ModelFileError(f"{path} is damaged: {problem}", COPY_AGAIN) from problem
    try:
        manifest = Manifest.from_json(manifest_text)
    except ModelFileError as problem:
        raise ModelFileError(f"{path}: {problem}", problem.hint) from problem
    return manifest, labels, min(info.header_offset for info in members.values())


def _member(archive: zipfile.ZipFile, name: str) -> str:
    # A compressed file of 0.4 MB may unpack to 400 MB.
    with archive.open(name) as file:
        content = file.read(LARGEST_MEMBER_BYTES + 1)
    if len(content) > LARGEST_MEMBER_BYTES:
        raise ValueError(f"{name} is larger than {LARGEST_MEMBER_BYTES} bytes")
    return content.decode()


def check_labels(labels: tuple[str, ...], where: str) -> None:
    """Raises ModelFileError unless labels are distinct, not blank, and each one line of UTF-8 text."""
    if not labels or len(set(labels)) != len(labels) or not all(label.strip() for label in labels):
        raise ModelFileError(
            f"{where}: {LABELS_NAME} has empty or repeated lines, expected one distinct label a line",
            EXPORT_AGAIN,
        )
    for label in labels:
        # A folder name that is no UTF-8 reaches Python with lone surrogates in it.
        if "\n" in label or "\r" in label or any("\ud800" <= char <= "\udfff" for char in label):
            raise ModelFileError(
                f"{where}: the label {label!r} cannot be one line of UTF-8 text in {LABELS_NAME}",
                "rename the class",
            )


def _check_thresholds(manifest: Manifest, labels: tuple[str, ...], where: str) -> None:
    if len(manifest.decision.thresholds) != len(labels):
        raise ModelFileError(
            f"{where}: the decision has {len(manifest.decision.thresholds)} thresholds, "
            f"{LABELS_NAME} has {len(labels)} labels",
            EXPORT_AGAIN,
        )


def _without_zip(path: Path, content: bytes) -> ModelFileError:
    # The metadata inside the model names the manifest, so its absence after the model means a cut.
    if MANIFEST_NAME.encode() in content:
        return ModelFileError(
            f"{path} was cut short: it ends after {len(content)} bytes, before the end of its manifest",
            COPY_AGAIN,
        )
    return ModelFileError(
        f"{path} has no manifest: expected {MANIFEST_NAME} in a zip at the file's end",
        "litelens runs models written by litelens export; if this one was, it was cut short: copy it again",
    )


def _exactly(cls: type, fields: object, where: str):
    """Builds a dataclass from a dict that must hold its keys, all of them and no others."""
    if not isinstance(fields, dict):
        raise ModelFileError(f"{MANIFEST_NAME}: {where} is {fields!r}, expected an object", EXPORT_AGAIN)
    names = {field.name for field in dataclasses.fields(cls)}
    if missing := names - fields.keys():
        raise ModelFileError(f"{MANIFEST_NAME}: {where} lacks {', '.join(sorted(missing))}", EXPORT_AGAIN)
    if unknown := fields.keys() - names:
        raise ModelFileError(
            f"{MANIFEST_NAME}: {where} has the unknown key {', '.join(sorted(unknown))}",
            "update litelens on this machine",
        )
    for field in dataclasses.fields(cls):
        _check_type(f"{where}'s {field.name}", fields[field.name], field.type)
    return cls(**fields)


def _check_type(where: str, value: object, wanted: object) -> None:
    """Holds the plain types: nested objects were built by `_exactly` before, and true is no number.

    Numbers are finite: Python reads NaN, Infinity and 1e999 as JSON, and writes the first two.
    """
    plain = {str: str, int: int, float: (int, float), dict: dict}.get(wanted)
    if plain and (not isinstance(value, plain) or isinstance(value, bool)):
        raise ModelFileError(
            f"{MANIFEST_NAME}: {where} is {value!r}, expected {wanted.__name__}", EXPORT_AGAIN
        )
    if wanted is float and not abs(value) <= sys.float_info.max:
        raise ModelFileError(f"{MANIFEST_NAME}: {where} is {value}, expected a finite number", EXPORT_AGAIN)


def _gate(fields: object) -> Gate:
    gate = _exactly(Gate, fields, "gate")
    if gate.outcome not in (GATE_PASSED, GATE_OFF):
        raise ModelFileError(
            f"{MANIFEST_NAME}: gate's outcome is {gate.outcome!r}, expected {GATE_PASSED} or {GATE_OFF}",
            EXPORT_AGAIN,
        )
    return gate


def _decision(fields: object) -> DecisionRule:
    rule = _exactly(DecisionRule, fields, "decision")
    if rule.temperature <= 0:
        raise ModelFileError(
            f"{MANIFEST_NAME}: decision's temperature is {rule.temperature}, expected a number above 0",
            EXPORT_AGAIN,
        )
    if not 0 <= rule.precision <= 1:
        raise ModelFileError(
            f"{MANIFEST_NAME}: decision's precision is {rule.precision}, expected 0 to 1", EXPORT_AGAIN
        )
    thresholds = rule.thresholds
    if not isinstance(thresholds, list) or not all(
        type(number) in (int, float) and 0 <= number <= 1 for number in thresholds
    ):
        raise ModelFileError(
            f"{MANIFEST_NAME}: decision's thresholds are {thresholds!r}, expected numbers from 0 to 1",
            EXPORT_AGAIN,
        )
    return dataclasses.replace(rule, thresholds=tuple(thresholds))


def _vector(fields: object) -> SelfTestVector:
    vector = _exactly(SelfTestVector, fields, "a self-test vector")
    for name, numbers in (("coefficients", vector.coefficients), ("expected", vector.expected)):
        if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
            raise ModelFileError(
                f"{MANIFEST_NAME}: a self-test vector's {name} is {numbers!r}, expected whole numbers",
                EXPORT_AGAIN,
            )
    if len(vector.coefficients) != 3:
        raise ModelFileError(
            f"{MANIFEST_NAME}: a self-test vector has {len(vector.coefficients)} coefficients, expected 3",
            EXPORT_AGAIN,
        )
    return SelfTestVector(tuple(vector.coefficients), tuple(vector.expected), vector.tolerance)
