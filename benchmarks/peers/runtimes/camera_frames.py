"""Pictures as a camera would give them: frames of one size, in a file that all programs read."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from benchmarks.measuring.frame import FRAME_SIZE
from benchmarks.measuring.pictures import Pictures
from edge_runtime.errors import DataError, PictureError
from edge_runtime.pictures import read_picture


def write_frames(pictures: Pictures, limit: int, out: Path) -> list[str]:
    """Writes at most `limit` pictures, evenly picked from all classes, as frames of FRAME_SIZE.

    Each is the largest centred part of the picture that has a frame's shape, resampled bicubically. Pictures that cannot
    be read are left out.

    Args:
        pictures: What is to be seen.
        limit: At least 1.
        out: The .npy to write: RGB, uint8, shape (limit, height, width, 3), of which those that were read come first.

    Returns:
        The label of each frame.

    Raises:
        DataError: If none can be read.
    """
    count = min(limit, len(pictures.files))
    picked = [pictures.files[i] for i in np.linspace(0, len(pictures.files) - 1, count).round().astype(int)]
    frames = np.lib.format.open_memmap(out, "w+", np.uint8, (count, *FRAME_SIZE, 3))
    labels = []
    for path, label in picked:
        try:
            picture = Image.fromarray(read_picture(path))
        except PictureError:
            continue
        frames[len(labels)] = ImageOps.fit(picture, FRAME_SIZE[::-1])
        labels.append(label)
    frames.flush()
    if not labels:
        raise DataError(
            f"none of {count} files in {pictures.data} is a readable picture",
            "name a folder with JPEG or PNG files in its class folders",
        )
    return labels
