"""How a training is spread over devices and machines: TensorFlow's own strategies, nothing of ours."""

import json
import os
from dataclasses import dataclass

import numpy as np

from edge_runtime.errors import ConfigError
from trainer.legacy_keras import tf

TF_CONFIG = "TF_CONFIG"
EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Distribution:
    """A strategy, and this process's place in it."""

    strategy: tf.distribute.Strategy
    worker: int
    """Of this process, from 0; worker 0 writes the run folder."""
    workers: int

    @property
    def alone(self) -> bool:
        """Whether this is one process on one device."""
        return self.strategy.num_replicas_in_sync == 1

    @property
    def chief(self) -> bool:
        """Whether this process writes."""
        return self.worker == 0

    def batch_of_replica(self, batch_size: int) -> int:
        """A replica's share of a batch."""
        return max(1, batch_size // self.strategy.num_replicas_in_sync)

    def own_rows(self, count: int) -> np.ndarray:
        """The rows of a training set that this worker trains on: int64, as many on every worker."""
        share = -(-count // self.workers)
        return np.resize(np.arange(count), share * self.workers)[self.worker :: self.workers]

    def steps(self, rows: int, batch_size: int) -> int:
        """Steps of an epoch over so many own rows."""
        return -(-rows // self._batch_of_worker(batch_size))

    def whole_steps(self, order: np.ndarray, batch_size: int) -> np.ndarray:
        """The order of an epoch; with several replicas lengthened from its start, so that none lacks its part of a step."""
        if self.alone:
            return order
        return np.resize(order, self.steps(len(order), batch_size) * self._batch_of_worker(batch_size))

    def _batch_of_worker(self, batch_size: int) -> int:
        return self.batch_of_replica(batch_size) * (self.strategy.num_replicas_in_sync // self.workers)

    def distribute(self, make, batch_size: int) -> tf.data.Dataset:
        """The data set that `make(batch size of a replica)` gives, handed to every replica."""
        if self.alone:
            return make(batch_size)
        return self.strategy.distribute_datasets_from_function(
            lambda context: make(self.batch_of_replica(batch_size))
        )

    def mean(self, value: float) -> float:
        """The mean over all workers: a decision on it is the same on each of them."""
        if self.workers == 1:
            return value
        own = self.strategy.run(lambda: tf.constant(value, tf.float32))
        return float(self.strategy.reduce(tf.distribute.ReduceOp.MEAN, own, axis=None))


def start(name: str) -> Distribution:
    """Starts a strategy; of several workers, waits for the others. TensorFlow wants this before anything else.

    Args:
        name: none, mirrored (all GPUs of this machine) or multi_worker (machines named in TF_CONFIG).

    Raises:
        ConfigError: If TF_CONFIG is absent or cannot be understood.
    """
    if name == "none":
        return Distribution(tf.distribute.get_strategy(), 0, 1)
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return Distribution(tf.distribute.MirroredStrategy([device.name for device in devices]), 0, 1)
    worker, workers = _place()
    return Distribution(tf.distribute.MultiWorkerMirroredStrategy(), worker, workers)


def _place() -> tuple[int, int]:
    """(this worker's index, how many there are), from TF_CONFIG."""
    text = os.environ.get(TF_CONFIG, "")
    try:
        config = json.loads(text)
        workers = config["cluster"]["worker"]
        index = config["task"]["index"]
        if config["task"]["type"] != "worker" or not 0 <= index < len(workers):
            raise ValueError(f"task {config['task']} is none of the {len(workers)} workers")
    except (ValueError, KeyError, TypeError) as problem:
        raise ConfigError(
            f"{TF_CONFIG} is {text!r}, --strategy multi_worker expects every worker's address and this one's index: "
            f"{problem}",
            f"set it on each machine, with its own index: {TF_CONFIG}='{EXAMPLE}'",
        ) from problem
    return index, len(workers)
