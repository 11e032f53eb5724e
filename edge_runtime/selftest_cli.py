"""The verb `selftest`: whether this device can do its work, for people and for scripts."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from edge_runtime.selftest import CameraResult, DeviceFailed, LatencyResult, Report, VectorsResult
from edge_runtime.selftest import selftest as try_device


@click.command()
@click.argument("model", metavar="NAME.tflite", type=click.Path(path_type=Path))
@click.option("--camera", metavar="SOURCE", help="Also take a frame from what litelens run --camera takes.")
@click.option(
    "--max-latency-ms",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MS",
    help="Fail if more than 1 of 100 frames of 640x480 takes longer.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads one inference may use. [default: the cores, at most 4]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def selftest(
    model: Path, camera: str | None, max_latency_ms: float | None, threads: int | None, as_json: bool
) -> None:
    """Say whether this device can do its work with a model file.

    Replays the file's self-test vectors, times whole frames, and takes a frame from the camera if one is named.
    Exit codes: 0 passed, 1 it could not be tried (no model, no interpreter, a crash), 3 a part failed.

    \b
    litelens selftest parts.tflite --camera 0 --max-latency-ms 50
    """
    report = try_device(model, camera, max_latency_ms, threads)
    click.echo(json.dumps(asdict(report)) if as_json else "\n".join(_lines(report)))
    if not report.passed:
        failed = [name for name in ("vectors", "latency", "camera") if _failed(getattr(report, name))]
        raise DeviceFailed(f"{model}: {' and '.join(failed)} failed on this device", _HINTS[failed[0]])


_HINTS = {
    "vectors": "update the interpreter: pip install --upgrade ai-edge-litert; or export the model again",
    "latency": "end other programs, cool the board, train with a smaller --size, or allow more with --max-latency-ms",
    "camera": "litelens doctor looks for cameras",
}


def _failed(part: VectorsResult | LatencyResult | CameraResult | None) -> bool:
    return part is not None and not part.passed


def _lines(report: Report) -> list[str]:
    """The report as text for people, a line a part."""
    vectors, latency = report.vectors, report.latency
    budget = "" if latency.max_ms is None else f", at most {latency.max_ms:g} ms wanted"
    lines = [
        f"model    {report.name} {report.version} on {report.interpreter}, {latency.threads} threads",
        f"vectors  {_verdict(vectors)}  {vectors.vectors} replayed, off by {vectors.largest_difference} output steps, "
        f"{vectors.tolerance} allowed",
        f"latency  {_verdict(latency)}  p50 {latency.p50_ms:.1f} ms, p99 {latency.p99_ms:.1f} ms of {latency.frames} "
        f"frames{budget}",
    ]
    return lines + ([_camera_line(report.camera)] if report.camera else [])


def _camera_line(camera: CameraResult) -> str:
    if camera.error:
        return f"camera   failed  {camera.source}: {camera.error}"
    warning = (
        "" if camera.picture == "clear" else f"; the picture is {camera.picture}: lens cap, light, cable?"
    )
    return (
        f"camera   passed  {camera.source}: {camera.width_px}x{camera.height_px} after {camera.waited_ms:.0f} ms, "
        f"{camera.answer} {camera.score:.3f}{warning}"
    )


def _verdict(part: VectorsResult | LatencyResult | CameraResult) -> str:
    return "passed" if part.passed else "failed"
