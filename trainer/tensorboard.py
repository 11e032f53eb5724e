"""Logs for TensorBoard, written while a training runs."""

from pathlib import Path

from edge_runtime.errors import WriteError
from trainer.legacy_keras import tf
from trainer.trained import Epoch


class Logs:
    """Curves of both phases in folder/train and folder/validation, one step an epoch."""

    def __init__(self, folder: Path):
        self._writers = {
            split: tf.summary.create_file_writer(str(folder / split)) for split in ("train", "validation")
        }

    def write(self, history: list[Epoch]) -> None:
        """Adds the last epoch of the history.

        Raises:
            WriteError: If the disk is full.
        """
        try:
            self._write(history)
        except tf.errors.OpError as problem:
            raise WriteError(
                f"cannot write the logs for TensorBoard: {problem.message}",
                "check the free disk space, then the same command with --resume",
            ) from problem

    def _write(self, history: list[Epoch]) -> None:
        epoch, step = history[-1], len(history)
        for split, prefix in (("train", ""), ("validation", "val_")):
            with self._writers[split].as_default():
                for name in ("loss", "accuracy"):
                    tf.summary.scalar(name, getattr(epoch, prefix + name), step)
                if split == "train":
                    tf.summary.scalar("learning rate", epoch.learning_rate, step)
            self._writers[split].flush()
