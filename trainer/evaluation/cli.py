"""The verbs evaluate, compare and predict. TensorFlow is imported only for a run folder's float model."""

import json
from pathlib import Path

import click

from edge_runtime.errors import DataError, PictureError, WriteError
from edge_runtime.extras import extra
from edge_runtime.whole_file import write_whole

PATH = click.Path(path_type=Path)
_model = click.argument("model", metavar="RUN", type=PATH)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command()
@_model
@click.option(
    "--data",
    metavar="SOURCE",
    help="Labelled pictures, as litelens train takes them.  [default: the run's own held-back split]",
)
@click.option(
    "--split", metavar="NAME", help="Only this split: train, validation or test.  [default: all of SOURCE]"
)
@click.option(
    "--report", type=PATH, metavar="FILE.html", help="Write a page with the worst mistakes as pictures."
)
@_json
def evaluate(model: Path, data: str | None, split: str | None, report: Path | None, as_json: bool) -> None:
    """Judge a trained model on labelled pictures.

    RUN is a run folder, whose float model is judged, or a .tflite model file, which is judged as a device runs
    it. Prints accuracy, top-k and a line a class. Pictures that cannot be read are named on stderr and left out.

    \b
    litelens evaluate runs/parts --data more-pictures/
    litelens evaluate parts.tflite --data more-pictures/ --json
    """
    with extra("train", "litelens evaluate"):
        from trainer.evaluation import evaluation
        from trainer.evaluation.scorer import open_scorer

    _check_folders(report)
    scorer = open_scorer(model)
    if data is None:
        labelled = evaluation.own_pictures(scorer, split)
    else:
        labelled = evaluation.find_labelled(data, split, scorer.labels)
        if known := evaluation.trained_on(scorer, labelled):
            click.echo(
                f"{known} of these {len(labelled.pictures)} pictures were trained on: "
                "the accuracy on new ones may be lower",
                err=True,
            )
        if labelled.remarks:
            click.echo(
                f"{labelled.remarks} remarks on the source: litelens audit {data} tells them", err=True
            )
    found = evaluation.evaluate(scorer, labelled, _say_skipped)
    if report:
        write_whole(report, evaluation.render_evaluation(found).encode())
    click.echo(json.dumps(found.to_json()) if as_json else evaluation.text_table(found))


@click.command()
@click.argument("runs", metavar="RUN RUN...", nargs=-1, required=True, type=PATH)
@click.option(
    "--plot", type=PATH, metavar="FILE.png", help="Write validation accuracy over epochs and over seconds."
)
@click.option("--by-epoch", is_flag=True, help="Also print validation accuracy after each epoch.")
@_json
def compare(runs: tuple[Path, ...], plot: Path | None, by_epoch: bool, as_json: bool) -> None:
    """Put training runs beside each other.

    Prints a line a run: accuracies, loss, size, epochs, time and what was trained. Says on stderr if the runs
    had different data or were judged on different pictures, for then the figures cannot be compared.

    \b
    litelens compare runs/small runs/large --plot compared.png
    """
    with extra("train", "litelens compare"):
        from trainer.charts import png
        from trainer.evaluation.charts import draw_comparison
        from trainer.evaluation.comparison import epoch_rows, find_differences, summarise_run, table_rows
        from trainer.evaluation.tables import columns

    found = [summarise_run(run) for run in runs]
    differences = find_differences(found)
    for difference in differences:
        click.echo(f"warning: {difference}", err=True)
    if plot:
        write_whole(plot, png(draw_comparison(found)))
    if as_json:
        click.echo(json.dumps({"runs": [run.to_json() for run in found], "warnings": differences}))
    else:
        click.echo(columns(table_rows(found)))
        if by_epoch:
            click.echo(f"\nvalidation accuracy after each epoch\n{columns(epoch_rows(found))}")


@click.command()
@_model
@click.argument("pictures", metavar="DIR", type=PATH)
@click.option("--csv", "table", type=PATH, metavar="FILE.csv", help="Write id and one column a class.")
@click.option(
    "--chart",
    type=PATH,
    metavar="FILE.png",
    help="Write twelve of the pictures with answer, true class where known, and the ten best classes as bars.",
)
def predict(model: Path, pictures: Path, table: Path | None, chart: Path | None) -> None:
    """Predict the classes of pictures that nobody labelled.

    RUN is a run folder or a .tflite model file, DIR a folder of pictures or one picture. The table has a row a
    picture with the probability of each class; files that are no readable pictures are named on stderr and left
    out.

    \b
    litelens predict runs/breeds unlabelled/ --csv submission.csv --chart some.png
    """
    if not table and not chart:
        raise click.UsageError("give --csv FILE.csv or --chart FILE.png: what is to be written?")
    with extra("train", "litelens predict"):
        from trainer.charts import png
        from trainer.evaluation.charts import draw_answers
        from trainer.evaluation.prediction import choose_answers, find_truth, predict_pictures, to_csv
        from trainer.evaluation.scorer import open_scorer

    _check_folders(table, chart)
    scorer = open_scorer(model)
    scored = predict_pictures(scorer, pictures, _say_skipped)
    if table:
        write_whole(table, to_csv(scorer.labels, pictures, scored))
    if chart:
        truth = {}
        if pictures.is_dir():
            try:
                truth = find_truth(pictures, scorer.labels)
            except DataError as problem:
                click.echo(f"no true classes in the chart: {problem}", err=True)
        write_whole(chart, png(draw_answers(scorer.labels, choose_answers(scorer, scored, truth))))
    click.echo(f"{len(scored)} pictures predicted", err=True)


def _check_folders(*files: Path | None) -> None:
    """Finds out before the work what would lose it: that a file to write has no folder."""
    for file in files:
        if file and not file.absolute().parent.is_dir():
            raise WriteError(
                f"{file} cannot be written: there is no folder {file.parent}", f"mkdir -p {file.parent}"
            )


def _say_skipped(problem: PictureError) -> None:
    click.echo(f"skipped: {problem}", err=True)
