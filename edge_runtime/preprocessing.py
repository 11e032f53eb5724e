"""From a frame of any size to the model's input: one rule, on the workstation and on the device.

The rule ``centre-crop`` takes the largest centred rectangle of the input's shape, reduces it by the largest
whole factor with a box filter, and resamples what remains (a factor under two) bilinearly with half-pixel
centres. Box reduction sees every pixel, so nothing aliases; and it is several times cheaper than an
antialiased resize of the whole frame. The same steps give the same pixels in ``tf.nn.avg_pool2d`` +
``tf.image.resize`` (to one grey level), and to two in ``cv2.INTER_AREA`` + ``cv2.INTER_LINEAR`` and in
Pillow's ``reduce`` + ``transform``, which round otherwise; test_preprocessing.py holds these bounds.

Its bytes are a contract, because models were trained on them: the same test holds the rule in its plainest
form, and what is here gives the same bytes sooner. It writes into memory that is kept from frame to frame,
works in slabs that stay in the processor's cache, and prefers to make a few values too many to gathering
the needed ones from their places.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from edge_runtime.errors import FrameError

CENTRE_CROP = "centre-crop"
RESIZE_RULES = (CENTRE_CROP,)
"""The rules this version knows; a model file that names another is refused."""

SLAB_BYTES = 3 * 2**16
"""Largest memory of a slab's sums or floats, of which there are half a dozen; by measuring 64 KiB to 4 MiB."""


def resize(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Applies the rule ``centre-crop``. For one frame; for many, a `Resizer` keeps its memory.

    Args:
        frame: RGB, uint8, shape (any height, any width, 3).
        size: (height, width) of the result.

    Returns:
        RGB, uint8, shape size + (3,).

    Raises:
        FrameError: If frame is no RGB uint8 picture or has no pixels.
    """
    check_frame(frame)
    result = np.empty((*size, 3), np.uint8)
    Resizer(size).write(frame, result)
    return result


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


class Resizer:
    """`resize` to one size, frame after frame, in memory that is kept; for one thread at a time."""

    def __init__(self, size: tuple[int, int]):
        """Takes (height, width) of the results."""
        self._size = size
        self._shape = None

    def write(self, frame: np.ndarray, result: np.ndarray) -> None:
        """Writes what `resize` gives.

        Args:
            frame: RGB, uint8, shape (any height, any width, 3); `check_frame` is left to the caller.
            result: uint8, shape size + (3,), contiguous.
        """
        if frame.shape != self._shape:
            self._shape = None  # and it stays so where memory runs out
            self._prepare(*frame.shape[:2])
            self._shape = frame.shape
        picture = frame[self._crop]
        for slab in self._slabs:
            reduced = self._reduce(picture[slab.frame])
            self._interpolate(reduced, slab, result[slab.target])

    def _prepare(self, height: int, width: int) -> None:
        """Plans for frames of one shape: the crop, the slabs it is worked off in, and their memory."""
        top, left, rows, columns, factor = _centre_crop(height, width, self._size)
        self._crop = np.s_[top : top + rows * factor, left : left + columns * factor]
        down, across = _axis(rows, self._size[0]), _axis(columns, self._size[1])
        row_bytes = columns * 3 * max(4, factor * _sum_type(factor).itemsize)
        self._slabs = _cut(down, factor, SLAB_BYTES // row_bytes)
        self._reduce = _BoxFilter(self._slabs[0].rows, columns, factor) if factor > 1 else _as_it_is
        same = (rows, columns) == self._size
        self._interpolate = _copy if same else _Bilinear(down, across, self._slabs[0])


def _centre_crop(height: int, width: int, size: tuple[int, int]) -> tuple[int, int, int, int, int]:
    """The largest centred rectangle of size's shape in a frame, whose sides divide by the factor.

    Returns:
        Its top and left; its sides divided by the factor; and the factor of the box filter.
    """
    rows = max(1, min(height, width * size[0] // size[1]))
    columns = max(1, min(width, height * size[1] // size[0]))
    factor = max(1, min(rows // size[0], columns // size[1]))
    rows, columns = rows // factor, columns // factor
    return (height - rows * factor) // 2, (width - columns * factor) // 2, rows, columns, factor


def _as_it_is(picture: np.ndarray) -> np.ndarray:
    return picture


def _copy(picture: np.ndarray, slab: "_Slab", result: np.ndarray) -> None:
    np.copyto(result, picture, casting="unsafe")


def _sum_type(factor: int) -> np.dtype:
    """The smallest integers that hold a block's sum, and half its pixels more for rounding."""
    most = factor * factor * 255 + factor * factor // 2
    return np.dtype(np.uint16 if most <= np.iinfo(np.uint16).max else np.uint32)


class _BoxFilter:
    """The mean of each factor x factor block, rounded half up."""

    def __init__(self, rows: int, columns: int, factor: int):
        """Takes the sides of the result."""
        self._factor = factor
        self._type = _sum_type(factor)
        self._sums = np.empty((rows, columns * factor, 3), self._type)
        self._blocks = np.empty((rows, columns, 3), self._type)
        self._additions = self._plan_additions()

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Reduces a picture: shape (rows, columns, 3), of integers; valid until the next call."""
        factor, sums, blocks = self._factor, self._sums, self._blocks
        np.add(picture[0::factor], picture[1::factor], out=sums, dtype=self._type)
        for offset in range(2, factor):
            np.add(sums, picture[offset::factor], out=sums)
        for first, second, total in self._additions:
            np.add(first, second, out=total)
        np.add(blocks, self._type.type(factor * factor // 2), out=blocks)
        return np.floor_divide(blocks, self._type.type(factor * factor), out=blocks)

    def _plan_additions(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Which two arrays to add into which third, to sum along the rows what stands in `_sums`.

        An array added to itself some pixels on makes a sum of neighbours at every pixel, 1 + 1 = 2, 2 + 2 = 4,
        4 + 1 = 5, and runs through memory without a gap. Only the last addition picks the blocks' first pixels.
        """
        single, blocks, additions = self._sums.reshape(-1), self._blocks.reshape(-1), []

        def sum_of(pixels: int) -> np.ndarray:
            if pixels == 1:
                return single
            first, second = terms_of(pixels)
            total = np.empty_like(second)
            additions.append((first[: len(total)], second, total))
            return total

        def terms_of(pixels: int) -> tuple[np.ndarray, np.ndarray]:
            if pixels % 2:
                return sum_of(pixels - 1), single[(pixels - 1) * 3 :]
            half = sum_of(pixels // 2)
            return half, half[pixels // 2 * 3 :]

        first, second = terms_of(self._factor)
        for channel in range(3):
            every_block = np.s_[channel :: self._factor * 3]
            additions.append((first[every_block], second[every_block], blocks[channel::3]))
        return additions


@dataclass(frozen=True, eq=False)
class _Axis:
    """Between which pixels of the source those of the target lie, along one side."""

    source: int
    """How many pixels."""
    target: int
    """How many pixels."""
    first: np.ndarray
    """Shape (target,): the source pixel before each."""
    second: np.ndarray
    """Shape (target,): the one after it; the same where it has no weight, and at an end."""
    weight: np.ndarray
    """Shape (target,), float32: the second's, 0 to 1."""
    period: int
    """So many lie between neighbours, then one of the source is skipped and all begins anew; 0: it is not so regular."""


@lru_cache(maxsize=16)
def _axis(source: int, target: int) -> _Axis:
    position = (np.arange(target) + 0.5) * (source / target) - 0.5
    first = np.floor(position).astype(np.intp)
    weight = (position - first).astype(np.float32)
    second = np.where(weight > 0, first + 1, first)
    ends = 0, source - 1
    return _Axis(
        source, target, first.clip(*ends), second.clip(*ends), weight, _period(source, first, weight)
    )


def _period(source: int, first: np.ndarray, weight: np.ndarray) -> int:
    target, skipped = len(first), source - len(first)
    if skipped < 1 or target % skipped:
        return 0
    period = target // skipped
    regular = np.arange(source).reshape(skipped, period + 1)[:, :-1].reshape(-1)
    same = np.array_equal(first, regular) and not np.ptp(weight.reshape(skipped, period), axis=0).any()
    return period if same else 0


@dataclass(frozen=True, eq=False)
class _Slab:
    """Some rows of the result, and the rows they are made of; all slabs of a frame are of a size."""

    frame: slice
    """Rows of the cropped frame."""
    rows: int
    """How many these are once the box filter has reduced them."""
    target: slice
    """Rows of the result."""
    above: np.ndarray
    """Which of the reduced rows is the first for each row of the result."""
    below: np.ndarray
    """And the second."""
    weight: np.ndarray
    """And the second's weight: shape (rows of the result, 1)."""


def _cut(down: _Axis, factor: int, most: int) -> list[_Slab]:
    """The slabs of a frame, of `most` reduced rows or little more."""
    step = down.period or 1
    count = math.ceil(down.source / max(1, most))
    height = min(down.target, math.ceil(down.target / count / step) * step)
    # The last slab repeats rows of the one before, so as to be of their size.
    starts = [min(start, down.target - height) for start in range(0, down.target, height)]
    rows = max(down.second[start + height - 1] + 1 - down.first[start] for start in starts)
    slabs = []
    for start in starts:
        source, target = min(down.first[start], down.source - rows), slice(start, start + height)
        slabs.append(
            _Slab(
                slice(source * factor, (source + rows) * factor),
                rows,
                target,
                down.first[target] - source,
                down.second[target] - source,
                down.weight[target, np.newaxis],
            )
        )
    return slabs


class _Bilinear:
    """Bilinear resampling with half-pixel centres and edges repeated, rounded half up: rows, then columns.

    first + (second - first) * weight, in float32, each operation rounded: another order of the same sum
    differs where the exact result is half a grey level.
    """

    def __init__(self, down: _Axis, across: _Axis, slab: _Slab):
        """Takes both axes, and one of the slabs."""
        height, width = len(slab.weight), across.source * 3
        self._source = np.empty((slab.rows, width), np.float32)
        self._rows = np.empty((height, width), np.float32)
        self._above, self._below = np.empty_like(self._rows), np.empty_like(self._rows)
        self._period = down.period
        if self._period:
            periods = height // self._period
            shares = self._source.reshape(periods, -1)
            self._above, self._below = shares[:, :-width], shares[:, width:]
            self._lines = self._rows.reshape(periods, -1)
            self._weight = np.repeat(down.weight[: self._period], width)
        columns = _ColumnsInPlace if across.period else _ColumnsTaken
        self._columns = columns(self._rows, across, self._period or 1)

    def __call__(self, picture: np.ndarray, slab: _Slab, result: np.ndarray) -> None:
        """Resamples a picture of integers, shape (rows, columns, 3), into result."""
        np.copyto(self._source.reshape(picture.shape), picture)
        if self._period:
            _mix(self._above, self._below, self._weight, self._lines)
        else:
            # Any mode but "raise", which would buffer what it writes.
            np.take(self._source, slab.above, axis=0, out=self._above, mode="clip")
            np.take(self._source, slab.below, axis=0, out=self._below, mode="clip")
            _mix(self._above, self._below, slab.weight, self._rows)
        self._columns.write(result)


def _mix(first: np.ndarray, second: np.ndarray, weight: np.ndarray, mixed: np.ndarray) -> None:
    np.subtract(second, first, out=mixed)
    np.multiply(mixed, weight, out=mixed)
    np.add(mixed, first, out=mixed)


class _ColumnsInPlace:
    """Columns with a period: each is made where the first of its two stands, then all move up.

    To make the skipped ones too is cheaper than to gather floats.
    """

    def __init__(self, rows: np.ndarray, across: _Axis, together: int):
        """Takes the memory of the rows to resample: float32, shape (height, source columns * 3).

        Args:
            together: How many of them are walked in one run; divides their number.
        """
        self._rows = rows.reshape(-1)
        self._mixed = np.zeros_like(self._rows)
        self._lines = self._mixed.reshape(-1, together * rows.shape[1])
        # None for a skipped column: to the right of the last one stands another row.
        weight = np.zeros((across.source, 3), np.float32)
        weight[across.first] = across.weight[:, np.newaxis]
        self._weight = np.tile(weight.reshape(-1), together)
        self._kept = self._mixed.reshape(len(rows), -1, (across.period + 1) * 3)[:, :, :-3]

    def write(self, result: np.ndarray) -> None:
        """Writes the columns of what stands in the rows, rounded: uint8, shape (height, width, 3)."""
        first, mixed = self._rows, self._mixed
        np.subtract(first[3:], first[:-3], out=mixed[:-3])
        np.multiply(self._lines, self._weight, out=self._lines)
        np.add(mixed, first, out=mixed)
        np.add(mixed, np.float32(0.5), out=mixed)
        np.copyto(result.reshape(self._kept.shape), self._kept, casting="unsafe")


class _ColumnsTaken:
    """Columns without a period: the two of each are gathered."""

    def __init__(self, rows: np.ndarray, across: _Axis, together: int):
        """Takes the memory of the rows to resample: float32, shape (height, source columns * 3)."""
        self._rows = rows
        self._left, self._right = _interleaved(across.first), _interleaved(across.second)
        self._weight = np.repeat(across.weight, 3)
        self._first, self._second = (np.empty((len(rows), across.target * 3), np.float32) for _ in range(2))

    def write(self, result: np.ndarray) -> None:
        """Writes the columns of what stands in the rows, rounded: uint8, shape (height, width, 3)."""
        first, second = self._first, self._second
        np.take(self._rows, self._left, axis=1, out=first, mode="clip")
        np.take(self._rows, self._right, axis=1, out=second, mode="clip")
        _mix(first, second, self._weight, second)
        np.add(second, np.float32(0.5), out=second)
        np.copyto(result.reshape(second.shape), second, casting="unsafe")


def _interleaved(columns: np.ndarray) -> np.ndarray:
    """Where the three values of each column stand in a row."""
    return (columns[:, np.newaxis] * 3 + np.arange(3)).reshape(-1)
