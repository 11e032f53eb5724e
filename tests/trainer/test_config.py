import pytest
import tomli_w

from edge_runtime.errors import ConfigError
from trainer.audit.findings import SKIPPED_KINDS
from trainer.config import BACKBONES, TrainConfig, load_config, to_toml


@pytest.mark.parametrize(
    "weights, alpha, resolved",
    [("imagenet", None, 1.0), ("starter", None, 0.35), ("starter", 0.35, 0.35), ("none", 0.5, 0.5)],
)
def test_alpha_follows_the_weights(weights, alpha, resolved):
    assert TrainConfig(data="x", weights=weights, alpha=alpha).alpha == resolved


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_backbone_brings_its_own_defaults(backbone):
    config = TrainConfig(data="x", backbone=backbone)
    own = BACKBONES[backbone]
    assert (config.size, config.fine_tune_at) == (own.size, own.fine_tune_at)
    assert config.weights == ("none" if backbone == "small_cnn" else "imagenet")
    assert config.from_scratch == (backbone == "small_cnn") and config.fine_tunes != config.from_scratch


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"size": 15}, "size is 15"),
        ({"size": 31}, "size is 31, mobilenet_v2 halves"),
        ({"size": 70, "backbone": "xception"}, "size is 70, xception needs"),
        ({"backbone": "vgg19"}, "backbone is 'vgg19', expected one of mobilenet_v2"),
        ({"backbone": "vgg16", "alpha": 0.5}, "alpha is 0.5, vgg16 has one width"),
        ({"augmentation": "heavy"}, "augmentation is 'heavy'"),
        ({"classes": ("cat",)}, "classes is cat, expected at least two"),
        ({"classes": ("cat", "cat")}, "classes is cat, cat"),
        ({"classes": "cat,dog"}, "classes is 'cat,dog', expected a list"),
        ({"validation_fraction": 0.0}, "validation_fraction is 0.0"),
        ({"validation_fraction": 0.6, "test_fraction": 0.6}, "leave nothing to train on"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0"),
        ({"freeze_features": True}, "freeze_features is set without from_run"),
        ({"cache": "no"}, "cache is 'no', expected true or false"),
        ({"limit": 2.5}, "limit is 2.5"),
        ({"size": "160"}, "size is '160'"),
        ({"size": True}, "size is True"),
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"epochs": (10,)}, "epochs is (10,)"),
        ({"epochs": (0, 5)}, "epochs is (0, 5)"),
        ({"epochs": (5, -1)}, "epochs is (5, -1)"),
        ({"learning_rate": 0}, "learning_rate is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"weights": ""}, "weights is ''"),
        ({"resize": "squash"}, "resize is 'squash'"),
        ({"strict": "yes"}, "strict is 'yes'"),
        ({"strict": ("leakege",)}, "strict names 'leakege'"),
        ({"weights": "starter", "alpha": 1.0}, "starter weights are for mobilenet_v2 of alpha 0.35"),
        ({"weights": "starter", "backbone": "mobilenet"}, "starter weights are for mobilenet_v2 of alpha 0.35"),
    ],
)
def test_a_value_out_of_bounds_is_named(settings, says):
    with pytest.raises(ConfigError) as caught:
        TrainConfig(data="x", **settings)
    assert says in str(caught.value)
    assert caught.value.hint


def test_strict_alone_means_files_that_are_no_picture():
    assert TrainConfig(data="x", strict=True).strict == SKIPPED_KINDS
    assert TrainConfig(data="x", strict=False).strict == ()


def test_flags_win_over_the_file_and_absent_flags_do_not(tmp_path):
    file = tmp_path / "train.toml"
    file.write_text('data = "pictures"\nsize = 96\nepochs = [3, 2]\n')
    config = load_config(file, size=128, alpha=None, epochs=None)
    assert (config.data, config.size, config.epochs, config.alpha) == ("pictures", 128, (3, 2), 1.0)


def test_a_saved_config_reads_back_equal(tmp_path):
    config = TrainConfig(
        data="pictures", weights="starter", size=96, epochs=(4, 0), seed=7, strict=("bomb",), classes=("a", "b")
    )
    file = tmp_path / "config.toml"
    file.write_text(tomli_w.dumps(to_toml(config)))
    assert load_config(file) == config


def test_a_run_that_starts_from_another_takes_its_backbone_over(tmp_path):
    earlier = TrainConfig(data="x", backbone="small_cnn", size=20, fine_tune_at=1)
    (tmp_path / "config.toml").write_text(tomli_w.dumps(to_toml(earlier)))
    config = load_config(None, data="y", from_run=str(tmp_path), freeze_features=True)
    assert (config.backbone, config.size, config.fine_tune_at) == ("small_cnn", 20, 1)
    assert not config.from_scratch and not config.fine_tunes
    with pytest.raises(ConfigError, match="cannot read the config"):
        load_config(None, data="y", from_run=str(tmp_path / "absent"))


@pytest.mark.parametrize(
    "text, says, hint",
    [
        ('data = "x"\nepoch = [1, 1]', "unknown setting 'epoch'", "did you mean 'epochs'?"),
        ('data = "x"\nzzz = 1', "unknown setting 'zzz'", "settings are"),
        ("size = 96", "no pictures are named", "--data"),
        ("size = ", "cannot read the config", "TOML"),
    ],
)
def test_a_bad_file_is_an_instruction(tmp_path, text, says, hint):
    file = tmp_path / "train.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert says in str(caught.value) and hint in caught.value.hint


def test_a_missing_file_is_an_instruction(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the config"):
        load_config(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    "settings, pictures, views",
    [
        ({}, 999, 1),
        ({}, 1000, 0),
        ({"views": 3}, 5000, 3),
        ({"views": 0}, 10, 0),
        ({"augmentation": "none"}, 10, 0),
        ({"augmentation": "none", "views": 3}, 10, 0),
    ],
)
def test_few_pictures_are_seen_twice(settings, pictures, views):
    assert TrainConfig(data="pictures", **settings).views_of(pictures) == views
