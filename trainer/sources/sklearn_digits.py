"""The 1,797 digits of 8 x 8 pixels that come with scikit-learn: real ones, without a network."""

import hashlib
from collections.abc import Iterator

import numpy as np

from edge_runtime.extras import extra
from trainer.sources.cache import UnpackedPicture, unpack_pictures
from trainer.sources.source import Source

SPEC = "sklearn:digits"


def open_digits(spec: str = SPEC) -> Source:
    """Unpacks the digits into the cache, 0 to 16 scaled to 0 to 255; not split.

    E. Alpaydin, C. Kaynak: "Optical Recognition of Handwritten Digits", UCI (1998), the test part.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
        WriteError: If the cache cannot be written.
    """
    with extra("train", SPEC):
        from sklearn.datasets import load_digits
    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)

    def pictures() -> Iterator[UnpackedPicture]:
        for picture, label in zip(pixels, digits.target, strict=True):
            yield UnpackedPicture(picture, str(label), "")

    contents = hashlib.sha256(pixels.tobytes() + digits.target.astype(np.uint8).tobytes()).hexdigest()
    return unpack_pictures(spec, f"sklearn-digits-{contents[:32]}", pictures)
