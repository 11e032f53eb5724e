import numpy as np
import pytest

pytestmark = pytest.mark.slow  # imports TensorFlow: ten seconds

SIZE = 33


@pytest.fixture(scope="module")
def augmentation():
    from trainer import augmentation

    return augmentation


def seed(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int32)


def dot(row: int, column: int) -> np.ndarray:
    picture = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    picture[0, row, column] = 255
    return picture


def flat(level: int, count: int = 200) -> np.ndarray:
    return np.full((count, 16, 16, 3), level, np.uint8)


def scene(count: int, size: int = 32) -> np.ndarray:
    """The same smooth picture many times."""
    rows, columns = np.mgrid[:size, :size] / size
    picture = np.stack([rows, columns, 0.5 + 0.4 * np.sin(6 * rows * columns)], axis=-1)
    return np.repeat((40 + 160 * picture).astype(np.uint8)[np.newaxis], count, axis=0)


def test_normalise_maps_bytes_to_minus_one_and_one(augmentation):
    pictures = np.array([0, 255], np.uint8).reshape(1, 2, 1, 1)
    np.testing.assert_allclose(augmentation.normalise(pictures).numpy().ravel(), [-1.0, 1.0])


@pytest.mark.parametrize("policy", ["light", "strong", "camera"])
def test_a_policy_repeats_with_its_seed_and_differs_between_pictures_and_seeds(augmentation, policy):
    pictures = scene(8)
    first, again, other = (augmentation.augment(pictures, seed(3, n), policy).numpy() for n in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32 and first.shape == pictures.shape
    assert first.min() >= -1 and first.max() <= 1
    assert np.abs(first - other).mean() > 0.02
    for one, next_one in zip(first, first[1:], strict=False):
        assert np.abs(one - next_one).mean() > 1e-3
    # What is in the picture is still there.
    mean = augmentation.normalise(pictures).numpy().mean()
    assert abs(first.mean() - mean) < 0.25


def test_policy_none_only_normalises_and_an_unknown_one_is_refused(augmentation):
    pictures = scene(2)
    plain = augmentation.augment(pictures, seed(1, 2), "none")
    np.testing.assert_allclose(plain, augmentation.normalise(pictures), atol=1e-6)
    with pytest.raises(ValueError, match="'heavy', expected none, light"):
        augmentation.augment(pictures, seed(1, 2), "heavy")


def test_light_keeps_the_centre_and_the_brightness(augmentation):
    centre = SIZE // 2
    for number in range(8):
        turned = augmentation.augment(dot(centre, centre), seed(number, 1), "light").numpy()
        assert turned[0, centre, centre, 0] == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(augmentation.augment(flat(64), seed(1, 2), "light"), 64 / 127.5 - 1, atol=1e-5)


def test_light_mirrors_half_and_rotates_within_its_bound(augmentation):
    centre, offset = SIZE // 2, 12
    pictures = np.repeat(dot(centre, centre + offset), 400, axis=0)
    turned = augmentation.augment(pictures, seed(3, 4), "light").numpy()[..., 0] / 2 + 0.5
    rows, columns = np.mgrid[:SIZE, :SIZE] - centre
    weight = turned.sum(axis=(1, 2))
    y, x = (turned * rows).sum(axis=(1, 2)) / weight, (turned * columns).sum(axis=(1, 2)) / weight
    assert 0.4 < (x < 0).mean() < 0.6
    angle = np.arctan2(y, np.abs(x))
    assert np.abs(angle).max() <= augmentation.LARGEST_ROTATION + 0.03
    assert np.abs(angle).max() > 0.8 * augmentation.LARGEST_ROTATION
    assert np.hypot(x, y) == pytest.approx(offset, abs=0.5)


@pytest.mark.parametrize("mirror", [-1.0, 1.0])
def test_sampling_is_tensorflows_projective_transform(augmentation, mirror):
    from trainer.legacy_keras import tf

    height, width = 24, 37
    pictures = np.random.default_rng(0).uniform(0, 1, (1, height, width, 3)).astype(np.float32)
    cos, sin, down, right = 1.1 * np.cos(0.3), 1.1 * np.sin(0.3), 2.5, -3.25
    centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
    a, b, c, d = mirror * cos, -mirror * sin, sin, cos
    x0 = centre_x + right - a * centre_x - b * centre_y
    y0 = centre_y + down - c * centre_x - d * centre_y
    wanted = tf.raw_ops.ImageProjectiveTransformV3(
        images=pictures,
        transforms=np.array([[a, b, x0, c, d, y0, 0, 0]], np.float32),
        output_shape=(height, width),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    numbers = (np.full((1, 1, 1, 1), n, np.float32) for n in (cos, sin, mirror, down, right))
    got = augmentation._sample(pictures, *numbers)
    np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_strong_moves_zooms_and_recolours(augmentation):
    centre = SIZE // 2
    square = np.zeros((400, SIZE, SIZE, 3), np.uint8)
    square[:, centre - 4 : centre + 5, centre - 4 : centre + 5] = 200
    rows, columns = np.mgrid[:SIZE, :SIZE] - centre
    lit = augmentation.augment(square, seed(1, 2), "strong").numpy().mean(axis=-1)
    lit -= lit.min(axis=(1, 2), keepdims=True)
    weight = lit.sum(axis=(1, 2))
    x, y = (lit * columns).sum(axis=(1, 2)) / weight, (lit * rows).sum(axis=(1, 2)) / weight
    farthest = augmentation.LARGEST_SHIFT * augmentation.LARGEST_ZOOM * SIZE
    for moved in (x, y):
        assert np.abs(moved).max() < farthest + 1.5 and np.abs(moved).max() > 0.4 * farthest
    area = (lit > lit.max(axis=(1, 2), keepdims=True) / 2).sum(axis=(1, 2)) / 81
    largest = augmentation.LARGEST_ZOOM**2
    assert 0.5 < area.min() < 0.8 and 1.3 < area.max() < 1.25 * largest
    colours = augmentation.augment(flat(128), seed(1, 2), "strong").numpy().mean(axis=(1, 2))
    assert colours.std(axis=0).min() > 0.05  # brightness
    assert (colours.max(axis=1) - colours.min(axis=1)).max() > 0.1  # a cast


def draws(augmentation, count: int):
    from trainer.legacy_keras import tf

    return augmentation._Draws(seed(5, 6), tf.constant(count))


def test_blur_smears_about_half_of_the_pictures_along_a_line_and_keeps_their_light(augmentation):
    size, count = 80, 200
    pictures = np.zeros((count, size, size, 3), np.float32)
    pictures[:, size // 2, size // 2] = 1.0
    smeared = augmentation._blur(pictures, draws(augmentation, count)).numpy()[..., 0]
    np.testing.assert_allclose(smeared.sum(axis=(1, 2)), 1, atol=1e-4)
    changed = smeared[:, size // 2, size // 2] < 1
    assert 0.35 < changed.mean() < 0.65
    rows, columns = np.mgrid[:size, :size] - size // 2
    longest = 0
    for one in smeared[changed]:
        spread = np.cov(np.stack([rows.ravel(), columns.ravel()]), aweights=one.ravel(), bias=True)
        across, along = np.linalg.eigvalsh(spread)
        assert across < 0.5  # a line is about a pixel wide
        longest = max(longest, np.sqrt(12 * along))
    assert 0.7 * augmentation.LONGEST_BLUR * size < longest < augmentation.LONGEST_BLUR * size + 2


def test_exposure_stays_within_its_stops(augmentation):
    grey = np.full((400, 4, 4, 3), 0.5, np.float32)
    exposed = augmentation._expose(grey, draws(augmentation, 400)).numpy()[:, 0, 0, 0]
    kept = np.isclose(exposed, 0.5, atol=1e-6)
    assert 0.4 < kept.mean() < 0.6
    stop = 2 ** (augmentation.LARGEST_EXPOSURE / augmentation.DISPLAY_GAMMA)
    gamma = augmentation.LARGEST_GAMMA
    assert 0.5**gamma / stop <= exposed.min() < 0.4 and 0.6 < exposed.max() <= 0.5 ** (1 / gamma) * stop


def test_noise_grows_with_the_light_and_stays_within_its_bound(augmentation):
    black_and_white = np.zeros((300, 32, 32, 3), np.float32)
    black_and_white[:, :, 16:] = 0.8
    noisy = augmentation._add_noise(black_and_white, draws(augmentation, 300)).numpy()
    dark, bright = noisy[:, :, :16].std(axis=(1, 2, 3)), noisy[:, :, 16:].std(axis=(1, 2, 3))
    changed = bright > 1e-4  # rounding
    assert 0.4 < changed.mean() < 0.6
    assert (bright[changed] > dark[changed]).all()
    largest = np.sqrt(0.8 * augmentation.SHOT_NOISE + augmentation.READ_NOISE**2)
    assert 0.7 * largest < bright.max() < 1.1 * largest
    np.testing.assert_array_equal(noisy[~changed], black_and_white[~changed])


def test_compression_leaves_artefacts_in_about_half_of_the_pictures(augmentation):
    pictures = np.random.default_rng(0).uniform(0, 1, (200, 16, 16, 3)).astype(np.float32)
    compressed = augmentation._compress(pictures, draws(augmentation, 200)).numpy()
    error = np.abs(compressed - pictures).mean(axis=(1, 2, 3))
    assert 0.35 < (error > 0).mean() < 0.65
    assert error[error > 0].min() > 0.005 and error.max() < 0.3


@pytest.mark.parametrize(
    "policy, size", [("none", (16, 16)), ("light", (40, 24)), ("strong", (28, 28)), ("camera", (24, 40))]
)
def test_policies_run_in_a_pipeline_at_every_size_and_last_batch(augmentation, policy, size):
    from trainer.legacy_keras import tf

    pictures = np.random.default_rng(0).integers(0, 256, (3, *size, 3), np.uint8)
    dataset = tf.data.Dataset.from_tensor_slices(pictures).batch(2)
    changed = dataset.map(lambda batch: augmentation.augment(batch, seed(1, 2), policy))
    assert changed.element_spec.shape.as_list() == [None, *size, 3]
    assert [batch.shape[0] for batch in changed] == [2, 1]


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
