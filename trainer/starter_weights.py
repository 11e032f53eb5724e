"""Makes and judges the starter weights: a small backbone of this project's own, from random initialisation.

    python -m trainer.starter_weights make  --data DIR --teacher H5 --minutes 45 --out trainer/starter/mobilenet_v2_0.35.npz
    python -m trainer.starter_weights judge --data DIR --teacher H5 --card trainer/starter/CARD.md

The backbone learns to answer as an ImageNet backbone of the same shape does ("teacher"), block by block first and
then as a whole, on pictures that are cropped, recoloured and mixed anew each time. That a patient student on
consistent views needs no labels and few pictures is the finding of Beyer et al., "Knowledge distillation: a good
teacher is patient and consistent" (CVPR 2022).
"""

import time
from pathlib import Path

import click
import numpy as np
from PIL import Image

from edge_runtime import rendering
from trainer.backbone import STARTER_FILE, load_starter
from trainer.config import Selection
from trainer.dataset import LabelledPicture, find_dataset, load_arrays
from trainer.legacy_keras import tf

ALPHA = 0.35
SIZE = 128
STORED_PX = 176  # pictures are held at this size in memory; crops of them are resized to SIZE
BATCH = 64
PEAK_RATE = 3e-3
STAGES = (
    # name, share of the time, picture size in px. "blocks": each block learns alone, from the teacher's input to it.
    ("blocks", 0.35, 96),
    ("whole", 0.35, 96),
    ("whole, full size", 0.30, SIZE),
)
RENDERED_PER_CLASS = 80

# And half of flowers5; cats_dogs/validation and the other half are only probed on.
LEARN_FROM = (
    "cats_dogs/train/*/*",
    "cats_dogs_unlabelled/*",
    "dog_breeds/train/*",
    "dog_breeds/test/*",
    "stills/*",
    "video/frames/*/*",
    "mnist_digits/train/*/*0.png",
)


def build_backbone(weights: str | None, size: int | None = None) -> tf.keras.Model:
    """MobileNetV2 alpha 0.35 without its top, for RGB in [-1, 1] of shape (size, size, 3), any size if None."""
    return tf.keras.applications.MobileNetV2(
        input_shape=(size, size, 3), alpha=ALPHA, include_top=False, weights=weights
    )


def block_ends(model: tf.keras.Model) -> list[str]:
    """Names of the layers that end the stem, each inverted residual block, and the last convolution."""
    names = [layer.name for layer in model.layers]
    ends = ["Conv1_relu", "expanded_conv_project_BN"]
    for block in range(1, 17):
        add = f"block_{block}_add"
        ends.append(add if add in names else f"block_{block}_project_BN")
    return [*ends, "out_relu"]


def picture_files(data: Path) -> list[Path]:
    """The photographs to learn from: none of them is judged on."""
    learn = [path for pattern in LEARN_FROM for path in sorted(data.glob(pattern))]
    return learn + [picture.path for picture in flower_halves(data)[0]]


def flower_halves(data: Path) -> tuple[list[LabelledPicture], list[LabelledPicture]]:
    """flowers5, every second picture of a class to learn from and the others to be judged on."""
    halves: tuple[list, list] = ([], [])
    for class_id, folder in enumerate(sorted((data / "flowers5").iterdir())):
        for number, path in enumerate(sorted(folder.iterdir())):
            halves[number % 2].append(LabelledPicture(path, class_id))
    return halves


def load_pictures(files: list[Path]) -> np.ndarray:
    """Reads what can be read, squashed to STORED_PX: uint8 of shape (pictures, STORED_PX, STORED_PX, 3)."""
    pictures = []
    for path in files:
        try:
            with Image.open(path) as image:
                image.draft("RGB", (2 * STORED_PX, 2 * STORED_PX))
                pictures.append(
                    np.asarray(image.convert("RGB").resize((STORED_PX, STORED_PX), Image.Resampling.BOX))
                )
        except OSError:
            print(f"left out, no picture: {path.name}")
    return np.stack(pictures)


def draw_views(stored: tf.Tensor, batch: int, size: int) -> tf.Tensor:
    """Random crops, mirrored, recoloured, and half of them mixed with another: float32 in [-1, 1], (batch, size, size, 3)."""
    pick = tf.random.uniform([batch], 0, tf.shape(stored)[0], tf.int32)
    area, shape = tf.random.uniform([batch], 0.25, 1.0), tf.exp(tf.random.uniform([batch], -0.3, 0.3))
    height, width = tf.minimum(tf.sqrt(area * shape), 1.0), tf.minimum(tf.sqrt(area / shape), 1.0)
    top, left = tf.random.uniform([batch]) * (1 - height), tf.random.uniform([batch]) * (1 - width)
    right, mirrored = left + width, tf.random.uniform([batch]) < 0.5
    boxes = tf.stack(
        [top, tf.where(mirrored, right, left), top + height, tf.where(mirrored, left, right)], axis=1
    )
    pictures = tf.cast(tf.gather(stored, pick), tf.float32)
    views = tf.image.crop_and_resize(pictures, boxes, tf.range(batch), (size, size)) / 127.5 - 1
    views = views * tf.random.uniform([batch, 1, 1, 1], 0.6, 1.3) + tf.random.uniform(
        [batch, 1, 1, 3], -0.25, 0.25
    )
    mix = tf.where(tf.random.uniform([batch, 1, 1, 1]) < 0.5, tf.random.uniform([batch, 1, 1, 1]), 1.0)
    return tf.clip_by_value(mix * views + (1 - mix) * tf.reverse(views, [0]), -1, 1)


def distance(student: tf.Tensor, teacher: tf.Tensor) -> tf.Tensor:
    """Mean squared error in units of the teacher's variance over the batch, a scalar."""
    return tf.reduce_mean(tf.square(student - teacher)) / (tf.math.reduce_variance(teacher) + 1e-6)


def distil(data: Path, teacher_weights: Path, minutes: float) -> tf.keras.Model:
    """Trains a backbone from random initialisation for so many minutes and returns it."""
    tf.keras.utils.set_random_seed(0)
    rendered = [
        np.asarray(
            Image.fromarray(rendering.render_picture(label, np.random.default_rng([99, k, i]))).resize(
                (STORED_PX, STORED_PX)
            )
        )
        for k, label in enumerate(rendering.CLASSES)
        for i in range(RENDERED_PER_CLASS)
    ]
    stored = tf.constant(np.concatenate([load_pictures(picture_files(data)), np.stack(rendered)]))
    print(f"{stored.shape[0]} pictures")

    teacher, student = build_backbone(str(teacher_weights)), build_backbone(None)
    for layer in student.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.momentum = 0.98  # Keras's 0.999 would need far longer than this training lasts
    ends = block_ends(student)
    taps = tf.keras.Model(teacher.input, [teacher.get_layer(name).output for name in ends])
    whole = tf.keras.Model(student.input, [student.get_layer(name).output for name in ends])
    starts = [student.input, *(student.get_layer(name).output for name in ends[:-1])]
    blocks = [
        tf.keras.Model(start, student.get_layer(end).output) for start, end in zip(starts, ends, strict=True)
    ]
    optimizer = tf.keras.optimizers.Adam(PEAK_RATE)

    def step(local: bool, size: int) -> tf.Tensor:
        views = draw_views(stored, BATCH, size)
        wanted = taps(views, training=False)
        with tf.GradientTape() as tape:
            if local:
                given = [views, *wanted[:-1]]
                answers = [block(x, training=True) for block, x in zip(blocks, given, strict=True)]
            else:
                answers = whole(views, training=True)
            distances = [distance(a, w) for a, w in zip(answers, wanted, strict=True)]
            pooled = distance(tf.reduce_mean(answers[-1], [1, 2]), tf.reduce_mean(wanted[-1], [1, 2]))
            # The last features are what a head will see; the blocks before them show the way there.
            loss = tf.reduce_mean(distances) + (0.0 if local else distances[-1] + pooled)
        gradients = tape.gradient(loss, student.trainable_variables)
        optimizer.apply_gradients(zip(gradients, student.trainable_variables, strict=True))
        return tf.stack([loss, distances[-1], pooled])

    compiled = tf.function(step)  # traced once for each stage
    number = 0
    for name, share, size in STAGES:
        seconds, started, shown = 60 * minutes * share, time.monotonic(), 0.0
        local = name == "blocks"
        peak = PEAK_RATE if local else PEAK_RATE / 2
        while (passed := (time.monotonic() - started) / seconds) < 1:
            optimizer.learning_rate.assign(
                peak * min(1.0, passed / 0.05 + 0.02) * 0.5 * (1 + np.cos(np.pi * passed))
            )
            losses = compiled(local, size)
            number += 1
            if time.monotonic() - shown > 20:
                shown = time.monotonic()
                print(
                    f"{name} {passed:4.0%} step {number}: loss, last block, pooled {np.round(losses.numpy(), 4)}",
                    flush=True,
                )
    return student


def save(model: tf.keras.Model, path: Path) -> None:
    """Writes the weights as float16, in the order and under the names of the model's variables."""
    arrays = {w.name: w.numpy().astype(np.float16) for w in model.weights}
    np.savez_compressed(path, **arrays)


def probe(backbone: tf.keras.Model, learn: list[LabelledPicture], test: list[LabelledPicture]) -> float:
    """Accuracy, 0 to 1, of a linear classifier on the backbone's pooled features (ridge regression on one-hot labels)."""
    x, answers = _features(backbone, learn)
    x_test, truth = _features(backbone, test)
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-6
    x, x_test = (x - mean) / spread, (x_test - mean) / spread
    one_hot = np.eye(answers.max() + 1)[answers]
    # As strong as the data: with standardised features this is one unit of noise a feature.
    ridge = len(x) * np.eye(x.shape[1])
    weights = np.linalg.solve(x.T @ x + ridge, x.T @ (one_hot - one_hot.mean(axis=0)))
    return float(((x_test @ weights + one_hot.mean(axis=0)).argmax(axis=1) == truth).mean())


def _features(backbone: tf.keras.Model, pictures: list[LabelledPicture]) -> tuple[np.ndarray, np.ndarray]:
    """(features, class ids): the pooled features, float64 of shape (pictures, 1280), as the trainer reads pictures."""
    arrays, class_ids = load_arrays(pictures, (SIZE, SIZE))
    maps = backbone.predict(arrays.astype(np.float32) / 127.5 - 1, batch_size=64, verbose=0)
    return maps.mean(axis=(1, 2)).astype(np.float64), class_ids


def probe_sets(data: Path) -> dict[str, tuple[list[LabelledPicture], list[LabelledPicture]]]:
    """{name: (pictures to fit the probe on, pictures to judge it on)}; the backbone never saw the latter."""
    cats_dogs = find_dataset(Selection(str(data / "cats_dogs"))).splits
    return {"flowers5": flower_halves(data), "cats_dogs": (cats_dogs["train"], cats_dogs["validation"])}


CARD = """# Starter weights: MobileNetV2, alpha 0.35, without its top

A backbone of this project's own, {bytes} bytes of float16, that starts a training without a download. It was trained
from random initialisation to give the features of the ImageNet backbone of the same shape, on pictures drawn by
`edge_runtime/rendering.py` and on photographs (cats_dogs/train, dog_breeds, half of flowers5, stills, digits), by

    python -m trainer.starter_weights make --data DIR --teacher H5 --minutes 55 --out trainer/starter/mobilenet_v2_0.35.npz

No weight was copied: the file holds what gradient descent made of random numbers. Accuracy of a linear probe on pictures
that the making never saw (cats_dogs/validation, the other half of flowers5):

{table}

{sizes}. This page was written by

    python -m trainer.starter_weights judge --data DIR --teacher H5 --card trainer/starter/CARD.md

It knows few kinds of things: for your own pictures, `--weights imagenet` is better wherever a download is possible.
"""


@click.group()
def main() -> None:
    """Makes and judges the starter weights."""


@main.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--teacher", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--minutes", type=float, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def make(data: Path, teacher: Path, minutes: float, out: Path) -> None:
    """Trains the backbone and writes it."""
    save(distil(data, teacher, minutes), out)
    print(f"{out}: {out.stat().st_size} bytes")


@main.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--teacher", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--card", type=click.Path(path_type=Path), required=True)
def judge(data: Path, teacher: Path, card: Path) -> None:
    """Compares linear probes on the starter's, the teacher's and random features, and writes the card."""
    tf.keras.utils.set_random_seed(0)
    backbones = {
        "ImageNet (the teacher)": build_backbone(str(teacher)),
        "random initialisation": build_backbone(None),
    }
    starter = build_backbone(None)
    load_starter(starter)
    sets = probe_sets(data)
    rows = [f"| backbone, alpha {ALPHA}, {SIZE} px | {' | '.join(sets)} |", "|---|" + "---|" * len(sets)]
    for name, backbone in {"starter": starter, **backbones}.items():
        scores = [f"{100 * probe(backbone, *pictures):.1f} %" for pictures in sets.values()]
        rows.append(f"| {name} | {' | '.join(scores)} |")
    sizes = [
        f"{name}: fitted on {len(learn)} pictures, judged on {len(test)}"
        for name, (learn, test) in sets.items()
    ]
    text = CARD.format(bytes=STARTER_FILE.stat().st_size, table="\n".join(rows), sizes="; ".join(sizes))
    card.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
