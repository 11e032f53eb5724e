"""What is put side by side: model files, and the candidates that an export keeps in a training run's folder."""

import dataclasses
import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.card.facts import Name
from benchmarks.matrix.tflite_file import DAMAGED, Normalisation, TfliteFile, read_tflite
from benchmarks.measuring.model_facts import weights_dtype
from edge_runtime.capture.files import check_path
from edge_runtime.errors import ModelFileError, RunFolderError
from edge_runtime.model_file import LABELS_NAME, MANIFEST_NAME, ModelFile, read_model_file

CANDIDATES_FOLDER = "candidates"
"""In a run's folder: KIND-HASH.tflite, what it was made of beside it."""


@dataclass(frozen=True)
class Candidate:
    """One model to be measured."""

    name: str
    """The file's name, or RUN/KIND; unlike those of the others."""
    model_file: ModelFile
    """With the manifest, where there is one; without known labels they are "0", "1" ..."""
    sha256: str
    """Of the whole file."""
    labelled: bool
    """Whether the labels are known: without them there is no accuracy."""
    input_height_px: int
    input_width_px: int
    input_dtype: str
    """uint8 takes a camera's bytes as they are; others are given them normalised."""
    weights_dtype: str
    """Of most of the weights' bytes."""
    normalisation: Normalisation | None
    """Of an input that is not uint8; None where nothing tells: without it there is no accuracy."""

    @property
    def without_meaning(self) -> str:
        """Why its answers to pictures tell nothing, or ""."""
        if not self.labelled:
            return f"its labels are unknown: neither TFLite metadata nor a run's {LABELS_NAME}"
        if self.input_dtype != "uint8" and self.normalisation is None:
            return f"it takes {self.input_dtype}, and nothing tells its normalisation"
        return ""


def find_candidates(paths: list[Path]) -> list[Candidate]:
    """Reads model files, and all candidates of run folders, in this order.

    Raises:
        SourceError: If a path is not there or may not be read.
        RunFolderError: If a folder holds no candidates.
        ModelFileError: If a file is no TFLite model of pictures, or is damaged.
    """
    found = []
    for path in paths:
        check_path(path)
        if path.is_dir():
            found += _of_run(path)
        else:
            namesakes = {other.resolve() for other in paths if other.name == path.name}
            name = path.name if len(namesakes) == 1 else f"{path.resolve().parent.name}/{path.name}"
            found.append(_read(path, name))
    return _numbered(found)


def _of_run(folder: Path) -> list[Candidate]:
    models = sorted((folder / CANDIDATES_FOLDER).glob("*.tflite"))
    if not models:
        raise RunFolderError(
            f"{folder} holds no candidates: expected a training run's folder with {CANDIDATES_FOLDER}/*.tflite",
            f"export the run, which keeps them: litelens export {folder} --out NAME.tflite; or name .tflite files",
        )
    labels, run = _labels_of_run(folder), folder.resolve().name
    kinds = Counter(map(_kind, models))
    return [
        _of_export(path, f"{run}/{_kind(path) if kinds[_kind(path)] == 1 else path.stem}", labels)
        for path in models
    ]


def _kind(path: Path) -> str:
    """ "ptq" of ptq-0123456789abcdef.tflite."""
    return re.sub("-[0-9a-f]{16}$", "", path.stem)


def _labels_of_run(folder: Path) -> tuple[str, ...] | None:
    path = folder / LABELS_NAME
    if not path.is_file():
        return None
    try:
        return tuple(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"))
    except (OSError, ValueError) as problem:
        raise RunFolderError(f"cannot read {path}: {problem}", "train the run again") from problem


def _of_export(path: Path, name: str, labels: tuple[str, ...] | None) -> Candidate:
    """A candidate that an export kept, with what the file beside it says."""
    facts = path.with_suffix(".json")
    candidate = _read(path, name, labels)
    try:
        stored = json.loads(facts.read_text(encoding="utf-8"))
        sha256, normalisation = stored["model_sha256"], stored["inputs"]["normalisation"]
        normalisation = Normalisation((float(normalisation["mean"]),), (float(normalisation["std"]),))
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise RunFolderError(
            f"{facts} does not tell what {path.name} was made of: {type(problem).__name__}: {problem}",
            f"remove {path} and export the run again",
        ) from problem
    if sha256 != candidate.sha256:
        raise ModelFileError(
            f"{path} is damaged: it has sha256 {candidate.sha256[:12]}..., {facts.name} says {sha256[:12]}...",
            f"remove {path} and export the run again",
        )
    return dataclasses.replace(candidate, normalisation=normalisation)


def _read(path: Path, name: str, labels: tuple[str, ...] | None = None) -> Candidate:
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise ModelFileError(
            f"cannot read {path}: {problem.strerror}", "check the file's permissions"
        ) from problem
    # The second where it lost its manifest, or is another kind of file: this says so.
    is_ours = MANIFEST_NAME.encode() in content or content[4:8] != b"TFL3"
    model_file = read_model_file(path) if is_ours else None
    try:
        said, weights = read_tflite(content), weights_dtype(content)
    except DAMAGED as problem:
        raise ModelFileError(
            f"{path} is damaged: it is no whole TFLite model of one picture ({type(problem).__name__}: {problem})",
            "copy the file again",
        ) from problem
    _check_input(path, said)
    labels = model_file.labels if model_file else labels or said.labels
    return Candidate(
        name=name,
        model_file=model_file
        or ModelFile(path, None, labels or tuple(map(str, range(said.classes))), len(content)),
        sha256=hashlib.sha256(content).hexdigest(),
        labelled=labels is not None,
        input_height_px=said.input_shape[1],
        input_width_px=said.input_shape[2],
        input_dtype=said.input_dtype,
        weights_dtype=weights,
        normalisation=said.normalisation,
    )


def _check_input(path: Path, said: TfliteFile) -> None:
    shape = said.input_shape
    if len(shape) != 4 or shape[0] != 1 or shape[3] != 3 or min(shape) < 1:
        raise ModelFileError(
            f"{path} takes {said.input_dtype} of shape {shape}, expected (1, height, width, 3)",
            "litelens measures classifiers of RGB pictures, channels last, of a fixed size",
        )


def _numbered(candidates: list[Candidate]) -> list[Candidate]:
    """A file that is named again gets #2: how two equal ones differ shows what chance alone does."""
    seen, result = Counter(), []
    for candidate in candidates:
        seen[candidate.name] += 1
        number = seen[candidate.name]
        name = candidate.name if number == 1 else f"{candidate.name}#{number}"
        result.append(dataclasses.replace(candidate, name=Name(name)))
    return result
