"""The stages that a training picture goes through, each timed alone. Prints one JSON object of pictures/s.

    python benchmarks/peers/training_stages.py DIR SIZE ALPHA ROUNDS
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

PICTURES = 256
BATCH = 32


def main(data: Path, size: int, alpha: float, rounds: int) -> None:
    """Times reading (decode, audit, resize), each augmentation policy, and the frozen backbone."""
    from edge_runtime.preprocessing import resize
    from trainer.audit.inspection import inspect_files
    from trainer.augmentation import augment
    from trainer.backbone import FEATURES, build_model
    from trainer.config import CHOICES
    from trainer.legacy_keras import tf

    files = sorted(path for path in data.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    files = [files[i] for i in np.random.default_rng(0).permutation(len(files))[:PICTURES]]
    array = np.empty((len(files), size, size, 3), np.uint8)

    def keep(number: int, picture: np.ndarray) -> None:
        array[number] = resize(picture, (size, size))

    def read() -> None:
        inspect_files(files, keep)

    def pipeline(policy: str) -> Callable[[], None]:
        numbers = tf.data.Dataset.from_tensor_slices(array).batch(BATCH).enumerate()
        batches = numbers.map(
            lambda number, batch: augment(batch, tf.cast(tf.stack([number, 0]), tf.int32), policy),
            num_parallel_calls=tf.data.AUTOTUNE,
        ).prefetch(2)
        def run() -> None:
            for _ in batches:
                pass

        return run

    read()
    model = build_model(2, backbone="mobilenet_v2", size=size, alpha=alpha, weights="none")
    features = tf.keras.Model(model.input, model.get_layer(FEATURES).output)
    forward = tf.function(lambda batch: features(batch, training=False))
    normalised = tf.constant(array[:BATCH] / np.float32(127.5) - 1)

    def backbone() -> None:
        for _ in range(0, len(files), BATCH):
            forward(normalised).numpy()

    stages = {"decode, audit, resize": read}
    stages |= {f"augment, {policy}": pipeline(policy) for policy in CHOICES["augmentation"]}
    stages["backbone"] = backbone
    rates: dict[str, list[float]] = {name: [] for name in stages}
    for stage in stages.values():
        stage()  # traces and compiles
    for _ in range(rounds):
        for name, stage in stages.items():
            started = time.monotonic()
            stage()
            rates[name].append(len(files) / (time.monotonic() - started))
    print(json.dumps(rates))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
