from itertools import islice

import numpy as np
import pytest
from PIL import Image

from edge_runtime import rendering
from edge_runtime.capture import demo
from edge_runtime.capture.open_camera import open_camera


@pytest.fixture
def short_belt(monkeypatch):
    """A belt with one part, which is drawn in a sixth of the time, as fast as it can be."""
    monkeypatch.setattr(rendering, "CLASSES", ("bolt",))
    monkeypatch.setattr(demo, "FPS", 1e6)


def coarse(image: np.ndarray) -> np.ndarray:
    """Without the sensor's noise and the belt's grain."""
    return np.asarray(Image.fromarray(image).reduce(16)).astype(int)


def test_frames_are_rgb_and_the_part_changes_without_end(short_belt):
    with open_camera("demo", print) as source:
        frames = list(islice(source, 120))
    assert source.live
    assert [frame.number for frame in frames] == list(range(120))
    for frame in frames:
        assert frame.image.shape == (*rendering.PICTURE_SIZE, 3) and frame.image.dtype == np.uint8
        assert frame.source == "demo"
    labels = [label for _, label in rendering.render_video(demo.SEED, parts=1)]
    middle = labels.index("bolt") + labels.count("bolt") // 2
    for first in (0, len(labels)):  # the second round is unpacked from JPEG
        empty, still_empty, bolt = (coarse(frames[first + n].image) for n in (0, 1, middle))
        assert np.abs(bolt - empty).max() > 2 * np.abs(still_empty - empty).max()
    for drawn, unpacked in zip(frames, frames[len(labels) :], strict=False):
        assert np.abs(drawn.image.astype(int) - unpacked.image).mean() < 2


def test_frames_come_no_faster_than_a_cameras():
    with open_camera("demo", print) as source:
        frames = list(islice(source, 8))
    times = [frame.captured_s for frame in frames]
    assert min(np.diff(times)) > 0.9 / demo.FPS
