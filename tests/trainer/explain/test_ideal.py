import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def make(logits):
    from trainer.explain.ideal import make_ideal

    def run(class_id: int, seed: int = 0):
        return make_ideal(logits, class_id, size=32, steps=40, seed=seed)

    return run


@pytest.mark.parametrize("class_id", range(4))
def test_an_ideal_picture_climbs_its_classs_logit(make, model, class_id):
    made = make(class_id)
    assert made.picture.shape == (32, 32, 3) and made.picture.dtype == np.uint8
    scores = model(made.picture[np.newaxis] / np.float32(127.5) - 1).numpy()[0]
    assert made.after.score == pytest.approx(scores[class_id], abs=1e-5)
    # Not that the class wins: its logit is climbed alone, and an untrained network's others may climb with it.
    assert made.after.logit > made.before.logit + 1
    assert made.after.score > made.before.score


def test_the_seed_decides_the_picture(make):
    first, again, other = make(1), make(1), make(1, seed=1)
    assert np.abs(first.picture.astype(int) - again.picture).max() <= 2  # sums in another order
    assert np.abs(first.picture.astype(int) - other.picture).max() > 20


def test_total_variation_loss_smooths(make, monkeypatch):
    from trainer.explain import ideal

    smooth = make(2).after.total_variation
    monkeypatch.setattr(ideal, "VARIATION_WEIGHT", 0.0)
    assert make(2).after.total_variation > 2 * smooth


def test_a_model_that_does_not_end_in_a_softmax_is_refused(model):
    from edge_runtime.errors import RunFolderError
    from trainer.explain.logits import logits_of
    from trainer.legacy_keras import tf

    headless = tf.keras.Model(model.input, model.get_layer("features").output)
    with pytest.raises(RunFolderError, match="expected a Dense layer with softmax"):
        logits_of(headless)


def test_logits_are_the_probabilities_before_the_softmax(model, logits, small_pictures):
    from trainer.legacy_keras import tf

    pictures = small_pictures[:8] / np.float32(127.5) - 1
    np.testing.assert_allclose(tf.nn.softmax(logits(pictures)), model(pictures), atol=1e-6)
