import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.deciding.region import parse_region
from edge_runtime.errors import ConfigError, FrameError


@pytest.fixture
def frame():
    """Four rows of ten columns; each pixel knows where it is."""
    image = np.zeros((4, 10, 3), np.uint8)
    image[..., 0], image[..., 1] = np.mgrid[:4, :10]
    return image


@pytest.mark.parametrize(
    "roi, rows, columns",
    [
        ("0,0,10,4", (0, 4), (0, 10)),
        ("2,1,3,2", (1, 3), (2, 5)),
        (" 9, 3, 1, 1", (3, 4), (9, 10)),
        ("0.,0.,1.,1.", (0, 4), (0, 10)),
        ("0,0,1.0,1", (0, 4), (0, 10)),
        ("0.5,0.5,0.5,0.5", (2, 4), (5, 10)),
        ("0.1,0.25,.2,0.25", (1, 2), (1, 3)),
    ],
)
def test_a_region_is_cut_out(frame, roi, rows, columns):
    region = parse_region(roi)
    cropped = region.crop(frame)
    assert np.array_equal(cropped, frame[slice(*rows), slice(*columns)])
    assert np.shares_memory(cropped, frame), "a view"
    assert parse_region(str(region)) == region


@pytest.mark.parametrize(
    "roi, problem",
    [
        ("0,0,11,4", "not within a frame of 10 x 4 px"),
        ("0,0,10,5", "not within a frame of 10 x 4 px"),
        ("10,0,1,1", "not within a frame of 10 x 4 px"),
        ("0.5,0.5,0.01,0.5", "empty in a frame of 10 x 4 px"),
    ],
)
def test_a_region_outside_the_frame_is_told_with_the_frames_size(frame, roi, problem):
    with pytest.raises(FrameError, match=problem):
        parse_region(roi).crop(frame)


@pytest.mark.parametrize(
    "roi",
    [
        *("", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1;2;3;4", "0,0,0,4", "0,0,4,0", "-1,0,2,2", "1e1,0,2,2"),
        *("0.5,0.5,0.6,0.5", "0.5,0.5,0.5,0.6", "0.0,0.0,10,4", "nan,0,1,1", "0,0,inf,1", "1_0,0,1,1"),
        *("٣,0,1,1", "0,0,65537,1", "1.2.3,0,1,1", ",,,", "0,0,1,."),
    ],
)
def test_what_is_no_region_is_refused(roi):
    with pytest.raises(ConfigError, match="roi is"):
        parse_region(roi)


@given(
    st.text() | st.from_regex(r"[0-9.]{1,4}(,[0-9.]{1,4}){3}", fullmatch=True),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_any_text_is_read_or_refused(text, rows, columns):
    try:
        cropped = parse_region(text).crop(np.zeros((rows, columns, 3), np.uint8))
    except (ConfigError, FrameError):
        return
    assert cropped.size and cropped.shape[0] <= rows and cropped.shape[1] <= columns
