"""litelens beside other runtimes on the same frames. `make bench-peers` makes their environments and calls it.

python -m benchmarks.peers.runtimes.bench NAME.tflite --data DIR --float FLOAT.tflite --threads 1 --json FILE
"""

import os
import sys
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from benchmarks.measuring.frame import FRAME_SIZE
from benchmarks.measuring.model_facts import describe_model
from benchmarks.measuring.others import CROWDED, CpuTime
from benchmarks.measuring.pictures import find_pictures
from benchmarks.peers.runtimes.camera_frames import write_frames
from benchmarks.peers.runtimes.comparison import FRAMES, TURN_S, Comparison
from benchmarks.peers.runtimes.models import Models, sha256
from benchmarks.peers.runtimes.table import aims, table
from benchmarks.result_file import begin, write_result
from edge_runtime.errors import LitelensError


@click.command()
@click.argument("model", metavar="NAME.tflite", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Pictures, a folder a class; of splits, test or validation is taken.",
)
@click.option(
    "--float",
    "float_model",
    type=click.Path(path_type=Path),
    metavar="FLOAT.tflite",
    help="The float candidate of the model's export; without it there are no float rows.",
)
@click.option(
    "--environments",
    type=click.Path(path_type=Path),
    default=Path(".venv-peers"),
    show_default=True,
    metavar="DIR",
    help="Where make bench-peers put them.",
)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, metavar="N")
@click.option("--pictures", "limit", type=click.IntRange(min=1), default=200, show_default=True, metavar="N")
@click.option("--rounds", type=click.IntRange(min=1), default=30, show_default=True, metavar="N")
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="FILE")
def main(
    model: Path,
    data: Path,
    float_model: Path | None,
    environments: Path,
    threads: int,
    limit: int,
    rounds: int,
    json_path: Path | None,
) -> None:
    """Times a whole frame, from memory to its label, in litelens and in other runtimes, in turns.

    Prints each one's p50, its ratio to litelens paired by round, how often its label is litelens's and how often right, how
    far its probabilities are from LiteRT's on the same inputs, and what it takes to install and to start.
    """
    began = begin()
    try:
        models = Models.load(model, float_model, threads)
        pictures = find_pictures(data, models.classifier.labels)
        with tempfile.TemporaryDirectory() as folder:
            truth = write_frames(pictures, limit, Path(folder) / FRAMES)
            comparison = Comparison(models, environments, Path(folder), tell=partial(click.echo, err=True))
            found = comparison.run(truth, rounds)
        click.echo(f"{table(found)}\n\n{aims(found)}")
        if threads > (cores := os.cpu_count() or 1):
            click.echo(f"{threads} threads are more than the cores here, {cores}")
        others_share = began.cpu_time.others_share(CpuTime.now())
        if others_share and others_share > CROWDED:
            click.echo(f"other programs took {others_share:.0%} of the processor: not to be quoted")
        if json_path:
            measured = {
                "model": asdict(describe_model(models.classifier)),
                "float_model_sha256": sha256(float_model) if float_model else None,
                "data": data.resolve().name,
                "split": pictures.split,
                "pictures": len(truth),
                "frame_height_px": FRAME_SIZE[0],
                "frame_width_px": FRAME_SIZE[1],
                "threads": threads,
                "rounds": rounds,
                "turn_s": TURN_S,
                "peers": [asdict(one) for one in found],
            }
            write_result(json_path, "peers", began, measured)
    except LitelensError as error:
        click.echo(f"error: {error}", err=True)
        click.echo(f"hint: {error.hint}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
