"""Makes the models that an export chooses from; all take RGB bytes."""

import dataclasses
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from exporter.byte_tensors import give_bytes, state_int8_versions, take_bytes
from exporter.cache import Cached, CandidateCache
from exporter.calibration import choose_calibration
from exporter.candidate_kinds import CANDIDATES, REFERENCE
from exporter.conversion import to_int8_by_qat
from exporter.fidelity import Fidelity, check_fidelity
from exporter.float_model import FloatModel
from exporter.post_training import to_dynamic_range, to_float16, to_int8
from exporter.quantization_aware import CannotQuantize, quantization_aware
from trainer.progress import say
from trainer.run_folder import package_versions

FIDELITY_PICTURES = 400
"""So that one picture is a quarter of a point of the 99 % that is asked for."""


@dataclass(frozen=True)
class CandidateSettings:
    """How candidates are made."""

    candidates: tuple[str, ...] | None
    """Which of CANDIDATES; None is all that the model allows."""
    qat_epochs: int | None
    """None is by the number of pictures; see exporter.quantization_aware."""
    qat_freeze_below: int
    calibration_pictures: int
    edge_tpu: bool
    """Whether dense kernels get one scale, as the Edge TPU asks for."""


@dataclass(frozen=True)
class Candidates:
    """What was made."""

    models: dict[str, bytes]
    """By name, REFERENCE first."""
    calibration: tuple[int, ...]
    """Indices into the training split of the pictures that set the ranges of "ptq"."""
    fidelity: Fidelity | None
    """Of "qat"."""
    seconds: dict[str, float]
    """By name; of one from the cache, how long reading it took."""
    notes: tuple[str, ...]


def make_candidates(source: FloatModel, settings: CandidateSettings) -> Candidates:
    """Makes every candidate asked for that is not in the run folder yet, and keeps it there.

    Raises:
        DataError: If there are too few training pictures to calibrate with.
        CannotQuantize: If "qat" is asked for by name and the model cannot be trained.
        FidelityError: If the quantization-aware model and its .tflite answer differently.
        WriteError: If the run folder cannot be written.
    """
    calibration = choose_calibration(
        source.splits["train"],
        classes=len(source.labels),
        count=settings.calibration_pictures,
        seed=source.seed,
    )
    asked_for = settings.candidates or CANDIDATES
    notes = []
    makers = _makers(source, settings, calibration)
    made: dict[str, Cached] = {}
    seconds: dict[str, float] = {}
    for name in (REFERENCE, *(name for name in CANDIDATES if name in asked_for)):
        started = time.monotonic()
        try:
            made[name] = makers[name]()
        except CannotQuantize as problem:
            if settings.candidates:
                raise
            notes.append(f"No candidate by quantization-aware training: {problem}.")
            say(notes[-1])
            continue
        seconds[name] = round(time.monotonic() - started, 1)
        say(f"{name}: {len(made[name].model)} bytes, {seconds[name]:.0f} s")
    return Candidates(
        models={name: cached.model for name, cached in made.items()},
        calibration=tuple(calibration),
        fidelity=Fidelity(**made["qat"].facts["fidelity"]) if "qat" in made else None,
        seconds=seconds,
        notes=tuple(notes),
    )


def _makers(
    source: FloatModel, settings: CandidateSettings, calibration: list[int]
) -> dict[str, Callable[[], Cached]]:
    """A function for each candidate that reads it from the cache or makes it."""
    cache = CandidateCache(source.cache_folder)
    common = {
        "model": source.digest,
        "normalisation": dataclasses.asdict(source.normalisation),
        "packages": package_versions(),
    }
    trained_on = common | {"pictures": source.training_digest}

    def cached(name: str, inputs: dict, make: Callable[[], Cached]) -> Cached:
        found = cache.read(name, inputs)
        if found is None:
            say(f"{name} ...")
            found = make()
            cache.write(name, inputs, found)
        return found

    @functools.cache
    def float_tflite() -> bytes:
        return cached("float", common, lambda: Cached(source.to_tflite(), {})).model

    def by(convert: Callable[[bytes], bytes]) -> Cached:
        return Cached(take_bytes(convert(float_tflite()), source.normalisation), {})

    ptq_inputs = trained_on | {"calibration": calibration, "edge_tpu": settings.edge_tpu}
    qat_inputs = trained_on | {
        "epochs": settings.qat_epochs,
        "freeze_below": settings.qat_freeze_below,
        "batch_size": source.batch_size,
        "seed": source.seed,
    }
    return {
        # Half a second each, from the float model that is kept: not kept themselves.
        REFERENCE: lambda: by(lambda model: model),
        "float16": lambda: by(to_float16),
        "dynamic-range": lambda: by(to_dynamic_range),
        "ptq": lambda: cached(
            "ptq", ptq_inputs, lambda: _by_ptq(source, settings, float_tflite(), calibration)
        ),
        "qat": lambda: cached("qat", qat_inputs, lambda: _by_qat(source, settings)),
    }


def _by_ptq(source: FloatModel, settings: CandidateSettings, model: bytes, calibration: list[int]) -> Cached:
    int8 = to_int8(
        model,
        source.load_pictures("train", calibration),
        source.normalisation,
        per_tensor_dense=settings.edge_tpu,
    )
    return Cached(give_bytes(take_bytes(state_int8_versions(int8), source.normalisation)), {})


def _by_qat(source: FloatModel, settings: CandidateSettings) -> Cached:
    """tensorflow-model-optimization gives dense kernels one scale, so Edge TPU or not makes no difference."""
    if source.keras is None:
        raise CannotQuantize(source.no_training, "leave it out: --candidates ptq")
    pictures = source.load_pictures("train")
    quantized = quantization_aware(
        source.keras,
        pictures,
        epochs=settings.qat_epochs,
        batch_size=source.batch_size,
        seed=source.seed,
        freeze_below=settings.qat_freeze_below,
        normalisation=source.normalisation,
    )
    model = to_int8_by_qat(quantized)
    probes = np.random.default_rng(source.seed).permutation(len(pictures))[:FIDELITY_PICTURES]
    fidelity = check_fidelity(quantized, model, pictures[probes], source.normalisation)
    return Cached(model, {"fidelity": dataclasses.asdict(fidelity)})
