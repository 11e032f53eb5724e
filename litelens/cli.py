"""The `litelens` command: one verb a room, each imported only when it is used."""

import importlib
import sys

import click

from edge_runtime.errors import LitelensError

VERBS = {
    # verb: (module, command, one line for `litelens --help`, so that no room is imported to print it)
    "audit": ("trainer.audit.cli", "audit", "Say what is wrong with a set of pictures."),
    "train": ("trainer.cli", "train", "Train a classifier on labelled pictures."),
    "evaluate": ("trainer.evaluation.cli", "evaluate", "Measure a training run on labelled pictures."),
    "compare": ("trainer.evaluation.cli", "compare", "Put training runs side by side."),
    "predict": ("trainer.evaluation.cli", "predict", "Label pictures with a training run, into a CSV."),
    "explain": ("trainer.explain.cli", "explain", "Draw what a training run sees, and what fools it."),
    "export": ("exporter.cli", "export", "Turn a training run into a proven int8 model file."),
    "info": ("edge_runtime.cli", "info", "Say what a model file is and how accurate it was measured."),
    "verify": ("edge_runtime.cli", "verify", "Replay a model file's self-test with this interpreter."),
    "classify": ("edge_runtime.cli", "classify", "Label pictures, folders of pictures and videos."),
    "run": ("edge_runtime.live.cli", "run", "Watch a camera: label its frames, tell what comes and goes."),
    "service": ("edge_runtime.service.cli", "service", "Run a camera as a systemd service, from boot on."),
    "selftest": ("edge_runtime.selftest_cli", "selftest", "Say whether this device can do its work with a model file."),
    "store": ("edge_runtime.store.cli", "store", "Keep versions of models on this device, switch, go back."),
    "update": ("edge_runtime.updating.cli", "update", "Take the newest model that a signed repository offers."),
    "doctor": ("litelens.doctor.cli", "doctor", "Say what is wrong with this machine, and how to mend it."),
    "provision": ("fleet.provisioning.cli", "provision", "Install litelens, its service and a store over ssh."),
    "image": ("fleet.provisioning.image_cli", "image", "Write what has a fresh SD card come up classifying."),
    "flash": ("fleet.flashing.cli", "flash", "Bring a model file to devices; one that fails there goes back."),
    "fleet": ("fleet.inspecting.cli", "fleet", "Say how devices do, roll back, say what was done to them."),
    "pull": ("fleet.pulling.cli", "pull", "Bring hard examples and saved frames here, for training."),
    "drift": ("fleet.drifting.cli", "drift", "Say which device sees other things than were expected."),
    "publish": ("fleet.repository.cli", "publish", "Offer a model file to all devices that follow a repository."),
    "repo": ("fleet.repository.cli", "repo", "Look after a signed repository: its keys and signatures."),
    "bench": ("benchmarks.cli", "bench", "Measure a model file's latency, memory and accuracy."),
    "demo": ("litelens.demo", "demo", "Go the whole way on pictures drawn for the purpose."),
}


class LazyVerbs(click.Group):
    """A click group that imports a verb's module when the verb is called."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        module, command, _ = VERBS[name]
        return getattr(importlib.import_module(module), command)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in VERBS.items()])

    def invoke(self, context: click.Context):
        try:
            return super().invoke(context)
        except LitelensError as error:
            click.echo(f"error: {error}", err=True)
            click.echo(f"hint: {error.hint}", err=True)
            sys.exit(error.exit_code)


@click.command(cls=LazyVerbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="litelens")
def main() -> None:
    """Train a camera classifier, prove its int8 version, run it on small devices.

    Exit codes: 0 done, 1 an expected failure (error: and hint: on stderr), 2 wrong usage, 3 a gate was
    missed.
    """
