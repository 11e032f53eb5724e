"""Whether the pictures keep up with the network: pictures/s of reading, of augmentation, and of the backbone.

    python -m benchmarks.input_pipeline --data DIR --json FILE

Each stage is timed alone, in turn, round after round, so that a machine that slows down hits all alike. It runs in a
process that needs litelens[train].
"""

import json
import statistics
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks.latency import this_machine
from edge_runtime.whole_file import write_whole

STAGES = Path(__file__).parent / "peers" / "training_stages.py"


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, metavar="DIR")
@click.option("--size", type=int, default=160, show_default=True, metavar="PX")
@click.option("--alpha", type=float, default=1.0, show_default=True)
@click.option("--rounds", type=int, default=5, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="FILE")
def main(data: Path, size: int, alpha: float, rounds: int, json_path: Path | None) -> None:
    """Times the stages in a process of their own and prints pictures/s of each."""
    command = [sys.executable, STAGES, data, str(size), str(alpha), str(rounds)]
    output = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout
    rates = json.loads(output.splitlines()[-1])
    backbone = statistics.median(rates["backbone"])
    click.echo(f"pictures/s at {size} px, median of {rounds} rounds, and times the backbone's (alpha {alpha})")
    for stage, values in rates.items():
        median = statistics.median(values)
        click.echo(f"{stage:28}{median:8.0f}{median / backbone:8.1f} x")
    if json_path:
        report = {"machine": asdict(this_machine()), "size": size, "alpha": alpha, "pictures_per_s": rates}
        write_whole(json_path, (json.dumps(report, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
