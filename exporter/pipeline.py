"""Export: candidates, measured by the device's code, judged by the gate, the best one written."""

import dataclasses
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from edge_runtime.classifier import Classifier
from edge_runtime.errors import GateMissed, RunFolderError, WriteError
from edge_runtime.model_file import Accuracy, Manifest, ModelFile, Provenance, SelfTestVector, pack
from edge_runtime.whole_file import write_whole
from exporter.channel_scaling import equalise_depthwise_kernels
from exporter.conversion import to_float, to_int8_by_ptq, to_int8_by_qat
from exporter.dead_channels import settle_dead_channels
from exporter.gate import GateVerdict, judge
from exporter.measurement import Measurement, measure
from exporter.metadata import add_metadata
from exporter.quantization_aware import quantization_aware
from trainer.dataset import load_arrays
from trainer.legacy_keras import tf
from trainer.progress import say
from trainer.run_folder import Run, package_versions, read

PTQ_PICTURES = 200
"""With 200 calibration pictures post-training quantization lost nothing on cats and dogs (98.4 % both)."""
SELFTEST_COEFFICIENTS = ((1, 1, 40), (7, 3, 80), (2, 11, 120))
"""Gradients of different slope: smooth, diagonal and busy inputs."""
SELFTEST_TOLERANCE = 26
"""Of 255 output steps. Interpreters differed by up to 24 on one int8 model: per-channel kernels round differently."""


@dataclass(frozen=True)
class Exported:
    """What an export decided."""

    measurements: dict[str, Measurement]
    verdicts: dict[str, GateVerdict]
    chosen: str
    """The candidate that was written: "ptq" or "qat"."""


def export(run_folder: Path, out: Path, *, qat_epochs: int, max_drop: float) -> Exported:
    """Makes int8 candidates of a run, measures them beside float, and writes the better one that passes the gate.

    Args:
        run_folder: Written by ``litelens train``.
        out: The model file to write.
        qat_epochs: Epochs of quantization-aware training; 0 leaves the calibrated model untrained.
        max_drop: Largest loss of top-1 against float that passes, in percentage points.

    Raises:
        RunFolderError: If the run folder is incomplete or its model does not fit its labels.
        WriteError: If `out` cannot be written; found out before anything is trained.
        GateMissed: If no int8 candidate passes; nothing is written.
    """
    _check_target(out)
    run = read(run_folder)
    model = _load_float_model(run)
    settled = settle_dead_channels(model)
    equalise_depthwise_kernels(model)
    say(f"{settled} dead channels settled" if settled else "no dead channels")
    models = _candidates(run, model, qat_epochs)
    with tempfile.TemporaryDirectory() as temporary:
        classifiers = {
            name: _load_candidate(Path(temporary), name, model, run) for name, model in models.items()
        }
        measurements = measure(classifiers, run.splits[run.held_back])
        reference = measurements["float"]
        verdicts = {
            name: judge(found, reference, max_drop) for name, found in measurements.items() if name != "float"
        }
        _print_table(run, measurements, verdicts, max_drop)
        chosen = _choose(measurements, verdicts)
        if chosen is None:
            raise GateMissed(
                f"no int8 model is within {max_drop} points of float's top-1; {out} was not written",
                "train longer, use more pictures, raise --qat-epochs, or allow more with --max-drop",
            )
        manifest = _manifest(run, out.stem, chosen, measurements, classifiers[chosen])
    write_whole(out, pack(_with_metadata(models[chosen], run, manifest), run.labels, manifest))
    say(f"{out} written: int8 by {chosen.upper()}, {out.stat().st_size} bytes")
    return Exported(measurements, verdicts, chosen)


def _candidates(run: Run, model: tf.keras.Model, qat_epochs: int) -> dict[str, bytes]:
    """TFLite models by name: the float reference and the int8 candidates."""
    pictures, _ = load_arrays(run.splits["train"], run.config.size)
    calibration = pictures[np.random.default_rng(run.config.seed).permutation(len(pictures))[:PTQ_PICTURES]]
    with _Step("float model converted"):
        candidates = {"float": to_float(model)}
    with _Step(f"int8 by post-training quantization, {len(calibration)} pictures"):
        candidates["ptq"] = to_int8_by_ptq(model, calibration)
    with _Step(f"quantization-aware training, {qat_epochs} epochs on {len(pictures)} pictures"):
        quantized = quantization_aware(
            model, pictures, epochs=qat_epochs, batch_size=run.config.batch_size, seed=run.config.seed
        )
    with _Step("int8 by quantization-aware training converted"):
        candidates["qat"] = to_int8_by_qat(quantized)
    return candidates


def _choose(measurements: dict[str, Measurement], verdicts: dict[str, GateVerdict]) -> str | None:
    """The best top-1 that passed; equal top-1, then better agreement with float."""
    passed = [name for name, verdict in verdicts.items() if verdict.passed]
    return max(
        passed,
        key=lambda name: (measurements[name].right, measurements[name].agreement(measurements["float"])),
        default=None,
    )


def _check_target(out: Path) -> None:
    if out.suffix != ".tflite":
        raise WriteError(
            f"--out {out}: expected a name that ends in .tflite",
            f"litelens export RUN --out {out.with_suffix('.tflite')}",
        )
    if out.is_dir():
        raise WriteError(
            f"--out {out} is a directory, expected a file", f"name a file in it: {out / 'model.tflite'}"
        )
    try:
        # Made and dropped now: an export takes minutes, and would find out only at its end.
        tempfile.TemporaryFile(dir=out.parent).close()
    except OSError as problem:
        raise WriteError(
            f"cannot write in {out.parent}: {problem}", "create the folder or choose another --out"
        ) from problem


def _load_float_model(run: Run) -> tf.keras.Model:
    try:
        model = tf.keras.models.load_model(run.model_path, compile=False)
    except (ValueError, OSError, KeyError, TypeError) as problem:
        raise RunFolderError(
            f"{run.model_path} cannot be loaded: {problem}", "train again into a new folder"
        ) from problem
    size, classes = model.input_shape[1:3], model.output_shape[-1]
    if classes != len(run.labels) or size != (run.config.size, run.config.size):
        raise RunFolderError(
            f"{run.model_path} has {classes} outputs and input {size}, labels.txt has {len(run.labels)} labels "
            f"and config.toml size {run.config.size}",
            "train again into a new folder",
        )
    return model


def _load_candidate(folder: Path, name: str, model: bytes, run: Run) -> Classifier:
    path = folder / f"{name}.tflite"
    path.write_bytes(model)
    return Classifier(ModelFile(path, None, run.labels, len(model)))


def _manifest(
    run: Run, name: str, chosen: str, measurements: dict[str, Measurement], classifier: Classifier
) -> Manifest:
    reference, int8 = measurements["float"], measurements[chosen]
    # The data's folder name, not its path: a model file is given away.
    config = dataclasses.asdict(run.config) | {"data": Path(run.config.data).name}
    return Manifest(
        name=name,
        version=time.strftime("%Y%m%d.%H%M%S", time.gmtime()),
        resize=run.config.resize,
        method=chosen,
        accuracy=Accuracy(
            split=run.held_back,
            pictures=reference.pictures,
            float_top1=reference.top1,
            int8_top1=int8.top1,
            agreement=int8.agreement(reference),
        ),
        selftest=_selftest_vectors(classifier),
        provenance=Provenance(run.fingerprint, config, package_versions()),
    )


def _with_metadata(model: bytes, run: Run, manifest: Manifest) -> bytes:
    described = (
        f"Tells {', '.join(run.labels[:6])}{' and more' if len(run.labels) > 6 else ''} apart in pictures."
    )
    return add_metadata(
        model, run.labels, name=manifest.name, version=manifest.version, description=described
    )


def _selftest_vectors(classifier: Classifier) -> tuple[SelfTestVector, ...]:
    vectors = []
    for coefficients in SELFTEST_COEFFICIENTS:
        vector = SelfTestVector(coefficients, (), SELFTEST_TOLERANCE)
        output = classifier.invoke(vector.picture(classifier.input_size)[np.newaxis])
        vectors.append(dataclasses.replace(vector, expected=tuple(int(value) for value in output)))
    return tuple(vectors)


def _print_table(
    run: Run, measurements: dict[str, Measurement], verdicts: dict[str, GateVerdict], max_drop: float
) -> None:
    reference = measurements["float"]
    click.echo(f"{reference.pictures} {run.held_back} pictures, measured through edge_runtime.Classifier")
    click.echo(
        f"{'candidate':10} {'bytes':>9} {'top-1':>7} {'drop':>6} {'agreement':>9} {'p50 ms':>7}  gate (at most {max_drop} points)"
    )
    for name, found in measurements.items():
        verdict = verdicts.get(name)
        drop, gate = (
            ("", "reference")
            if verdict is None
            else (f"{verdict.drop:+.2f}", "passed" if verdict.passed else "MISSED")
        )
        click.echo(
            f"{name:10} {found.size_bytes:9} {100 * found.top1:6.2f}% {drop:>6} {100 * found.agreement(reference):8.2f}% "
            f"{found.p50_ms:7.2f}  {gate}"
        )


class _Step:
    """Says what was done and how long it took."""

    def __init__(self, what: str):
        self._what = what

    def __enter__(self):
        self._started = time.monotonic()
        say(f"{self._what} ...")

    def __exit__(self, *exception):
        if exception[0] is None:
            say(f"  {time.monotonic() - self._started:.0f} s")
