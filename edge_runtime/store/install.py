"""From a file to the version that answers: copied, tried on this device, switched to; or refused, and nothing has changed."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from edge_runtime.errors import InterpreterError, ModelFileError
from edge_runtime.selftest import Report, SelfTestUnfinished, selftest
from edge_runtime.store.errors import SelfTestMissed
from edge_runtime.store.store import ALREADY, KEEP, Store


@dataclass(frozen=True)
class Installed:
    """What `install` did."""

    version: str
    did: str
    """SWITCHED, or ALREADY: these bytes were the current version, and were not tried again."""
    report: Report | None
    """Of the self-test; None where there was none."""


def install(
    store: Store,
    source: Path | BinaryIO,
    sha256: str | None = None,
    *,
    max_latency_ms: float | None = None,
    healthy_s: float | None = None,
    keep: int = KEEP,
    by: str,
    why: str = "",
) -> Installed:
    """Adds a model file, if this device can do its work with it, and switches to it.

    Args:
        store: Of the file's model.
        source: As `Store.add` takes it.
        sha256: What the bytes must have, in hexadecimal.
        max_latency_ms: What 99 of 100 frames of 640x480 may take; None only measures.
        healthy_s: As `Store.switch` takes it.
        keep: How many versions stay.
        by: Who wants it, for the history.
        why: What for.

    Raises:
        StoreBusy: If another installation is under way, or another version on trial.
        VersionRefused: As `Store.add`.
        SelfTestMissed: If the answers differ from what the exporter saw, or come too late.
        ModelFileError: If it is no model file, or cannot be read.
        SelfTestUnfinished: If it crashes or hangs the interpreter.
        InterpreterError: If the interpreter refuses it.
        StoreError: If the disk does not take it.
    """
    with ExitStack() as stack:
        stack.enter_context(store.installing(by))
        staged = stack.enter_context(store.staged(source, sha256, by=by))
        if not store.check_new(staged, by):
            return Installed(staged.version, ALREADY, None)
        try:
            report = _tried(staged.path, max_latency_ms)
        except (SelfTestMissed, ModelFileError, SelfTestUnfinished, InterpreterError) as problem:
            message = str(problem).replace(str(staged.path), f"{store.name} {staged.version}")
            refused = type(problem)(message, problem.hint)
            store.refuse(refused, staged.version, by)
            raise refused from problem
        store.place(staged, by=by, why=why)
        did = store.switch(staged.version, healthy_s=healthy_s, by=by, why=why)
    store.keep(keep, by=by)
    return Installed(staged.version, did, replace(report, model=str(store.file(staged.version))))


def _tried(path: Path, max_latency_ms: float | None) -> Report:
    report = selftest(path, max_latency_ms=max_latency_ms)
    vectors, latency = report.vectors, report.latency
    if not vectors.passed:
        raise SelfTestMissed(
            f"{report.name} {report.version} differs by {vectors.largest_difference} output steps from what the "
            f"exporter saw, expected at most {vectors.tolerance}",
            "update the interpreter: pip install --upgrade ai-edge-litert; or export the model again",
        )
    if not latency.passed:
        raise SelfTestMissed(
            f"{report.name} {report.version} takes {latency.p99_ms:.1f} ms for 99 of 100 frames, "
            f"expected at most {latency.max_ms:g} ms",
            "train with a smaller --size, or allow more with --max-latency-ms",
        )
    return report
