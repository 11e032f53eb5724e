import dataclasses

import pytest
import tomli_w

from edge_runtime.errors import ConfigError
from trainer.config import TrainConfig, load_config


@pytest.mark.parametrize(
    "weights, alpha, resolved",
    [("imagenet", None, 1.0), ("starter", None, 0.35), ("starter", 0.35, 0.35), ("none", 0.5, 0.5)],
)
def test_alpha_follows_the_weights(weights, alpha, resolved):
    assert TrainConfig(data="x", weights=weights, alpha=alpha).alpha == resolved


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"size": 31}, "size is 31"),
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
        ({"weights": "starter", "alpha": 1.0}, "starter weights are for alpha 0.35"),
    ],
)
def test_a_value_out_of_bounds_is_named(settings, says):
    with pytest.raises(ConfigError) as caught:
        TrainConfig(data="x", **settings)
    assert says in str(caught.value)
    assert caught.value.hint


def test_flags_win_over_the_file_and_absent_flags_do_not(tmp_path):
    file = tmp_path / "train.toml"
    file.write_text('data = "pictures"\nsize = 96\nepochs = [3, 2]\n')
    config = load_config(file, size=128, alpha=None, epochs=None)
    assert (config.data, config.size, config.epochs, config.alpha) == ("pictures", 128, (3, 2), 1.0)


def test_a_saved_config_reads_back_equal(tmp_path):
    config = TrainConfig(data="pictures", weights="starter", size=96, epochs=(4, 0), seed=7, strict=True)
    file = tmp_path / "config.toml"
    file.write_text(tomli_w.dumps(dataclasses.asdict(config)))
    assert load_config(file) == config


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
