"""Makes tests/data/tiny.tflite and tiny_float.tflite: a few KB each, whose answer is known without training.

Their three classes are blue, green and red; the answer is the frame's dominant colour, because the weights are
written by hand. tiny.tflite is a finished int8 model file: a 1x1 convolution passes the channels on, pooling averages
them, a dense layer puts them in the order of the labels. tiny_float.tflite is what an export starts from, float32 and
bare, with one of each operator that a backbone has.
Run by hand, from the repository root, after a change of the model file's contract:

    .venv/bin/python tests/make_tiny_model.py
"""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from edge_runtime.decision import DecisionRule
from edge_runtime.interpreter import Interpreter
from edge_runtime.model_file import (
    GATE_PASSED,
    Accuracy,
    Gate,
    Manifest,
    Provenance,
    SelfTestVector,
    pack,
)
from edge_runtime.preprocessing import CENTRE_CROP
from edge_runtime.whole_file import write_whole
from exporter.conversion import to_float
from exporter.metadata import add_metadata
from trainer.legacy_keras import tf

OUT = Path(__file__).parent / "data" / "tiny.tflite"
FLOAT_OUT = OUT.with_name("tiny_float.tflite")
LABELS = ("blue", "green", "red")
SIZE = (8, 8)
GAIN = 8.0
"""How far a pure colour's logit is above the others': softmax gives it 0.999."""
TOLERANCE = 3
"""In output steps: ai_edge_litert 2.3.0 and tflite_runtime 2.14.0 differ by up to 2 on random pictures."""


def float_model() -> tf.keras.Model:
    pictures = tf.keras.Input((*SIZE, 3))
    # Pixels 0..255 become 0..1 in the weights, so that the model itself takes bytes.
    channels = tf.keras.layers.Conv2D(3, 1, activation="relu", name="channels")
    order = tf.keras.layers.Dense(3, activation="softmax", name="probabilities")
    means = tf.keras.layers.GlobalAveragePooling2D(name="means")(channels(pictures))
    model = tf.keras.Model(pictures, order(means))
    channels.set_weights([np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3) / 255, np.zeros(3, np.float32)])
    order.set_weights([np.eye(3, dtype=np.float32)[::-1] * GAIN, np.zeros(3, np.float32)])
    return model


def float_backbone() -> tf.keras.Model:
    """Bytes as floats in (its normalisation has mean 0 and std 1), probabilities out."""
    random = np.random.default_rng(0)
    channels = 16
    pictures = tf.keras.Input((*SIZE, 3))
    stem = tf.keras.layers.Conv2D(channels, 3, padding="same", activation="relu", name="stem")
    depthwise = tf.keras.layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")
    project = tf.keras.layers.Conv2D(channels, 1, name="project")
    order = tf.keras.layers.Dense(3, activation="softmax", name="probabilities")
    x = stem(pictures)
    x = tf.keras.layers.Add(name="residual")([x, project(depthwise(x))])
    model = tf.keras.Model(
        pictures, order(tf.keras.layers.GlobalAveragePooling2D(name="means")(x)), name="tiny"
    )
    # Channel c carries colour c % 3; noise on top, so that no weight and no range is a round number.
    carried = np.eye(3, dtype=np.float32)[np.arange(channels) % 3]
    kernels = {
        stem: random.normal(0, 0.02, (3, 3, 3, channels)),
        depthwise: random.normal(0, 0.1, (3, 3, channels, 1)),
        project: random.normal(0, 0.02, (1, 1, channels, channels)),
        order: random.normal(0, 0.1, (channels, 3)),
    }
    kernels[stem][1, 1] += carried.T
    kernels[stem] /= 255
    kernels[depthwise][1, 1] += random.uniform(0.5, 2, (channels, 1))
    kernels[project][0, 0] += np.eye(channels)
    kernels[order] += carried[:, ::-1]
    for layer, kernel in kernels.items():
        layer.set_weights(
            [kernel, random.normal(0, 0.02, kernel.shape[2] if layer is depthwise else kernel.shape[-1])]
        )
    return model


def to_int8(model: tf.keras.Model) -> bytes:
    random = np.random.default_rng(0)
    corners = [np.full((1, *SIZE, 3), value, np.float32) for value in (0, 255)]
    noise = list(random.integers(0, 256, (64, 1, *SIZE, 3)).astype(np.float32))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([picture] for picture in corners + noise)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    return converter.convert()


def with_answers(vector: SelfTestVector, model: bytes) -> SelfTestVector:
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        file.write(model)
        file.flush()
        output = Interpreter(Path(file.name), threads=1).invoke(vector.picture(SIZE)[np.newaxis])[0]
    return dataclasses.replace(vector, expected=tuple(int(level) for level in output))


def main() -> None:
    model = add_metadata(
        to_int8(float_model()), LABELS, name="tiny", version="1", description="Names the dominant colour."
    )
    vectors = [SelfTestVector(c, (), tolerance=TOLERANCE) for c in ((1, 2, 3), (31, 17, 85), (0, 0, 100))]
    manifest = Manifest(
        name="tiny",
        version="1",
        resize=CENTRE_CROP,
        method="ptq",
        # True by construction on frames of one colour; no data set was measured.
        accuracy=Accuracy(split="test", pictures=3, float_top1=1.0, int8_top1=1.0, agreement=1.0),
        gate=Gate(GATE_PASSED, max_drop=1.0, min_ratio=0.98, max_class_drop=5.0),
        # Nothing was fitted: the probabilities stay as they are and every answer is given.
        decision=DecisionRule(1.0, (0.0, 0.0, 0.0), precision=0.0, split="test", pictures=3),
        selftest=tuple(with_answers(vector, model) for vector in vectors),
        provenance=Provenance("", {"made_by": "tests/make_tiny_model.py"}, {"tensorflow": tf.__version__}),
    )
    write_whole(OUT, pack(model, LABELS, manifest))
    write_whole(FLOAT_OUT, to_float(float_backbone()))
    for path in (OUT, FLOAT_OUT):
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
