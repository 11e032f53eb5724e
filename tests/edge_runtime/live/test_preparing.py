import numpy as np
import pytest

from edge_runtime.capture.frame import Frame
from edge_runtime.deciding.region import parse_region
from edge_runtime.live.preparing import PreparedFrame, Preparing
from edge_runtime.preprocessing import resize


class Given:
    """A source of given images."""

    live = True

    def __init__(self, *images):
        self._images = images
        self.opened = self.closed = False

    def __enter__(self):
        self.opened = True
        return self

    def __exit__(self, *exception):
        self.closed = True

    def __iter__(self):
        return (Frame(image, "door", number, 5.0, 6.0) for number, image in enumerate(self._images))


@pytest.fixture
def noise():
    draw = np.random.default_rng(0)
    return lambda size: draw.integers(0, 256, (*size, 3), dtype=np.uint8)


def test_a_frame_comes_with_the_models_input(noise):
    image = noise((48, 64))
    source = Given(image)
    with Preparing(source, None, lambda: (8, 8)) as preparing:
        (frame,) = preparing
    assert source.opened and source.closed
    assert frame.image is image and (frame.source, frame.number, frame.time, frame.captured_s) == (
        "door",
        0,
        5.0,
        6.0,
    )
    assert np.array_equal(frame.picture, resize(image, (8, 8))[np.newaxis])


def test_the_input_is_that_of_the_region(noise):
    image = noise((48, 64))
    (frame,) = Preparing(Given(image), parse_region("10,20,30,20"), lambda: (8, 8))
    assert np.array_equal(frame.image, image[20:40, 10:40])
    assert np.array_equal(frame.picture, resize(image[20:40, 10:40], (8, 8))[np.newaxis])


def test_another_models_size_is_followed(noise):
    sizes = iter([(8, 8), (8, 8), (4, 6)])
    now = [None]

    class Source(Given):
        def __iter__(self):
            for frame in super().__iter__():
                now[0] = next(sizes)
                yield frame

    found = [
        f.picture.shape for f in Preparing(Source(*(noise((48, 64)) for _ in range(3))), None, lambda: now[0])
    ]
    assert found == [(1, 8, 8, 3), (1, 8, 8, 3), (1, 4, 6, 3)]


def test_frames_do_not_share_memory(noise):
    first, second = Preparing(Given(noise((48, 64)), noise((48, 64))), None, lambda: (8, 8))
    assert not np.shares_memory(first.picture, second.picture)


@pytest.mark.parametrize(
    "bad", [np.zeros((48, 64), np.uint8), np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5, 3), np.uint8)]
)
def test_what_cannot_be_prepared_is_handed_on(bad):
    (frame,) = Preparing(Given(bad), parse_region("0,0,6,6"), lambda: (8, 8))
    assert not isinstance(frame, PreparedFrame) and frame.image is bad
