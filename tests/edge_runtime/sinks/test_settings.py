import tomllib
from pathlib import Path

import pytest

from edge_runtime.errors import ConfigError
from edge_runtime.sinks.settings import (
    HardExampleSettings,
    HistorySettings,
    JsonFileSettings,
    MqttSettings,
    SinkSettings,
    WebhookSettings,
    pin_and_label,
    sink_settings,
)

from .conftest import HOSTILE

EVERYTHING = """
state = "/var/lib/litelens"
stdout = "events"
gpio = ["17=cat", "27=dog"]

[log]
path = "/var/log/litelens.jsonl"
what = "events"
rotate_bytes = 1000
keep = 2

[mqtt]
address = "mqtts://me:hush@broker.example.org"
prefix = "litelens/door"
discovery = ""
interval_s = 5
cap_bytes = 1000000

[webhook]
address = "https://example.org/hook"
secret = "hush"
timeout_s = 2.5
cap_bytes = 1000000

[history]
sample_s = 30
cap_bytes = 1000000

[hard_examples]
folder = "hard"
low = 0.2
high = 0.8
margin = 0.1
every_s = 60
cap_bytes = 1000000
free_bytes = 0
"""


def test_everything_can_be_said_in_toml():
    assert sink_settings(tomllib.loads(EVERYTHING)) == SinkSettings(
        state="/var/lib/litelens",
        stdout="events",
        gpio=("17=cat", "27=dog"),
        log=JsonFileSettings("/var/log/litelens.jsonl", "events", 1000, 2),
        mqtt=MqttSettings("mqtts://me:hush@broker.example.org", "litelens/door", "", 5, 1_000_000),
        webhook=WebhookSettings("https://example.org/hook", "hush", 2.5, 1_000_000),
        history=HistorySettings(30, 1_000_000),
        hard_examples=HardExampleSettings("hard", 0.2, 0.8, 0.1, 60, 1_000_000, 0),
    )


def test_the_page_shows_the_defaults():
    page = (Path(__file__).parents[3] / "docs" / "sinks.md").read_text()
    shown = sink_settings(tomllib.loads(page.rpartition("```toml")[2].partition("```")[0]))
    assert shown.mqtt == MqttSettings("mqtts://broker.example.org", "litelens/door")
    assert shown.webhook == WebhookSettings("https://example.org/hook")
    assert (shown.history, shown.hard_examples) == (HistorySettings(), HardExampleSettings("hard"))
    assert shown.log == JsonFileSettings("seen.jsonl")


def test_nothing_said_is_lines_on_standard_output():
    assert sink_settings({}) == SinkSettings() and SinkSettings().stdout == "all"
    assert sink_settings({"history": {}}).history == HistorySettings()


def test_secrets_are_not_shown():
    assert "hush" not in repr(sink_settings(tomllib.loads(EVERYTHING)))


@pytest.mark.parametrize(
    "toml, message, hint",
    [
        ("mqqt = {}", "unknown setting mqqt", "did you mean 'mqtt'?"),
        ("[webhook]\nadress = ''", "unknown setting webhook.adress", "did you mean 'address'?"),
        ("[webhook]\nzzz = ''", "unknown setting webhook.zzz", "settings are address, secret"),
        ("[webhook]", "webhook.address is missing", "set address in [webhook]"),
        ("[hard_examples]", "hard_examples.folder is missing", "[hard_examples]"),
        ("mqtt = 'mqtt://me:hush@broker'", "mqtt is a str, expected a table", "correct mqtt"),
        ("[mqtt]\naddress = 5", "mqtt.address is a int, expected a text", ""),
        ("[history]\nsample_s = '60'", "history.sample_s is a str, expected a number", ""),
        ("[history]\nsample_s = true", "history.sample_s is a bool, expected a number", ""),
        ("[history]\ncap_bytes = 1e6", "history.cap_bytes is a float, expected a whole number", ""),
        ("[history]\ncap_bytes = 1000", "cap_bytes is 1000, expected at least 65536", ""),
        ("[history]\nsample_s = nan", "sample_s is nan, expected at least 1", ""),
        ("[mqtt]\naddress = 'mqtt://a'\ncap_bytes = 1000", "mqtt: cap_bytes is 1000", ""),
        ("[mqtt]\naddress = 'mqtt://a'\ninterval_s = 0", "mqtt: interval_s is 0", ""),
        ("[webhook]\naddress = 'http://a'\ntimeout_s = 0", "webhook: timeout_s is 0", ""),
        ("[webhook]\naddress = 'http://a'\ncap_bytes = -1", "webhook: cap_bytes is -1", ""),
        ("[hard_examples]\nfolder = 'a'\nlow = 0.8", "low, high and margin are 0.8, 0.7", ""),
        ("[hard_examples]\nfolder = 'a'\nmargin = 2", "a margin from 0 to 1", ""),
        ("[hard_examples]\nfolder = 'a'\nevery_s = -1", "every_s is -1", ""),
        ("[hard_examples]\nfolder = 'a'\ncap_bytes = 0", "cap_bytes is 0", ""),
        ("[log]\npath = 'a'\nwhat = 'some'", "log: what is 'some'", ""),
        ("[log]\npath = 'a'\nkeep = -1", "log: keep is -1", ""),
        ("[log]\npath = 'a'\nrotate_bytes = 0", "log: rotate_bytes is 0", ""),
        ("stdout = 'some'", "stdout is 'some', expected all, events or nothing", ""),
        ("gpio = '17=cat'", "gpio is a str, expected a list of texts", ""),
        ("gpio = [17]", "gpio is a list, expected a list of texts", ""),
        ("gpio = ['17=cat', '17=dog']", "a pin is named twice", ""),
        ("gpio = ['28=cat']", "a pin from 0 to 27", "--gpio 17=cat"),
    ],
)
def test_refuses_what_is_wrong(toml, message, hint):
    with pytest.raises(ConfigError) as caught:
        sink_settings(tomllib.loads(toml))
    assert message in str(caught.value) and hint in caught.value.hint
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("label", [*HOSTILE, "a=b", "=", "17"])
def test_a_pins_label_is_all_after_the_first_equals_sign(label):
    assert pin_and_label(f"0={label}") == (0, label)


@pytest.mark.parametrize(
    "text", ["", "cat", "17", "17=", "=cat", "-1=cat", "28=cat", "017=cat", "1.5=cat", "²=cat", " 1=a"]
)
def test_refuses_what_is_no_pin(text):
    with pytest.raises(ConfigError, match="PIN=LABEL"):
        pin_and_label(text)
