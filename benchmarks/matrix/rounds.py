"""Measures a matrix: every model in every interpreter with every number of threads, in rounds."""

import random
from collections.abc import Callable
from contextlib import ExitStack
from importlib import metadata
from itertools import product

import numpy as np

from benchmarks.card.contract import Spread
from benchmarks.card.facts import Name
from benchmarks.matrix import results
from benchmarks.matrix.candidates import Candidate
from benchmarks.matrix.cell import LIMIT_S, Cell, CellFailed
from benchmarks.matrix.interpreters import install_command, version
from benchmarks.matrix.messages import Answers, Classify, TimeFrames
from benchmarks.matrix.results import FEWEST_ROUNDS, Place, front, paired_ratio
from benchmarks.measuring.frame import FRAME_SIZE
from benchmarks.measuring.noise import SPREAD_LIMIT
from benchmarks.measuring.others import CROWDED, CpuTime
from benchmarks.measuring.pictures import Pictures
from edge_runtime.errors import InterpreterError

SEED = 0
"""Of the order within the rounds."""


def measure_matrix(
    candidates: list[Candidate],
    interpreters: list[str],
    threads: list[int],
    *,
    rounds: int,
    round_s: float,
    pictures: Pictures | None = None,
    report: Callable[[str], None] = lambda line: None,
    limit_s: float = LIMIT_S,
) -> results.Matrix:
    """Measures each cell in a process of its own; what fails is left out and told, the rest goes on.

    Args:
        candidates: The models.
        interpreters: Keys of benchmarks.matrix.interpreters.INTERPRETERS; those that are not installed are left out.
        threads: How many threads one invoke may use.
        rounds: How often each cell has its turn.
        round_s: How long each turn is.
        pictures: To measure top-1 with, for the candidates whose answers mean anything; None: no accuracy.
        report: Told what is being done.
        limit_s: A process that is silent for longer is ended.

    Raises:
        InterpreterError: If no cell could be measured.
    """
    installed = [name for name in interpreters if not install_command(name)]
    cells = [Cell(*parts) for parts in product(candidates, installed, threads)]
    failed: dict[Cell, CellFailed] = {}
    before = CpuTime.now()
    with ExitStack() as running:
        _load(cells, failed, running, report, limit_s)
        _check_some_left(cells, failed, interpreters)
        times = _run_rounds(cells, failed, rounds, round_s, report, limit_s)
        _check_some_left(cells, failed, interpreters)
        measured = [cell for cell in cells if cell not in failed]
        answers, notes = _classify(measured, pictures, report, limit_s) if pictures else ({}, [])
    others_share = before.others_share(CpuTime.now())
    found = _put_together(cells, failed, {cell: times[cell] for cell in measured}, answers)
    return results.Matrix(
        litelens=metadata.version("litelens"),
        models=tuple(_describe(candidate) for candidate in candidates),
        interpreters=tuple(
            results.Interpreter(name, version(name) if name in installed else "", install_command(name))
            for name in interpreters
        ),
        cells=tuple(found),
        rounds=rounds,
        round_s=round_s,
        seed=SEED,
        frame_height_px=FRAME_SIZE[0],
        frame_width_px=FRAME_SIZE[1],
        notes=tuple(notes),
        others_share=others_share,
        reasons=tuple(_reasons(found, rounds, others_share)),
    )


def _load(
    cells: list[Cell],
    failed: dict[Cell, CellFailed],
    running: ExitStack,
    report: Callable[[str], None],
    limit_s: float,
) -> None:
    """Starts all processes, one after the other."""
    for number, cell in enumerate(cells, 1):
        report(f"loading {number} of {len(cells)}: {cell}")
        try:
            running.enter_context(cell).load(limit_s)
        except CellFailed as problem:
            failed[cell] = problem


def _run_rounds(
    cells: list[Cell],
    failed: dict[Cell, CellFailed],
    rounds: int,
    round_s: float,
    report: Callable[[str], None],
    limit_s: float,
) -> dict[Cell, list[np.ndarray]]:
    """Seconds of each frame, an array a round. The others sleep while one cell runs."""
    times: dict[Cell, list[np.ndarray]] = {cell: [] for cell in cells}
    order = random.Random(SEED)
    for number in range(1, rounds + 1):
        turns = [cell for cell in cells if cell not in failed]
        order.shuffle(turns)  # or each cell would always meet the caches and the heat that the same one left
        report(f"round {number} of {rounds}: {len(turns)} x {round_s:g} s")
        for cell in turns:
            try:
                times[cell].append(cell.ask(TimeFrames(round_s), limit_s + round_s))
            except CellFailed as problem:
                failed[cell] = CellFailed(f"in round {number}, {problem}", problem.hint)
    return times


def _classify(
    cells: list[Cell], pictures: Pictures, report: Callable[[str], None], limit_s: float
) -> tuple[dict[tuple[str, str], Answers], list[str]]:
    """What each model answers in each interpreter, by their names; and what has no accuracy, and why."""
    answers: dict[tuple[str, str], Answers] = {}
    notes = []
    for cell in cells:
        pair = (cell.candidate.name, cell.interpreter)
        if pair in answers:
            continue  # the number of threads changes no answer
        if why := cell.candidate.without_meaning:
            note = f"{cell.candidate.name}: no accuracy, {why}"
            notes += [note] if note not in notes else []
            continue
        report(f"top-1 of {len(pictures.files)} pictures: {cell}")
        try:
            answers[pair] = cell.ask(Classify(pictures), limit_s)
        except CellFailed as problem:
            notes.append(f"{cell}: no accuracy, {problem}")
    return answers, notes


def _put_together(
    cells: list[Cell],
    failed: dict[Cell, CellFailed],
    times: dict[Cell, list[np.ndarray]],
    answers: dict[tuple[str, str], Answers],
) -> list[results.Cell]:
    rounds_ms = {
        cell: [float(np.median(seconds)) * 1000 for seconds in recorded] for cell, recorded in times.items()
    }
    by_cell = {cell: answers.get((cell.candidate.name, cell.interpreter)) for cell in times}
    places = [
        Place(
            rounds_ms[cell],
            cell.candidate.model_file.size_bytes,
            by_cell[cell].accuracy.top1 if by_cell[cell] else None,
        )
        for cell in times
    ]
    on_front = dict(zip(times, front(places), strict=True))
    first = next(iter(times))
    first_answers = next(iter(answers.values()), None)
    found = []
    for number, cell in enumerate(cells, 1):
        latency, said = None, None
        if cell in times:
            latency = _latency(times[cell], rounds_ms[cell], rounds_ms[first])
            said = by_cell[cell]
        found.append(
            results.Cell(
                number=number,
                model=cell.candidate.name,
                interpreter=cell.interpreter,
                threads=cell.threads,
                problem=Name(str(failed.get(cell, ""))),
                hint=failed[cell].hint if cell in failed else "",
                latency=latency,
                accuracy=said.accuracy if said else None,
                agreement=_agreement(said, first_answers) if said else None,
                on_front=on_front.get(cell, False),
            )
        )
    return found


def _latency(recorded: list[np.ndarray], rounds_ms: list[float], first_ms: list[float]) -> results.Latency:
    return results.Latency(
        frames=sum(map(len, recorded)),
        whole=Spread.of(np.concatenate(recorded)),
        rounds_p50_ms=tuple(rounds_ms),
        spread=float((max(rounds_ms) - min(rounds_ms)) / np.median(rounds_ms)),
        ratio=paired_ratio(rounds_ms, first_ms),
    )


def _agreement(one: Answers, other: Answers) -> float:
    return sum(map(str.__eq__, one.labels, other.labels)) / len(one.labels)


def _describe(candidate: Candidate) -> results.Model:
    return results.Model(
        name=candidate.name,
        file=candidate.model_file.path.name,
        sha256=candidate.sha256,
        size_bytes=candidate.model_file.size_bytes,
        input_height_px=candidate.input_height_px,
        input_width_px=candidate.input_width_px,
        input_dtype=candidate.input_dtype,
        weights_dtype=candidate.weights_dtype,
    )


def _reasons(cells: list[results.Cell], rounds: int, others_share: float | None) -> list[str]:
    """Why the times may not be quoted."""
    reasons = []
    if rounds < FEWEST_ROUNDS:
        reasons.append(f"{rounds} round{'s' if rounds > 1 else ''}, expected at least {FEWEST_ROUNDS}")
    noisy = [cell for cell in cells if cell.latency and cell.latency.spread > SPREAD_LIMIT]
    if noisy:
        most = max(cell.latency.spread for cell in noisy)
        reasons.append(
            f"the medians of the rounds spread by up to {most:.0%} in {len(noisy)} cells, expected {SPREAD_LIMIT:.0%} "
            "at most; the ratios, each within a round, suffer less"
        )
    if others_share is not None and others_share > CROWDED:
        reasons.append(f"other programs took {others_share:.0%} of all cores, expected at most {CROWDED:.0%}")
    return reasons


def _check_some_left(cells: list[Cell], failed: dict[Cell, CellFailed], interpreters: list[str]) -> None:
    """Raises InterpreterError if no cell is left."""
    if not cells:
        commands = dict.fromkeys(install_command(name) for name in interpreters)
        raise InterpreterError(f"not installed: {', '.join(interpreters)}", "; ".join(commands))
    if len(failed) == len(cells):
        said = "; ".join(f"{cell}: {problem}" for cell, problem in failed.items())
        raise InterpreterError(f"nothing could be measured: {said}", next(iter(failed.values())).hint)
