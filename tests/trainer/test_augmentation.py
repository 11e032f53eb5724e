import numpy as np
import pytest

pytestmark = pytest.mark.slow  # imports TensorFlow: ten seconds

SIZE = 33


@pytest.fixture(scope="module")
def augmentation():
    from trainer import augmentation

    return augmentation


def dot(row: int, column: int) -> np.ndarray:
    picture = np.zeros((1, SIZE, SIZE, 3), np.float32)
    picture[0, row, column] = 1.0
    return picture


def test_normalise_maps_bytes_to_minus_one_and_one(augmentation):
    pictures = np.array([0, 255], np.uint8).reshape(1, 2, 1, 1)
    np.testing.assert_allclose(augmentation.normalise(pictures).numpy().ravel(), [-1.0, 1.0])


def test_augment_keeps_the_centre_and_the_brightness(augmentation):
    centre = SIZE // 2
    for seed in range(8):
        turned = augmentation.augment(dot(centre, centre), np.array([seed, 1], np.int32)).numpy()
        assert turned[0, centre, centre, 0] == pytest.approx(1.0, abs=1e-3)
    flat = np.full((4, SIZE, SIZE, 3), 0.25, np.float32)
    np.testing.assert_allclose(augmentation.augment(flat, np.array([1, 2], np.int32)), flat, atol=1e-5)


def test_augment_mirrors_half_and_rotates_within_its_bound(augmentation):
    centre, offset = SIZE // 2, 12
    pictures = np.repeat(dot(centre, centre + offset), 400, axis=0)
    turned = augmentation.augment(pictures, np.array([3, 4], np.int32)).numpy()[..., 0]
    rows, columns = np.mgrid[:SIZE, :SIZE] - centre
    weight = turned.sum(axis=(1, 2))
    y, x = (turned * rows).sum(axis=(1, 2)) / weight, (turned * columns).sum(axis=(1, 2)) / weight
    assert 0.4 < (x < 0).mean() < 0.6
    angle = np.arctan2(y, np.abs(x))
    assert np.abs(angle).max() <= augmentation.LARGEST_ROTATION + 0.03
    assert np.abs(angle).max() > 0.8 * augmentation.LARGEST_ROTATION
    assert np.hypot(x, y) == pytest.approx(offset, abs=0.5)


def test_batches_in_order_are_the_pictures_and_shuffled_ones_repeat_with_their_seed(augmentation):
    pictures = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
    ids = np.arange(10, dtype=np.int32)

    def read(seed):
        parts = list(augmentation.batches(pictures, ids, batch_size=4, seed=seed))
        return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])

    plain, order = read(None)
    np.testing.assert_allclose(plain, pictures / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(order, ids)
    (first, first_ids), (again, again_ids), (_, other_ids) = read(5), read(5), read(6)
    np.testing.assert_array_equal(first_ids, again_ids)
    np.testing.assert_array_equal(first, again)
    assert sorted(first_ids) == list(ids)
    assert list(first_ids) != list(other_ids)


def test_each_pass_over_shuffled_batches_is_augmented_anew(augmentation):
    pictures = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    dataset = augmentation.batches(pictures, np.zeros(6, np.int32), batch_size=6, seed=1)
    first, second = (np.sort(next(iter(dataset))[0].numpy().ravel()) for _ in range(2))
    assert not np.allclose(first, second)
