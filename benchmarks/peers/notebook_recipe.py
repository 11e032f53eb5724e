"""The recipe that notebooks teach, to compare with: not part of litelens.

MobileNetV2, 10 epochs with the backbone frozen and 10 with its layers from 100 up open, every epoch from the pictures
on, as in TensorFlow's tutorial "Transfer learning and fine-tuning". Prints one JSON object.

    python benchmarks/peers/notebook_recipe.py DIR WEIGHTS ALPHA

DIR has train/, validation/ and test/ with class folders; WEIGHTS is a Keras file of MobileNetV2 of
width ALPHA without its top.
"""

import json
import os
import sys
import time

SIZE = (160, 160)
BATCH = 32
EPOCHS = 10
RATE = 1e-4
FINE_TUNE_AT = 100


def main(data: str, weights: str, alpha: float) -> None:
    """Trains, measures the test split, prints seconds and accuracy."""
    started = time.monotonic()
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # the Keras that litelens trains with
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    imported = time.monotonic()
    tf.keras.utils.set_random_seed(0)

    def read(split: str) -> tf.data.Dataset:
        return tf.keras.utils.image_dataset_from_directory(
            f"{data}/{split}", shuffle=split == "train", batch_size=BATCH, image_size=SIZE, seed=0
        ).prefetch(tf.data.AUTOTUNE)

    train, validation, test = read("train"), read("validation"), read("test")
    augmentation = tf.keras.Sequential(
        [tf.keras.layers.RandomFlip("horizontal"), tf.keras.layers.RandomRotation(0.2)]
    )
    base = tf.keras.applications.MobileNetV2(
        input_shape=(*SIZE, 3), alpha=alpha, include_top=False, weights=weights
    )
    base.trainable = False
    image = tf.keras.Input((*SIZE, 3))
    x = tf.keras.applications.mobilenet_v2.preprocess_input(augmentation(image))
    x = tf.keras.layers.GlobalAveragePooling2D()(base(x, training=False))
    outputs = tf.keras.layers.Dense(1)(tf.keras.layers.Dropout(0.2)(x))
    model = tf.keras.Model(image, outputs)

    def fit(optimizer: tf.keras.optimizers.Optimizer, first: int, last: int) -> None:
        loss = tf.keras.losses.BinaryCrossentropy(from_logits=True)
        accuracy = tf.keras.metrics.BinaryAccuracy(threshold=0, name="accuracy")
        model.compile(optimizer, loss, metrics=[accuracy])
        model.fit(train, epochs=last, initial_epoch=first, validation_data=validation, verbose=2)

    fit(tf.keras.optimizers.Adam(RATE), 0, EPOCHS)
    base.trainable = True
    for layer in base.layers[:FINE_TUNE_AT]:
        layer.trainable = False
    fit(tf.keras.optimizers.RMSprop(RATE / 10), EPOCHS, 2 * EPOCHS)
    _, accuracy = model.evaluate(test, verbose=0)
    ended = time.monotonic()
    print(
        json.dumps(
            {"seconds": ended - started, "import_seconds": imported - started, "test_accuracy": accuracy}
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
