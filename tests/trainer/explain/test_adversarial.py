import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fool(logits, small_pictures):
    """Attacks a picture; gives (original, Attack)."""
    from trainer.explain.adversarial import attack

    def run(number: int, target: int, epsilon: int | None = None, seed: int = 0):
        picture = small_pictures[number]
        return picture, attack(logits, picture, target, epsilon=epsilon, steps=20, seed=seed)

    return run


@pytest.fixture(scope="module")
def answer(model):
    def run(picture: np.ndarray) -> int:
        return int(model(picture[np.newaxis] / np.float32(127.5) - 1).numpy().argmax())

    return run


@pytest.mark.parametrize("epsilon", [1, 3, 40])
def test_no_byte_changes_by_more_than_epsilon(fool, epsilon):
    original, made = fool(0, 1, epsilon)
    assert made.picture.shape == original.shape and made.picture.dtype == np.uint8
    assert made.epsilon == epsilon
    assert 0 < np.abs(made.picture.astype(int) - original).max() <= epsilon


def test_black_and_white_stay_bytes(logits):
    from trainer.explain.adversarial import attack

    edges = np.repeat(np.array([0, 255], np.uint8), 32 * 16 * 3).reshape(32, 32, 3)
    made = attack(logits, edges, 2, epsilon=8, steps=10, seed=0)
    # A wrap-around would be a change of about 255.
    assert np.abs(made.picture.astype(int) - edges).max() <= 8


def test_a_wide_enough_ball_fools(fool, answer, small_pictures):
    for number in (0, 3, 5):
        target = (answer(small_pictures[number]) + 1) % 4
        _, made = fool(number, target, 64)
        assert answer(made.picture) == target


def test_the_smallest_epsilon_that_is_enough_is_found(fool, answer, small_pictures):
    from trainer.explain.adversarial import EPSILONS

    found = set()
    for number in (0, 3, 5):
        target = (answer(small_pictures[number]) + 1) % 4
        _, made = fool(number, target)
        found.add(made.epsilon)
        smaller = EPSILONS[: EPSILONS.index(made.epsilon)]
        assert all(answer(fool(number, target, epsilon)[1].picture) != target for epsilon in smaller[-1:])
        assert made.epsilon == EPSILONS[-1] or answer(made.picture) == target
    assert len(found) > 1  # else the search was not seen to go on


def test_the_seed_decides_the_picture(fool):
    first, again, other = (fool(0, 1, 8, seed)[1].picture.astype(int) for seed in (0, 0, 1))
    assert np.mean(first != again) < 0.02  # a sign may turn where a slope is nearly 0
    assert np.mean(first != other) > 0.1


def test_total_variation_loss_smooths_the_change(fool, monkeypatch):
    from trainer.explain import adversarial

    def roughness(weight: float) -> float:
        monkeypatch.setattr(adversarial, "VARIATION_WEIGHT", weight)
        original, made = fool(0, 1, 8)
        return adversarial.distance(original, made.picture).total_variation

    assert roughness(10.0) < 0.8 * roughness(0.0)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_distances_are_those_of_the_textbook(data):
    from trainer.explain.adversarial import distance

    shape = (*data.draw(array_shapes(min_dims=2, max_dims=2, max_side=6)), 3)
    first, second = (data.draw(arrays(np.uint8, shape)) for _ in range(2))
    apart = distance(first, second)
    change = second.astype(float) - first
    assert apart.largest == np.abs(change).max()
    assert apart.rms == pytest.approx(np.linalg.norm(change) / np.sqrt(change.size))
    if apart.rms:
        assert apart.psnr_db == pytest.approx(10 * np.log10(255**2 / np.mean(change**2)))
    else:
        assert apart.psnr_db is None
    neighbours = np.abs(np.diff(change, axis=0)).sum() + np.abs(np.diff(change, axis=1)).sum()
    assert apart.total_variation == pytest.approx(neighbours / change.size, rel=1e-5)
