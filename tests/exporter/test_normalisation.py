import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.normalisation import MINUS_ONE_TO_ONE, Normalisation

PIXELS = np.arange(256, dtype=np.uint8)
normalisations = st.builds(Normalisation, st.floats(0, 255), st.floats(0.01, 1000))


@pytest.mark.parametrize(
    "normalisation, black, white",
    [
        (MINUS_ONE_TO_ONE, -1, 1),
        (Normalisation(0, 255), 0, 1),
        (Normalisation(0, 1), 0, 255),
        (Normalisation(255, 255), -1, 0),
    ],
    ids=str,
)
def test_black_and_white_become_the_ends_of_the_range(normalisation, black, white):
    assert normalisation.range == (black, white)
    np.testing.assert_allclose(normalisation(PIXELS)[[0, 255]], [black, white])


@given(normalisations)
def test_every_pixel_is_in_the_range_in_float32(normalisation):
    values = normalisation(PIXELS.reshape(4, 8, 8))
    assert values.shape == (4, 8, 8) and values.dtype == np.float32
    lowest, highest = np.float32(normalisation.range)
    slack = 1e-5 * (highest - lowest)
    assert values.min() >= lowest - slack and values.max() <= highest + slack
    assert (np.diff(values.ravel()) > 0).all()


@given(normalisations)
def test_from_minus_one_to_one_is_from_the_pixels(normalisation):
    unit = PIXELS.astype(np.float64) / 127.5 - 1
    lowest, highest = normalisation.range
    np.testing.assert_allclose(
        normalisation.of_unit(unit), normalisation(PIXELS), atol=1e-5 * (highest - lowest)
    )
