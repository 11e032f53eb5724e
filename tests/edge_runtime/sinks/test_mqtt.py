import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edge_runtime.errors import ConfigError
from edge_runtime.sinks import background
from edge_runtime.sinks.mqtt import Mqtt
from edge_runtime.sinks.settings import MqttSettings, default_prefix

from .conftest import HOSTILE, LABELS, as_unicode, event, free_port, model_of, observation, wait_for

paho = pytest.importorskip(
    "paho.mqtt.client", reason="paho-mqtt is not installed: pip install 'litelens[mqtt]'"
)


class Listener:
    """Another client of the broker: what it hears, by topic. It misses nothing while it is away."""

    def __init__(self, port: int, *topics: str, name: str = "listener", **credentials: str):
        self.heard: list = []
        self._topics, self._ready = topics or ("#",), threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, name, clean_session=False)
        if credentials:
            self._client.username_pw_set(**credentials)
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = lambda *arguments: self._ready.set()
        self._client.on_message = lambda client, data, message: self.heard.append(message)
        self._port = port

    def __enter__(self):
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *exception):
        self._client.disconnect()
        self._client.loop_stop()

    def on(self, topic: str) -> list:
        """Payloads of a topic, in order; JSON where it is any."""
        return [_content(message.payload) for message in self.heard if message.topic == topic]

    def _subscribe(self, client, *arguments):
        for topic in self._topics:
            client.subscribe(topic, qos=1)


def _content(payload: bytes):
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Failures are followed by waits of tenths of a second."""
    monkeypatch.setattr(background, "FIRST_WAIT_S", 0.1)
    monkeypatch.setattr(background, "MOST_WAIT_S", 0.2)


@pytest.fixture
def mqtt(tmp_path):
    def make(port: int, model=model_of, scheme="mqtt", login="", **more) -> Mqtt:
        more = {"prefix": "litelens/door", **more}
        address = f"{scheme}://{login}127.0.0.1:{port}"
        return Mqtt(MqttSettings(address, **more), tmp_path / "state" / "mqtt.sqlite", model)

    return make


def test_events_state_and_availability(broker, mqtt):
    with Listener(broker.start().port) as listener:
        changes = [event("blue"), event("blue", 1, "left"), event("red", 1)]
        with mqtt(broker.port) as sink:
            sink.take(observation(changes[0], number=1))
            sink.take(observation(number=2))
            sink.take(observation(*changes[1:], state="red", scores=(0.1, 0.1, 0.8), number=3))
            wait_for(lambda: len(listener.on("litelens/door/event")) == 3)
            wait_for(lambda: listener.on("litelens/door/state")[-1:] and sink.delivered == 3)
            wait_for(lambda: listener.on("litelens/door/state")[-1]["state"] == "red")
            status = sink.status()
        assert listener.on("litelens/door/event") == [vars(each) for each in changes]
        assert listener.on("litelens/door/state")[-1] == {
            "state": "red",
            "class_id": 2,
            "score": 0.8,
            "scores": {"red": 0.8, "blue": 0.1, "green": 0.1},
            "time": 1_700_000_000.0,
            "source": "door",
            "frame": 3,
            "model": "tiny",
            "version": "1",
        }
        wait_for(lambda: listener.on("litelens/door/availability") == ["online", "offline"])
    assert (status.name, status.ok, status.delivered, status.waiting, status.error) == (
        "mqtt",
        True,
        3,
        0,
        "",
    )
    quality = {message.qos for message in listener.heard if message.topic == "litelens/door/event"}
    assert quality == {1}


def test_who_comes_later_is_told_the_state(broker, mqtt):
    with mqtt(broker.start().port) as sink:
        sink.take(observation(event("green"), state="green"))
        wait_for(lambda: sink.delivered)
        with Listener(broker.port) as listener:
            wait_for(lambda: len(listener.heard) == 3)
        assert all(message.retain for message in listener.heard), "not the event"
        assert listener.on("litelens/door/state")[0]["state"] == "green"
        assert listener.on("litelens/door/availability") == ["online"]


def test_unknown_has_no_class(broker, mqtt):
    with Listener(broker.start().port) as listener, mqtt(broker.port) as sink:
        sink.take(observation(state="unknown", scores=(0.2, 0.5, 0.3)))
        (state,) = wait_for(lambda: listener.on("litelens/door/state"))
        assert (state["state"], state["class_id"], state["score"]) == ("unknown", -1, 0.5)


def test_the_state_is_told_as_often_as_asked(broker, mqtt):
    with Listener(broker.start().port) as listener, mqtt(broker.port, interval_s=0.5) as sink:
        end, number = time.monotonic() + 1.7, 0
        while time.monotonic() < end:
            sink.take(observation(number=number))
            number += 1
            time.sleep(0.01)
        frames = [state["frame"] for state in listener.on("litelens/door/state")]
        assert 2 <= len(frames) <= 5 and frames == sorted(frames)


def test_home_assistant_is_told(broker, mqtt):
    model = model_of()
    with (
        Listener(broker.start().port, "homeassistant/#") as listener,
        mqtt(broker.port, lambda: model) as sink,
    ):
        wait_for(lambda: listener.heard)
        found = json.loads(listener.heard[0].payload)
        assert list(found["components"]) == ["state", "label-blue", "label-green", "label-red"]
        assert found["components"]["state"]["expire_after"] == 60
        model = model_of(("blue", "cat"), version="2")
        sink.take(observation(labels=("blue", "cat"), scores=(0.9, 0.1)))
        wait_for(lambda: len(listener.heard) == 2)
        found = json.loads(listener.heard[1].payload)
        assert found["device"]["sw_version"] == "2"
        assert found["components"]["label-red"] == {"platform": "binary_sensor"}, "taken away"
        assert found["components"]["label-cat"]["name"] == "cat"


def test_nothing_is_announced_where_it_is_not_wanted(broker, mqtt):
    with Listener(broker.start().port) as listener, mqtt(broker.port, discovery="") as sink:
        sink.take(observation())
        wait_for(lambda: listener.on("litelens/door/state"))
        assert {message.topic for message in listener.heard} == {
            "litelens/door/availability",
            "litelens/door/state",
        }


def test_any_label(broker, mqtt):
    with Listener(broker.start().port) as listener, mqtt(broker.port, lambda: model_of(HOSTILE)) as sink:
        for number, label in enumerate(HOSTILE):
            scores = np.eye(len(HOSTILE))[number]
            sink.take(observation(given := event(label), state=label, labels=HOSTILE, scores=scores))
            wait_for(
                lambda given=given: (listener.on("litelens/door/event") or [{}])[-1].get("id") == given.id
            )
            wait_for(lambda number=number: listener.on("litelens/door/state")[-1]["class_id"] == number)
            assert listener.on("litelens/door/event")[-1]["label"] == as_unicode(label)
            assert listener.on("litelens/door/state")[-1]["state"] == as_unicode(label)
        assert {message.topic.partition("/")[0] for message in listener.heard} == {
            "litelens",
            "homeassistant",
        }


def test_an_hour_without_broker_loses_nothing(broker, mqtt):
    """Events of an hour, a restart of ours in it, then the broker comes back: all, in order, none twice."""
    events = [event(number=number) for number in range(3000)]
    with Listener(broker.start().port):
        pass  # known to the broker from now on, which keeps what comes for it
    with mqtt(broker.port) as first:
        for each in events[:1000]:
            first.take(observation(each))
        wait_for(lambda: first.delivered == 1000)
        broker.stop()
        wait_for(lambda: not first.status().ok)
        for each in events[1000:2000]:
            first.take(observation(each))
            wait_for(lambda: len(first.outbox._fresh) < 500)
        wait_for(lambda: first.status().waiting == 1000)
        assert f"mqtt://127.0.0.1:{broker.port}" in first.status().error
    with mqtt(broker.port) as second:
        for each in events[2000:]:
            second.take(observation(each))
            wait_for(lambda: len(second.outbox._fresh) < 500)
        wait_for(lambda: "Connection refused" in second.status().error)
        broker.start()
        wait_for(lambda: second.delivered == 2000, 60)
        assert second.status().ok and second.status().waiting == second.status().dropped == 0
        with Listener(broker.port) as listener:
            wait_for(lambda: len(listener.on("litelens/door/event")) == 3000)
            assert [each["id"] for each in listener.on("litelens/door/event")] == [each.id for each in events]


def test_a_broker_that_comes_and_goes_gets_every_event_in_order(broker, mqtt):
    """While events flow: what was sent and not confirmed is sent again, with its id, and order is kept."""
    with Listener(broker.start().port):
        pass
    events = [event(number=number) for number in range(600)]
    with mqtt(broker.port) as sink:
        for number, each in enumerate(events):
            sink.take(observation(each))
            if number % 200 == 100:
                broker.stop()
            if number % 200 == 150:
                broker.start()
            time.sleep(0.001)
        wait_for(lambda: sink.status().waiting == 0, 60)
    with Listener(broker.port) as listener:
        wait_for(lambda: listener.on("litelens/door/event")[-1:] == [vars(events[-1])])
    heard = [each["id"] for each in listener.on("litelens/door/event")]
    assert list(dict.fromkeys(heard)) == [each.id for each in events]
    assert len(heard) < 700, "and hardly any twice"


def test_a_reboot_does_not_leave_us_offline(broker, mqtt, tmp_path):
    """The old connection is open and silent, as after a power cut: its will comes before the new one's "online"."""
    script = f"""
        import sys
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        from pathlib import Path
        from conftest import model_of
        from edge_runtime.sinks.mqtt import Mqtt
        from edge_runtime.sinks.settings import MqttSettings
        settings = MqttSettings(sys.argv[1], prefix="litelens/door")
        with Mqtt(settings, Path(sys.argv[2]), model_of):
            sys.stdin.read()
    """
    arguments = [textwrap.dedent(script), f"mqtt://127.0.0.1:{broker.port}", tmp_path / "old.sqlite"]
    with (
        Listener(broker.start().port) as listener,
        subprocess.Popen([sys.executable, "-c", *arguments], stdin=subprocess.PIPE) as old,
    ):
        wait_for(lambda: listener.on("litelens/door/availability") == ["online"])
        old.send_signal(signal.SIGSTOP)
        with mqtt(broker.port):
            wait_for(lambda: listener.on("litelens/door/availability") == ["online", "offline", "online"])
        old.kill()


def test_a_killed_program_is_said_to_be_offline(broker, mqtt):
    with Listener(broker.start().port) as listener, mqtt(broker.port) as sink:
        wait_for(lambda: listener.on("litelens/door/availability") == ["online"])
        sink._client.socket().shutdown(socket.SHUT_RDWR)  # what the kernel does for the dead
        wait_for(lambda: "offline" in listener.on("litelens/door/availability"))
        wait_for(lambda: listener.on("litelens/door/availability")[-1] == "online")


@pytest.fixture
def guarded(broker):
    """A broker that wants a name and a password."""
    passwords = broker.folder / "passwords"
    command = ["mosquitto_passwd", "-b", "-c", passwords, "camera", "hush/hush:@"]
    subprocess.run(command, check=True, capture_output=True)
    broker.configure(
        "allow_anonymous false", f"password_file {passwords}", f"listener {broker.port} 127.0.0.1"
    )
    return broker.start()


@pytest.mark.parametrize("given", ["address", "environment"])
def test_a_password(guarded, mqtt, monkeypatch, given):
    login = "camera:hush%2Fhush%3A%40@" if given == "address" else ""
    if given == "environment":
        monkeypatch.setenv("LITELENS_MQTT_USERNAME", "camera")
        monkeypatch.setenv("LITELENS_MQTT_PASSWORD", "hush/hush:@")
    with mqtt(guarded.port, login=login) as sink:
        sink.take(observation(event()))
        wait_for(lambda: sink.delivered)
        assert sink.status().ok


@pytest.mark.parametrize("login", ["", "camera:wrong@", "nobody@"])
def test_a_wrong_password_is_reported_and_not_shown(guarded, mqtt, login):
    with mqtt(guarded.port, login=login) as sink:
        sink.take(observation(event()))
        error = wait_for(lambda: sink.status().error)
        assert "the broker answered: Not authorized" in error and "wrong" not in error
        wait_for(lambda: sink.status().waiting == 1)
        assert not sink.status().ok


def test_tls(broker, mqtt, certificate, monkeypatch):
    cert, key = certificate
    broker.configure(
        "allow_anonymous true", f"listener {broker.port} 127.0.0.1", f"certfile {cert}", f"keyfile {key}"
    )
    broker.start()
    with mqtt(broker.port, scheme="mqtts") as stranger:
        wait_for(lambda: "certificate verify failed" in stranger.status().error)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    events = [event("x" * 5000, number) for number in range(100)]
    with mqtt(broker.port, scheme="mqtts") as friend:
        for each in events:
            friend.take(observation(each))
        wait_for(lambda: friend.delivered == 100)


def test_a_server_that_is_no_broker(mqtt):
    """It accepts and says nothing, as a broker that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        begun = time.monotonic()
        with mqtt(server.getsockname()[1]) as sink:
            for number in range(1000):
                sink.take(observation(event(number=number), state=LABELS[number % 3]))
            assert time.monotonic() - begun < 2
            wait_for(lambda: sink.status().waiting == 1000)
            begun = time.monotonic()
        assert time.monotonic() - begun < 5


def test_a_server_that_speaks_something_else(mqtt):
    with socket.create_server(("127.0.0.1", 0)) as server, mqtt(server.getsockname()[1]) as sink:
        connection, _ = server.accept()
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
        connection.close()
        wait_for(lambda: not sink.status().ok)
        sink.take(observation(event()))
        wait_for(lambda: sink.status().waiting == 1)


def test_closing_while_nobody_answers(mqtt):
    with mqtt(free_port()) as sink:
        sink.take(observation(event()))
        wait_for(lambda: sink.status().error)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5


def test_memory_stays_flat_without_a_broker(mqtt):
    """States are replaced, not queued."""
    with mqtt(free_port()) as sink:
        for number in range(1000):
            sink.take(observation(state=LABELS[number % 3], number=number))
        assert sink._newest.frame == 999 and sink.status().waiting == 0
        assert not sink._client._out_messages and not sink._client._out_packet


levels = st.text(min_size=1, max_size=30)


@given(st.lists(levels, min_size=1, max_size=4).map("/".join) | st.sampled_from(HOSTILE))
@example("litelens/door")
@example("Küche/猫")
@example("a//b")
@example("/a")
@example("a/")
@example("$SYS/a")
def test_a_prefix_begins_topics_or_is_refused(prefix):
    try:
        kept = MqttSettings("mqtt://broker", prefix=prefix).prefix
    except ConfigError as problem:
        assert "cannot begin MQTT topics" in str(problem)
        return
    assert kept == prefix
    paho.Client._raise_for_invalid_topic(f"{prefix}/event".encode())
    assert all(prefix.split("/")) and "\0" not in prefix and not prefix.startswith("$")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text(st.characters(exclude_characters="+#/$"), min_size=1, max_size=20), min_size=1, max_size=30
    )
)
def test_a_real_broker_takes_every_prefix_that_is_accepted(broker, prefixes):
    if broker._process is None:
        broker.start()
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for prefix in prefixes:
        try:
            MqttSettings("mqtt://broker", prefix=prefix)
        except ConfigError:
            continue
        client.publish(f"{prefix}/event", b"x", qos=1).wait_for_publish(20)
        assert client.is_connected()
    client.disconnect()
    client.loop_stop()


@pytest.mark.parametrize("prefix", [*HOSTILE[3:6], "new\nline", "x" * 201, "nul\0", "\udcff", " \t"])
def test_refuses_hostile_prefixes(prefix):
    with pytest.raises(ConfigError, match="cannot begin MQTT topics"):
        MqttSettings("mqtt://broker", prefix=prefix)


@given(st.text(max_size=80))
def test_any_hostname_makes_a_prefix(hostname):
    prefix = default_prefix(hostname)
    assert MqttSettings("mqtt://broker", prefix=prefix).prefix == prefix


@pytest.mark.parametrize(
    "address",
    ["", "broker", "broker:1883", "http://broker", "mqtt://", "mqtt://:1883", "mqtt://broker:port", "mqtt://broker:0",
     "mqtt://broker:99999", "mqtt://broker/prefix", "mqtt://broker?x=1", "mqtt://a..b", "mqtt://" + "x" * 70],
)  # fmt: skip
def test_refuses_what_is_no_address(address):
    with pytest.raises(ConfigError, match="the MQTT broker's address") as caught:
        MqttSettings(address)
    assert "mqtt://broker.local" in caught.value.hint


def test_its_password_is_not_shown():
    assert "hush" not in repr(MqttSettings("mqtt://me:hush@broker"))
    with pytest.raises(ConfigError) as caught:
        MqttSettings("mqtt://me:hu/sh@broker")
    assert "hu" not in str(caught.value) and caught.value.__cause__ is None
