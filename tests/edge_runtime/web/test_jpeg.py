import io

import numpy as np
import pytest
from PIL import Image

from edge_runtime.web.jpeg import LARGEST_SIDE_PX, encode


@pytest.mark.parametrize(
    "size, longest_px, encoded",
    [
        ((480, 640), 640, (640, 480)),
        ((720, 1280), 640, (640, 360)),
        ((1080, 1920), 640, (640, 360)),
        ((600, 800), 640, (400, 300)),  # by a whole factor
        ((1280, 720), 640, (360, 640)),
        ((481, 641), 640, (321, 241)),
        ((1, 1), 640, (1, 1)),
        ((1, 8000), 640, (616, 1)),
        ((8000, 1), 640, (1, 616)),
        ((2, 70_000), 640, (637, 1)),
        ((2, 70_000), LARGEST_SIDE_PX, (35_000, 1)),
        ((1080, 1920), LARGEST_SIDE_PX, (1920, 1080)),
    ],
)
def test_a_frame_becomes_a_jpeg_of_at_most_that_many_pixels(size, longest_px, encoded):
    frame = np.zeros((*size, 3), np.uint8)
    frame[...] = (250, 120, 10)
    with Image.open(io.BytesIO(encode(frame, 90, longest_px))) as picture:
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", encoded)
        assert np.abs(np.asarray(picture).astype(int) - (250, 120, 10)).max() <= 4


def test_a_part_of_a_larger_frame_is_encoded_as_it_is_seen(coloured):
    """A region of interest is a view with strides."""
    frame = coloured("red", (100, 100))
    frame[20:60, 30:80] = (0, 255, 0)
    with Image.open(io.BytesIO(encode(frame[20:60, 30:80], 90, 640))) as picture:
        assert picture.size == (50, 40)
        assert np.abs(np.asarray(picture).astype(int) - (0, 255, 0)).max() <= 4
