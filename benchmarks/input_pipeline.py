"""Whether the pictures keep up with the network: pictures/s of reading, of augmentation, and of the backbone.

    python -m benchmarks.input_pipeline --data DIR --json FILE

Each stage is timed alone, in turn, round after round, so that a machine that slows down hits all alike. It runs in a
process that needs litelens[train].
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path

import click

from benchmarks.result_file import begin, write_result

STAGES = Path(__file__).parent / "peers" / "training_stages.py"


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, metavar="DIR")
@click.option("--size", type=int, default=160, show_default=True, metavar="PX")
@click.option("--alpha", type=float, default=1.0, show_default=True)
@click.option("--rounds", type=int, default=5, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="FILE")
def main(data: Path, size: int, alpha: float, rounds: int, json_path: Path | None) -> None:
    """Times the stages in a process of their own and prints pictures/s of each."""
    began = begin()
    command = [sys.executable, STAGES, data, str(size), str(alpha), str(rounds)]
    output = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout
    rates = json.loads(output.splitlines()[-1])
    backbone = statistics.median(rates["backbone"])
    click.echo(
        f"pictures/s at {size} px, median of {rounds} rounds, and times the backbone's (alpha {alpha})"
    )
    for stage, values in rates.items():
        median = statistics.median(values)
        click.echo(f"{stage:28}{median:8.0f}{median / backbone:8.1f} x")
    if json_path:
        measured = {"data": data.name, "size": size, "alpha": alpha, "pictures_per_s": rates}
        write_result(json_path, "input_pipeline", began, measured)


if __name__ == "__main__":
    main()
