"""From a frame of any size to the model's input: one rule, on the workstation and on the device.

The rule ``centre-crop`` takes the largest centred rectangle of the input's shape, reduces it by the largest
whole factor with a box filter, and resamples what remains (a factor under two) bilinearly with half-pixel
centres. Box reduction sees every pixel, so nothing aliases; and it is several times cheaper than an
antialiased resize of the whole frame. The same steps give the same pixels in ``tf.nn.avg_pool2d`` +
``tf.image.resize`` (to one grey level), and to two in ``cv2.INTER_AREA`` + ``cv2.INTER_LINEAR`` and in
Pillow's ``reduce`` + ``transform``, which round otherwise; test_preprocessing.py holds these bounds.
"""

from functools import lru_cache

import numpy as np

from edge_runtime.errors import FrameError

CENTRE_CROP = "centre-crop"
RESIZE_RULES = (CENTRE_CROP,)
"""The rules this version knows; a model file that names another is refused."""


def resize(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Applies the rule ``centre-crop``.

    Args:
        frame: RGB, uint8, shape (any height, any width, 3).
        size: (height, width) of the result.

    Returns:
        RGB, uint8, shape size + (3,).

    Raises:
        FrameError: If frame is no RGB uint8 picture or has no pixels.
    """
    check_frame(frame)
    cropped, factor = _centre_crop(frame, size)
    return _bilinear(_box_reduce(cropped, factor), size)


def check_frame(frame: np.ndarray) -> None:
    """Raises FrameError unless frame is RGB, uint8, of shape (height, width, 3) with at least one pixel."""
    if not isinstance(frame, np.ndarray):
        raise FrameError(
            f"expected an RGB uint8 frame of shape (height, width, 3), got a {type(frame).__name__}",
            "convert it with numpy.asarray()",
        )
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or frame.size == 0:
        raise FrameError(
            "expected an RGB uint8 frame of shape (height, width, 3), "
            f"got shape {frame.shape}, dtype {frame.dtype}",
            "convert grey, BGR, RGBA or float frames to RGB uint8 before classifying",
        )


def _centre_crop(frame: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, int]:
    """The largest centred rectangle of size's shape whose sides divide by the factor, and the factor."""
    rows, columns = frame.shape[:2]
    height, width = size
    crop_rows = max(1, min(rows, columns * height // width))
    crop_columns = max(1, min(columns, rows * width // height))
    factor = max(1, min(crop_rows // height, crop_columns // width))
    crop_rows, crop_columns = crop_rows // factor * factor, crop_columns // factor * factor
    top, left = (rows - crop_rows) // 2, (columns - crop_columns) // 2
    return frame[top : top + crop_rows, left : left + crop_columns], factor


def _box_reduce(picture: np.ndarray, factor: int) -> np.ndarray:
    """The mean of each factor x factor block, rounded half up; uint8."""
    if factor == 1:
        return picture
    # Sums of strided slices, not reshape().mean(): the slices stay vectorised and in small integers.
    total = np.uint16 if factor * factor * 255 <= np.iinfo(np.uint16).max else np.uint32
    rows = picture[0::factor].astype(total)
    for offset in range(1, factor):
        rows += picture[offset::factor]
    blocks = rows[:, 0::factor].copy()
    for offset in range(1, factor):
        blocks += rows[:, offset::factor]
    return ((blocks + total(factor * factor // 2)) // total(factor * factor)).astype(np.uint8)


def _bilinear(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear resampling with half-pixel centres and edges repeated, rounded half up; uint8."""
    if picture.shape[:2] == size:
        return np.ascontiguousarray(picture)
    rows, columns = picture.shape[:2]
    above, below, lower = _taps(rows, size[0])
    # Rows first: they are contiguous. Then columns, by index into rows of interleaved RGB.
    flat = picture.reshape(rows, columns * 3).astype(np.float32)
    mixed = _mix(flat[above], flat[below], lower[:, np.newaxis])
    left, right, further = _interleaved_taps(columns, size[1])
    result = _mix(mixed[:, left], mixed[:, right], further)
    result += np.float32(0.5)
    return result.astype(np.uint8).reshape(*size, 3)


def _mix(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """first + (second - first) * weight, in the memory of second: both were copied by their index."""
    second -= first
    second *= weight
    second += first
    return second


@lru_cache(maxsize=16)
def _interleaved_taps(columns: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`_taps` for the values of a row of interleaved RGB: three for each pixel."""
    left, right, weight = _taps(columns, target)
    channel = np.arange(3)
    return (left[:, None] * 3 + channel).ravel(), (right[:, None] * 3 + channel).ravel(), np.repeat(weight, 3)


@lru_cache(maxsize=16)
def _taps(length: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each target pixel: the two source pixels it lies between, and the second one's weight."""
    position = (np.arange(target) + 0.5) * (length / target) - 0.5
    first = np.floor(position).astype(np.intp)
    weight = (position - first).astype(np.float32)
    return first.clip(0, length - 1), (first + 1).clip(0, length - 1), weight
