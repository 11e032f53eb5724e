"""Tells how far a training is and how long it will take."""

import sys
import time

import click

from trainer.legacy_keras import tf


def say(text: str) -> None:
    """One line for people, to stderr: stdout is for results."""
    click.echo(text, err=True)


class Progress(tf.keras.callbacks.Callback):
    """Prints a line an epoch, and on a terminal the running batch, with the time left in this phase; to stderr."""

    def __init__(self, phase: str, epochs: int, batches: int, done: int = 0):
        """Takes the phase's name, its epochs, the batches of each, and how many epochs an earlier process has done."""
        super().__init__()
        self._phase, self._epochs, self._batches, self._done = phase, epochs, batches, done
        self._live = sys.stderr.isatty()
        self._started = self._shown = 0.0
        self._epoch = 0

    def on_train_begin(self, logs=None):
        self._started = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        if self._live and now - self._shown > 0.5:
            self._shown = now
            done = self._epoch + (batch + 1) / self._batches
            click.echo(
                f"\r\x1b[K{self._phase}  epoch {self._epoch + 1}/{self._epochs}  {self._left(done)}",
                err=True,
                nl=False,
            )

    def on_epoch_end(self, epoch, logs=None):
        start = "\r\x1b[K" if self._live else ""
        measured = "  ".join(
            f"{name.replace('val_', 'validation ')} {value:.4f}" for name, value in logs.items()
        )
        click.echo(
            f"{start}{self._phase}  epoch {epoch + 1}/{self._epochs}  {measured}  {self._left(epoch + 1)}",
            err=True,
        )

    def _left(self, epochs_done: float) -> str:
        passed = time.monotonic() - self._started
        left = passed / (epochs_done - self._done) * (self._epochs - epochs_done)
        return f"{passed:.0f} s, {left:.0f} s left"
