"""Makes tests/data/tiny.tflite: an int8 classifier of a few KB whose answer is known without training.

Its three classes are blue, green and red; the answer is the frame's dominant colour, because the weights are
written by hand: a 1x1 convolution passes the channels on, pooling averages them, a dense layer puts them in
the order of the labels.
Run by hand, from the repository root, after a change of the model file's contract:

    .venv/bin/python tests/make_tiny_model.py
"""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from edge_runtime.interpreter import Interpreter
from edge_runtime.model_file import Accuracy, Manifest, Provenance, SelfTestVector, pack
from edge_runtime.preprocessing import CENTRE_CROP
from edge_runtime.whole_file import write_whole
from exporter.metadata import add_metadata
from trainer.legacy_keras import tf

OUT = Path(__file__).parent / "data" / "tiny.tflite"
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
        selftest=tuple(with_answers(vector, model) for vector in vectors),
        provenance=Provenance("", {"made_by": "tests/make_tiny_model.py"}, {"tensorflow": tf.__version__}),
    )
    write_whole(OUT, pack(model, LABELS, manifest))
    print(f"{OUT}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
