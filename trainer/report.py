"""One self-contained HTML page that tells how a training run went."""

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
import matplotlib

matplotlib.use("Agg")  # no display on a workstation reached over ssh

from matplotlib import pyplot

from trainer.config import TrainConfig
from trainer.dataset import Dataset

if TYPE_CHECKING:
    from trainer.training import Epoch, Trained

TEMPLATE = Path(__file__).parent / "report.html.j2"


def render_report(config: TrainConfig, dataset: Dataset, trained: "Trained") -> str:
    """HTML with the result, learning curves, confusion matrices, skipped files and settings of a run."""
    return render_page(
        TEMPLATE,
        config=config,
        dataset=dataset,
        trained=trained,
        curves=data_url(_draw_curves(trained.history)),
    )


def render_page(template: Path, **values) -> str:
    """HTML of a jinja2 template; what is put in is escaped, and a name that is missing is an error."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(template.read_text(encoding="utf-8")).render(**values)


def data_url(figure: pyplot.Figure) -> str:
    """The figure as a data: URL of a PNG, so that the page needs no other file; closes the figure."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    pyplot.close(figure)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _draw_curves(history: "list[Epoch]") -> pyplot.Figure:
    figure, (accuracy, loss) = pyplot.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    steps = range(1, len(history) + 1)
    for axes, name in ((accuracy, "accuracy"), (loss, "loss")):
        axes.plot(steps, [getattr(epoch, name) for epoch in history], label="train")
        axes.plot(steps, [getattr(epoch, f"val_{name}") for epoch in history], label="validation")
        first_of_phase_2 = sum(epoch.phase == 1 for epoch in history) + 0.5
        axes.axvline(first_of_phase_2, color="grey", linestyle=":", label="phase 2 begins")
        axes.set(xlabel="epoch", title=name)
    accuracy.legend()
    return figure
