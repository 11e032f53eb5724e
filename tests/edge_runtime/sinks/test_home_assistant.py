import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.sinks.home_assistant import device_id, discovery_payload, discovery_topic, label_components

from .conftest import HOSTILE, LABELS, as_unicode, model_of

# Home Assistant's own: homeassistant/components/mqtt/discovery.py, TOPIC_MATCHER.
TOPIC = re.compile(
    r"(?P<component>\w+)/(?:(?P<node_id>[a-zA-Z0-9_-]+)/)?(?P<object_id>[a-zA-Z0-9_-]+)/config"
)

texts = st.text(min_size=1, max_size=80) | st.sampled_from(HOSTILE)


def payload(labels=LABELS, prefix="litelens/door", **more) -> dict:
    return json.loads(discovery_payload(prefix, model_of(tuple(labels)), 60, **more))


def test_what_home_assistant_is_told():
    found = payload()
    device = found["device"]["identifiers"][0]
    assert found["device"] == {
        "identifiers": [device],
        "name": "litelens door",
        "manufacturer": "litelens",
        "model": "tiny",
        "sw_version": "1",
    }
    assert found["origin"]["name"] == "litelens" and found["origin"]["sw_version"]
    assert found["availability_topic"] == "litelens/door/availability"
    assert found["state_topic"] == "litelens/door/state"
    assert found["components"]["state"] == {
        "platform": "sensor",
        "name": "In view",
        "unique_id": f"{device}-state",
        "icon": "mdi:cctv",
        "device_class": "enum",
        "options": ["blue", "green", "red", "unknown"],
        "value_template": "{{ value_json.state[:255] }}",
        "json_attributes_topic": "litelens/door/state",
        "expire_after": 60,
    }
    assert found["components"]["label-red"] == {
        "platform": "binary_sensor",
        "name": "red",
        "unique_id": f"{device}-label-red",
        "value_template": "{{ 'ON' if value_json.class_id == 2 else 'OFF' }}",
        "expire_after": 60,
    }
    assert list(found["components"]) == ["state", "label-blue", "label-green", "label-red"]


def test_many_labels_have_the_one_sensor_alone():
    labels = tuple(f"breed {number}" for number in range(120))
    assert list(payload(labels)["components"]) == ["state"]
    assert len(payload(labels)["components"]["state"]["options"]) == 121


def test_what_is_no_more_is_taken_away():
    """A component with nothing but its platform: Home Assistant removes it."""
    found = payload(forgotten=["label-cat"])["components"]
    assert found["label-cat"] == {"platform": "binary_sensor"} and "name" in found["label-red"]


@given(st.lists(texts, min_size=1, max_size=25, unique=True))
def test_any_labels(labels):
    found = payload(labels)["components"]
    options = found["state"]["options"]
    assert len(set(options)) == len(options) and all(len(option) <= 255 for option in options)
    # What the template makes of a label is one of the options.
    assert all(as_unicode(label)[:255].strip() in options for label in labels)
    assert len(found) == (1 + len(labels) if len(labels) <= 20 else 1)
    assert len({each["unique_id"] for each in found.values()}) == len(found)
    for key, each in found.items():
        assert re.fullmatch("[a-zA-Z0-9_-]{1,60}", key) and each["name"].strip() and len(each["name"]) <= 60
        # No text of the model's in a template, which Home Assistant would run.
        assert re.fullmatch(r"\{\{ [a-zA-Z0-9_.\[\]:'= ]+ \}\}", each["value_template"])


@given(texts, texts)
def test_topics_and_identifiers(first, second):
    topic = discovery_topic("homeassistant", first)
    match = TOPIC.fullmatch(topic.removeprefix("homeassistant/"))
    assert (
        match["component"] == "device" and match["node_id"] is None and match["object_id"] == device_id(first)
    )
    assert len(topic) < 100
    assert first == second or device_id(first) != device_id(second)
    assert first == second or list(label_components((first,))) != list(label_components((second,)))


@pytest.mark.parametrize("prefix", ["a/b", "a_b", "a b", "a.b"])
def test_prefixes_that_look_alike_are_different_devices(prefix):
    others = {"a/b", "a_b", "a b", "a.b"} - {prefix}
    assert device_id(prefix) not in {device_id(other) for other in others}
