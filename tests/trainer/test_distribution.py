"""tf.distribute: two processes on loopback, two devices of one process; real trainings."""

import csv
import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from edge_runtime.errors import ConfigError

pytestmark = pytest.mark.slow

SETTINGS = ("--backbone", "small_cnn", "--size", "24", "--epochs", "2", "0", "--patience", "0")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_two_workers_train_one_model(parts, tmp_path):
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    workers = []
    for index in range(2):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        command = [sys.executable, "-m", "litelens", "train", "--data", parts, *SETTINGS]
        workers.append(
            subprocess.Popen(
                [*map(str, command), "--out", str(tmp_path / "run"), "--strategy", "multi_worker"],
                env=os.environ | {"TF_CONFIG": json.dumps(task)},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    said = [worker.communicate(timeout=240)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    losses = [[line.partition("  loss ")[2][:40] for line in text.splitlines() if "epoch" in line] for text in said]
    assert len(losses[0]) == 2 and losses[0] == losses[1]
    with (tmp_path / "run" / "history.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


MIRRORED = """
from trainer.legacy_keras import tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from pathlib import Path
from trainer.config import TrainConfig
from trainer.training import train
config = TrainConfig(
    data={data!r}, backbone="small_cnn", size=24, epochs=(2, 0), strategy="mirrored", mixed_precision=True
)
train(config, Path({out!r}))
"""


@pytest.mark.soak
def test_two_devices_in_mixed_precision_leave_a_plain_model(parts, tmp_path):
    from trainer.legacy_keras import tf

    program = MIRRORED.format(data=str(parts), out=str(tmp_path / "run"))
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    model = tf.keras.models.load_model(tmp_path / "run" / "model.keras", compile=False)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    measured = json.loads((tmp_path / "run" / "metrics.json").read_text())["splits"]["test"]
    assert measured["pictures"] == 30


@pytest.mark.parametrize("text", ["", "{", "{}", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}'])
def test_a_tf_config_that_names_no_place_is_an_instruction(monkeypatch, text):
    from trainer.distribution import start

    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match="TF_CONFIG is") as caught:
        start("multi_worker")
    assert '"index": 0' in caught.value.hint


@pytest.mark.parametrize("count, workers, batch", [(10, 1, 4), (10, 2, 4), (7, 3, 6), (1, 2, 32)])
def test_every_row_is_trained_on_and_every_worker_has_as_many(count, workers, batch):
    from trainer.distribution import Distribution

    class Strategy:  # as many replicas as workers; nothing is run on them
        num_replicas_in_sync = workers

    places = [Distribution(Strategy, worker, workers) for worker in range(workers)]
    shares = [place.own_rows(count) for place in places]
    assert len({len(share) for share in shares}) == 1
    assert set(np.concatenate(shares)) == set(range(count))
    for place, share in zip(places, shares, strict=True):
        steps = place.steps(len(share), batch)
        order = place.whole_steps(share, batch)
        assert set(order) == set(share)
        if workers > 1:
            assert len(order) == steps * place.batch_of_replica(batch)
