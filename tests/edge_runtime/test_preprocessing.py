import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from edge_runtime.errors import FrameError
from edge_runtime.preprocessing import _centre_crop, resize

SIDES = st.one_of(st.integers(1, 40), st.sampled_from([97, 480, 640]))
SIZES = st.sampled_from([(96, 96), (8, 8), (1, 1), (7, 13), (160, 90)])


def box_reduce_by_reshape(picture: np.ndarray, k: int) -> np.ndarray:
    """The definition, slow and in float64: the mean of each k x k block, rounded half up."""
    rows, columns = picture.shape[0] // k, picture.shape[1] // k
    return np.floor(picture.reshape(rows, k, columns, k, 3).mean(axis=(1, 3)) + 0.5)


@given(SIDES, SIDES, SIZES, st.tuples(*[st.integers(0, 255)] * 3))
def test_a_frame_of_one_colour_stays_it(height, width, size, colour):
    frame = np.broadcast_to(np.array(colour, np.uint8), (height, width, 3))
    result = resize(frame, size)
    assert result.shape == (*size, 3) and result.dtype == np.uint8
    assert (result == colour).all()


@given(SIDES, SIDES, SIZES, st.integers(0, 2**32 - 1))
def test_no_value_leaves_the_frames_range(height, width, size, seed):
    frame = np.random.default_rng(seed).integers(40, 200, (height, width, 3), dtype=np.uint8)
    result = resize(frame, size)
    assert result.shape == (*size, 3) and result.dtype == np.uint8
    assert frame.min() <= result.min() and result.max() <= frame.max()


@pytest.mark.parametrize("shape", [(8000, 3), (3, 8000), (1, 8000), (8000, 1), (1, 1), (4320, 7680)])
def test_extreme_frames(shape):
    frame = np.full((*shape, 3), 255, np.uint8)
    assert (resize(frame, (96, 96)) == 255).all()


def test_crops_the_centre():
    frame = np.zeros((100, 300, 3), np.uint8)
    frame[:, 100:200] = 255
    assert (resize(frame, (50, 50)) == 255).all()


@pytest.mark.parametrize("factor", [2, 3, 5, 16, 17, 40])  # 17: sums leave uint16
def test_reduces_by_the_rounded_mean_of_each_block(factor):
    frame = np.random.default_rng(0).integers(0, 256, (8 * factor, 8 * factor, 3), dtype=np.uint8)
    assert np.array_equal(resize(frame, (8, 8)), box_reduce_by_reshape(frame, factor))


def test_leaves_a_frame_of_the_inputs_size_alone():
    frame = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    assert np.array_equal(resize(frame, (96, 96)), frame)


def test_does_not_write_to_the_frame():
    frame = np.random.default_rng(0).integers(0, 256, (75, 100, 3), dtype=np.uint8)
    frame.flags.writeable = False
    resize(frame, (32, 32))


@pytest.mark.parametrize(
    "frame, why",
    [
        (np.zeros((48, 64), np.uint8), "grey"),
        (np.zeros((48, 64, 4), np.uint8), "RGBA"),
        (np.zeros((48, 64, 1), np.uint8), "one channel"),
        (np.zeros((48, 64, 3), np.float32), "float"),
        (np.zeros((48, 64, 3), np.int8), "signed"),
        (np.zeros((0, 64, 3), np.uint8), "no rows"),
        (np.zeros((48, 0, 3), np.uint8), "no columns"),
        (np.zeros((1, 48, 64, 3), np.uint8), "a batch"),
        ([[[0, 0, 0]]], "a list"),
        (None, "nothing"),
    ],
)
def test_refuses_what_is_no_rgb_frame(frame, why):
    with pytest.raises(FrameError, match="expected an RGB uint8 frame of shape"):
        resize(frame, (96, 96))


# The same pixels from other libraries.

FRAME_SIZES = [(480, 640), (374, 500), (1080, 1920), (75, 100)]
INPUT_SIZES = [96, 128, 160, 224]


def frames() -> list[np.ndarray]:
    """Noise is the worst case; blurred noise at three scales is what pictures look like to a filter."""
    random = np.random.default_rng(0)
    made = []
    for height, width in FRAME_SIZES:
        noise = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        made.append(np.asarray(noise))
        scales = [np.asarray(noise.filter(ImageFilter.GaussianBlur(r)), float) - 127.5 for r in (1, 4, 16)]
        mixed = 127.5 + sum(scale / scale.std() * 20 for scale in scales)
        made.append(mixed.clip(0, 255).astype(np.uint8))
    return made


def by_tensorflow(picture: np.ndarray, factor: int, side: int) -> np.ndarray:
    tf = pytest.importorskip("tensorflow")
    batch = tf.cast(picture[np.newaxis], tf.float32)
    batch = tf.floor(tf.nn.avg_pool2d(batch, factor, factor, "VALID") + 0.5)
    batch = tf.floor(tf.image.resize(batch, (side, side), "bilinear") + 0.5)
    return tf.cast(batch, tf.uint8).numpy()[0]


def by_pillow(picture: np.ndarray, factor: int, side: int) -> np.ndarray:
    reduced = Image.fromarray(picture).reduce(factor)
    scale = (reduced.width / side, 0, 0, 0, reduced.height / side, 0)
    return np.asarray(
        reduced.transform((side, side), Image.Transform.AFFINE, scale, Image.Resampling.BILINEAR)
    )


def by_opencv(picture: np.ndarray, factor: int, side: int) -> np.ndarray:
    cv2 = pytest.importorskip("cv2")
    reduced_size = (picture.shape[1] // factor, picture.shape[0] // factor)
    reduced = cv2.resize(picture, reduced_size, interpolation=cv2.INTER_AREA)
    return cv2.resize(reduced, (side, side), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize(
    "other, largest, mean",
    [
        # Measured on these frames: largest 1, mean 0.002 (float32 sums in another order, at the ties).
        pytest.param(by_tensorflow, 1, 0.01, marks=pytest.mark.slow),
        # Measured: largest 2, mean 0.16. OpenCV interpolates in fixed point and rounds half to even.
        (by_opencv, 2, 0.2),
        # Measured: largest 2, mean 0.62. Pillow's bilinear transform cuts fractions off, and never rounds up.
        (by_pillow, 2, 0.65),
    ],
)
def test_other_libraries_give_the_same_pixels(other, largest, mean):
    for frame, side in itertools.product(frames(), INPUT_SIZES):
        cropped, factor = _centre_crop(frame, (side, side))
        theirs = other(np.ascontiguousarray(cropped), factor, side)
        difference = np.abs(resize(frame, (side, side)).astype(int) - theirs)
        assert difference.max() <= largest, (frame.shape, side)
        assert difference.mean() <= mean, (frame.shape, side)
