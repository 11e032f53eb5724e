from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.deciding.smoothing import Smoothing
from edge_runtime.errors import ConfigError
from edge_runtime.live.settings import RunSettings, load_settings, to_toml
from edge_runtime.sinks.settings import SinkSettings
from edge_runtime.updating.settings import FollowSettings

FOLLOW = 'camera = "0"\n[follow]\naddress = "https://h/x"\nroot = "r.json"\n'


@pytest.fixture
def toml(tmp_path):
    """Writes a config file."""

    def write(text: str) -> Path:
        path = tmp_path / "run.toml"
        path.write_text(text)
        return path

    return write


def test_a_camera_is_all_that_must_be_named():
    settings = load_settings(None, {"camera": "0"})
    assert settings == RunSettings("0")
    assert (settings.region, settings.web, settings.sinks) == (None, None, SinkSettings())
    assert settings.deciding.smoothing == Smoothing(3)


def test_flags_win_over_the_file(toml):
    file = toml(
        'camera = "0"\nsmooth = "votes:3/5"\nmin_interval = 2\nstdout = "events"\ngpio = ["17=cat"]\n'
        '[web]\naddress = "127.0.0.1:8080"\npictures = "spot"\n'
        '[mqtt]\naddress = "mqtt://broker"\nprefix = "litelens/door"\n'
    )
    flags = {
        "camera": "demo",
        "smooth": None,
        "hysteresis": 0.2,
        "web": {"address": "127.0.0.1:9000", "pictures": None},
        "mqtt": {"address": None, "prefix": None},
        "webhook": {"address": None},
        "history": {},
        "log": {"path": "run.log"},
    }
    settings = load_settings(file, flags)
    assert (settings.camera, settings.smooth, settings.hysteresis, settings.min_interval) == (
        *("demo", "votes:3/5", 0.2, 2),
    )
    assert (settings.web.address, settings.web.pictures) == ("127.0.0.1:9000", Path("spot"))
    sinks = settings.sinks
    assert (sinks.stdout, sinks.gpio, sinks.mqtt.prefix) == ("events", ("17=cat",), "litelens/door")
    assert sinks.webhook is None and sinks.history is not None and sinks.log.path == "run.log"


def test_what_is_printed_is_read_again(toml):
    flags = {
        "camera": "gst:v4l2src ! video/x-raw,width=640 ! appsink",
        "roi": "0.1,0.2,0.5,0.5",
        "threads": 2,
        "stdout": "nothing",
        "gpio": ["17=Katze \N{CAT}", '4="a\\b"'],
        "web": {"pictures": "spot"},
        "mqtt": {"address": "mqtts://me:secret@broker:8883"},
        "history": {},
        "hard_examples": {"folder": "hard"},
        "follow": {"address": "https://models.example.org/doors", "root": "/srv/litelens/root.json"},
    }
    settings = load_settings(None, flags)
    assert load_settings(toml(to_toml(settings)), {}) == settings


@given(
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1), st.floats(0, 1), st.integers(1, 10**12)
)
def test_any_text_and_number_is_read_again(tmp_path_factory, camera, hysteresis, max_frames):
    settings = load_settings(None, {"camera": camera, "hysteresis": hysteresis, "max_frames": max_frames})
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(to_toml(settings).encode())
    assert load_settings(file, {}) == settings


@pytest.mark.parametrize(
    "text, message, hint",
    [
        ('camera = "0"\nsmoth = "none"', "unknown setting smoth", "did you mean 'smooth'?"),
        ('camera = "0"\nsinks = 1', "unknown setting sinks", ""),
        ('camera = "0"\nfps = 3', "unknown setting fps", "settings are camera, roi"),
        ('camera = "0"\nmqqt = {address = "mqtt://b"}', "unknown setting mqqt", "did you mean 'mqtt'?"),
        ('camera = "0"\n[mqtt]\nadress = "mqtt://b"', "unknown setting mqtt.adress", "'address'"),
        ('camera = "0"\n[web]\nport = 1', "unknown setting web.port", ""),
        ('camera = "0"\n[web]\ntokens = "x"', "unknown setting web.tokens", "did you mean 'token'?"),
        ('camera = "0"\n[web]\naddress = 8080', "web.address is a int, expected a text", ""),
        ('camera = "0"\nweb = "127.0.0.1:8080"', "web is a str, expected a table", "[web]"),
        ('camera = "0"\n[mqtt]\nprefix = "a"', "mqtt.address is missing", "[mqtt]"),
        ("camera = 0", "camera is 0, expected a text", ""),
        ('roi = "1,1,1,1"', "no camera is named", "--camera"),
        ('camera = "0"\nroi = "1,2"', "roi is '1,2', expected four numbers", ""),
        ('camera = "0"\nsmooth = "average"', "smooth is 'average'", "average:5"),
        ('camera = "0"\nsmooth = 5', "smooth is 5, expected a text", ""),
        ('camera = "0"\nhysteresis = 1.5', "hysteresis is 1.5, expected a number from 0 to 1", ""),
        ('camera = "0"\nhysteresis = nan', "hysteresis is nan", ""),
        ('camera = "0"\nmin_interval = true', "min_interval is True", "--min-interval"),
        ('camera = "0"\nthreads = 0', "threads is 0, expected a whole number from 1", ""),
        ('camera = "0"\nmax_frames = 2.0', "max_frames is 2.0", ""),
        ('camera = "0"\nfollow = "https://h"', "follow is a str, expected a table", "[follow]"),
        ('camera = "0"\n[follow]\nroot = "r.json"', "no repository to follow is named", "--follow URL"),
        ('camera = "0"\n[follow]\naddress = "https://h/x"', "no root metadata to trust", "--root ROOT.json"),
        (FOLLOW + 'chanel = "beta"', "unknown setting follow.chanel", "did you mean 'channel'?"),
        (FOLLOW + "every_s = 0.5", "follow.every_s is 0.5, expected 1 to", ""),
        (FOLLOW + "every_s = nan", "follow.every_s is nan", ""),
        (FOLLOW + "max_latency_ms = 0", "follow.max_latency_ms is 0, expected more than 0", ""),
        (FOLLOW + "max_latency_ms = inf", "follow.max_latency_ms is inf", ""),
        (FOLLOW + 'max_latency_ms = "fast"', "follow.max_latency_ms is a str, expected a number", ""),
        ("camera = ", "cannot read the config", "--print-config"),
    ],
)
def test_a_config_that_is_wrong_says_how(toml, text, message, hint):
    with pytest.raises(ConfigError) as raised:
        load_settings(toml(text), {})
    assert message in str(raised.value) and hint in raised.value.hint


def test_flags_win_over_the_table_to_follow(toml):
    file = toml(FOLLOW + 'channel = "beta"\nmax_latency_ms = 80\n')
    follow = load_settings(
        file, {"follow": {"address": "http://other", "root": None, "channel": None}}
    ).follow
    assert follow == FollowSettings("http://other", "r.json", "beta", 80.0)
    assert load_settings(None, {"camera": "0", "follow": {"address": None, "root": None}}).follow is None


def test_a_config_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the config .*absent.toml"):
        load_settings(tmp_path / "absent.toml", {})


def test_a_wrong_token_is_not_shown(toml):
    with pytest.raises(ConfigError) as raised:
        load_settings(toml('camera = "0"\n[web]\ntoken = 1234567890'), {})
    assert "1234567890" not in str(raised.value)
