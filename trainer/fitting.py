"""One phase of a training: epochs that are measured, remembered, and ended when they no longer help."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from trainer.batches import Rows, epochs, in_order, traced
from trainer.checkpoint import State
from trainer.config import TrainConfig
from trainer.distribution import Distribution
from trainer.evaluation.measured import mean_loss
from trainer.legacy_keras import tf
from trainer.progress import Progress
from trainer.trained import Epoch, Phase

MEASURE_BATCH = 64


@dataclass(frozen=True)
class PhaseInputs:
    """What a phase trains on and is measured on: pictures, or what frozen layers made of them."""

    train: Rows | np.ndarray
    """Shape (views * n, ...)."""
    held: Rows | np.ndarray
    """Of the validation split."""
    order: Callable[[int], np.ndarray]
    """Epoch number to rows of `train`, int64."""
    batch_size: int


@dataclass(frozen=True)
class Answers:
    """The truth about the pictures."""

    train: np.ndarray
    """float32 of shape (n, classes), one-hot."""
    weights: np.ndarray
    """float32 of shape (n,): how much each picture counts in the loss."""
    held: np.ndarray
    """int32 of shape (m,), of the validation split."""


def fit(
    model: tf.keras.Model,
    whole: tf.keras.Model,
    inputs: PhaseInputs,
    answers: Answers,
    config: TrainConfig,
    distribution: Distribution,
    state: State,
    remember: Callable[[State], None],
) -> State:
    """Trains one phase from where `state` says, and leaves `whole` with the best weights so far.

    Args:
        model: What is trained; its layers are part of `whole`.
        whole: The layers whose weights make the state.
        inputs: Of this phase.
        answers: The truth.
        config: Settings.
        distribution: Where to train.
        state: Of this phase, before its first or after any of its epochs.
        remember: Told the state after each epoch.

    Returns:
        The state after the phase's last epoch, with the phase among `phases`.
    """
    phase = state.phase
    count = config.epochs[phase - 1]
    steps = distribution.steps(len(inputs.order(0)), inputs.batch_size)
    rate = _rate(config, phase, count * steps)
    whole.set_weights(state.weights)
    with distribution.strategy.scope():
        model.compile(
            tf.keras.optimizers.Adam(rate),
            tf.keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing),
            metrics=["accuracy"],
            jit_compile=config.xla,
        )
    _set_optimizer(model, state.optimizer)
    keeper = _Keeper(whole, state, lambda done: _rate_after(rate, done * steps), remember, config.patience)
    if state.epochs_done < count and not keeper.waited_enough:
        data = distribution.distribute(
            lambda batch_size: epochs(
                inputs.train,
                answers.train,
                answers.weights,
                order=lambda epoch: distribution.whole_steps(inputs.order(epoch), inputs.batch_size),
                first=state.epochs_done,
                last=count,
                batch_size=batch_size,
                augmentation=(config.augmentation, config.seed) if isinstance(inputs.train, Rows) else None,
            ),
            inputs.batch_size,
        )
        model.fit(
            data,
            initial_epoch=state.epochs_done,
            epochs=count,
            steps_per_epoch=steps,
            verbose=0,
            callbacks=[
                _Validation(inputs.held, answers.held, distribution),
                Progress(f"phase {phase}", count, steps, state.epochs_done),
                keeper,
            ],
        )
    state = keeper.state
    whole.set_weights(state.best_weights)
    ended = Phase(
        phase,
        int(sum(np.prod(weight.shape) for weight in model.trainable_weights)),
        state.epochs_done,
        state.epochs_done < count,
        sum(epoch.seconds for epoch in state.history if epoch.phase == phase),
    )
    return replace(state, weights=state.best_weights, optimizer=[], phases=[*state.phases, ended])


def answer(forward: Callable[[tf.Tensor], tf.Tensor], inputs: Rows | np.ndarray) -> np.ndarray:
    """The probabilities that a traced model gives for pictures (uint8) or features: float32 of shape (n, classes)."""
    return np.concatenate([forward(batch).numpy() for batch in in_order(inputs, MEASURE_BATCH)])


def _rate(config: TrainConfig, phase: int, steps: int):
    rate = config.learning_rate if phase == 1 else config.fine_tune_rate
    return tf.keras.optimizers.schedules.CosineDecay(rate, steps) if config.schedule == "cosine" else rate


def _rate_after(rate, steps: int) -> float:
    return float(rate(steps)) if callable(rate) else rate


def _set_optimizer(model: tf.keras.Model, stored: list[np.ndarray]) -> None:
    model.optimizer.build(model.trainable_variables)
    if stored:
        for variable, value in zip(model.optimizer.variables, stored, strict=True):
            variable.assign(value)


class _Validation(tf.keras.callbacks.Callback):
    """Measures the validation split after each epoch, on every worker alike."""

    def __init__(self, held: Rows | np.ndarray, class_ids: np.ndarray, distribution: Distribution):
        super().__init__()
        self._held, self._class_ids, self._distribution = held, class_ids, distribution
        self._forward = None

    def on_train_begin(self, logs=None):
        self._forward = traced(self.model)

    def on_epoch_end(self, epoch, logs=None):
        probabilities = answer(self._forward, self._held)
        right = probabilities.argmax(axis=1) == self._class_ids
        # Workers agree on the figures, and so on when to stop.
        logs["val_loss"] = self._distribution.mean(mean_loss(probabilities, self._class_ids))
        logs["val_accuracy"] = self._distribution.mean(float(right.mean()))


class _Keeper(tf.keras.callbacks.Callback):
    """Keeps the state: history, best weights by validation accuracy; stops when patience ends."""

    def __init__(self, whole, state: State, rate_after, remember, patience: int):
        super().__init__()
        self.state = state
        self._whole, self._rate_after, self._remember, self._patience = whole, rate_after, remember, patience
        self._epoch_started = 0.0

    @property
    def waited_enough(self) -> bool:
        """Whether `patience` epochs have brought neither a higher validation accuracy nor a lower loss."""
        done = [epoch for epoch in self.state.history if epoch.phase == self.state.phase]
        if not self._patience or not done:
            return False
        most_right = max(done, key=lambda epoch: epoch.val_accuracy)
        surest = min(done, key=lambda epoch: epoch.val_loss)
        return len(done) - max(most_right.epoch, surest.epoch) >= self._patience

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        done = Epoch(
            self.state.phase,
            epoch + 1,
            *(float(logs[key]) for key in ("loss", "accuracy", "val_loss", "val_accuracy")),
            learning_rate=self._rate_after(epoch + 1),
            seconds=time.monotonic() - self._epoch_started,
        )
        weights = self._whole.get_weights()
        # Of equally accurate epochs the later: the rate had fallen further, and few held-back pictures tie often.
        better = self.state.best is None or done.val_accuracy >= self.state.best
        self.state = replace(
            self.state,
            weights=weights,
            optimizer=[variable.numpy() for variable in self.model.optimizer.variables],
            best=done.val_accuracy if better else self.state.best,
            best_weights=weights if better else self.state.best_weights,
            history=[*self.state.history, done],
        )
        self._remember(self.state)
        if self.waited_enough:
            self.model.stop_training = True
