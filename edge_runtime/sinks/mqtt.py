"""Events and the state over MQTT, and Home Assistant's discovery."""

import contextlib
import os
import select
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import monotonic
from urllib.parse import SplitResult, unquote

import numpy as np

from edge_runtime.deciding.observation import Event, Observation
from edge_runtime.extras import extra
from edge_runtime.live.status import ModelStatus
from edge_runtime.sinks.background import Backoff
from edge_runtime.sinks.home_assistant import discovery_payload, discovery_topic, label_components
from edge_runtime.sinks.json_lines import strict_json
from edge_runtime.sinks.outbox import EventSink
from edge_runtime.sinks.settings import MQTT_PORTS, MqttSettings, broker_address

USERNAME_VARIABLE, PASSWORD_VARIABLE = "LITELENS_MQTT_USERNAME", "LITELENS_MQTT_PASSWORD"
ONLINE, OFFLINE = "online", "offline"
KEEPALIVE_S = 30
"""A broker that has not heard of us for one and a half times as long says that we are offline."""
CONNECT_TIMEOUT_S = 5.0
STEADY_S = 10.0
"""After a connection that lasted so long, the waits between attempts begin at a second again."""
MOST_IN_FLIGHT = 20
"""Events sent and not yet confirmed by the broker."""
MOST_SCORES = 10
"""The state tells the scores of so many labels, the best ones: Home Assistant keeps no more than 16 KiB of attributes."""


class Mqtt(EventSink):
    """Publishes, below the prefix:

    - ``event``: each event as JSON, QoS 1; kept on disk until the broker has confirmed it, in order.
    - ``state``: what is in view with its scores, retained, when it changes and every `MqttSettings.interval_s`.
    - ``availability``: "online" or "offline", retained; the broker says "offline" for us when we vanish.

    A lost broker is tried again after 1 s, doubling to 60 s.
    """

    def __init__(self, settings: MqttSettings, outbox: Path, model: Callable[[], ModelStatus]):
        """Connects to nothing yet.

        Args:
            settings: Where to.
            outbox: The file that holds events until they are delivered.
            model: Tells which model answers at the moment; called from any thread.

        Raises:
            MissingExtraError: If paho-mqtt is not installed.
        """
        super().__init__("mqtt", outbox, settings.cap_bytes)
        self._settings = settings
        self._model = model
        self._shown = shown(broker_address(settings.address))
        self._client = self._new_client(broker_address(settings.address))
        # A byte into the one end ends the wait for the network at the other.
        self._wake_end, self._woken_end = socket.socketpair()
        self._wake_end.setblocking(False)
        self._woken_end.setblocking(False)
        self._state, self._taken_s = "", 0.0
        self._newest: _State | None = None
        self._published: _State | None = None
        self._announced: ModelStatus | None = None
        self._components: set[str] = set()
        self._in_flight: dict[int, Event] = {}  # by the number of the message
        self._confirmed: list[Event] = []
        self._connected = False
        self._refusal = ""

    def take(self, observation: Observation) -> None:
        """Keeps the events, and the state when it is new or due."""
        super().take(observation)
        now_s = monotonic()
        if (
            self._newest is None
            or observation.state != self._state
            or now_s - self._taken_s >= self._settings.interval_s
        ):
            self._state, self._taken_s = observation.state, now_s
            self._newest = _State.of(observation, self._model())
            self.wake()

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # woken often enough
            self._wake_end.send(b"\0")

    def work(self) -> None:
        backoff = Backoff()
        while not self.stopping:
            begun_s = monotonic()
            self._connected, self._refusal = False, ""
            try:
                self._client.reconnect()
                self._serve()
                reason = self._refusal or "the connection was lost"
            except OSError as problem:  # also ssl.SSLError, and a host that has no address
                reason = str(problem) or type(problem).__name__
            if self.stopping:
                return
            self.error = f"{self._shown}: {reason}"
            # Not after any connection: a broker that throws us out each time is to be spared.
            if monotonic() - begun_s > STEADY_S:
                backoff.reset()
            self.pause(backoff.next_s())

    def _serve(self) -> None:
        """Sends and receives until the connection is lost or the sink is to end."""
        while not self.done and self._transfer(1.0):
            if self._connected:
                self._publish_state()
                self._publish_events()
        if self._connected and self.stopping:
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        """The broker says "offline" for those who vanish; who leaves says it himself."""
        farewell = self._publish("availability", OFFLINE, qos=1, retain=True)
        while farewell.rc == 0 and not farewell.is_published() and self.seconds_left():
            if not self._transfer(self.seconds_left()):
                return
        self._client.disconnect()

    def _transfer(self, timeout_s: float) -> bool:
        """Moves what the network has and takes, waiting for it or for `wake`; False once the connection is lost."""
        client = self._client
        connection = client.socket()
        if connection is None:
            return False
        # What TLS has unpacked already does not show at the socket.
        pending = isinstance(connection, ssl.SSLSocket) and connection.pending()
        wait_s = 0.0 if pending else min(timeout_s, 0.05) if self.stopping else timeout_s
        # Not select.select: it takes no descriptor above 1023, and a page with many readers has many.
        poll = select.poll()
        poll.register(connection, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
        poll.register(self._woken_end, select.POLLIN)
        ready = dict(poll.poll(wait_s * 1000))
        if self._woken_end.fileno() in ready:
            self._woken_end.recv(4096)
        found = ready.get(connection.fileno(), 0)
        if pending or found & ~select.POLLOUT:  # also a hang-up, which reading finds out
            client.loop_read()
        if found & select.POLLOUT:
            client.loop_write()
        client.loop_misc()
        if self._confirmed:
            confirmed, self._confirmed = self._confirmed, []
            self.outbox.delivered(confirmed)
            self.delivered += len(confirmed)
        return client.socket() is not None

    def _publish_events(self) -> None:
        if self.outbox.waiting <= len(self._in_flight):
            return
        sent = {event.id for event in self._in_flight.values()}
        for event in self.outbox.oldest(MOST_IN_FLIGHT):
            if event.id not in sent:
                message = self._publish("event", strict_json(vars(event)), qos=1, retain=False)
                # Also where the connection was lost just now: paho sends it again after the next one.
                self._in_flight[message.mid] = event

    def _publish_state(self) -> None:
        newest = self._newest
        model = newest.model if newest else self._model()
        if self._announced is None or _identity(model) != _identity(self._announced):
            self._announce(model)
        if newest and newest is not self._published:
            self._publish("state", newest.json(), qos=0, retain=True)
            self._published = newest

    def _announce(self, model: ModelStatus) -> None:
        settings = self._settings
        self._publish("availability", ONLINE, qos=0, retain=True)
        if settings.discovery:
            components = set(label_components(model.labels))
            expire_after_s = int(max(60, 6 * settings.interval_s))
            payload = discovery_payload(settings.prefix, model, expire_after_s, self._components - components)
            self._client.publish(discovery_topic(settings.discovery, settings.prefix), payload, retain=True)
            self._components |= components
        self._announced = model

    def _publish(self, topic: str, payload: str, *, qos: int, retain: bool):
        return self._client.publish(f"{self._settings.prefix}/{topic}", payload, qos, retain)

    def _new_client(self, address: SplitResult):
        with extra("mqtt", "--mqtt"):
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        # Always the same name: when we are back after a power cut, the broker ends the connection it still thinks
        # open, and says "offline" for that one before we say "online", not after.
        name = "litelens" + sha256(self._settings.prefix.encode()).hexdigest()[:12]
        client = Client(CallbackAPIVersion.VERSION2, name, reconnect_on_failure=False)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(MOST_IN_FLIGHT)
        client.will_set(f"{self._settings.prefix}/availability", OFFLINE, qos=1, retain=True)
        username = unquote(address.username or "") or os.environ.get(USERNAME_VARIABLE)
        password = unquote(address.password or "") or os.environ.get(PASSWORD_VARIABLE)
        if username:
            client.username_pw_set(username, password)
        if address.scheme == "mqtts":
            client.tls_set_context(ssl.create_default_context())
        client.connect_async(address.hostname, address.port or MQTT_PORTS[address.scheme], KEEPALIVE_S)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        return client

    # paho calls these two from within loop_read, so in the sink's thread.

    def _on_connect(self, client, userdata, flags, reason_code, properties) -> None:
        if reason_code.is_failure:
            self._refusal = f"the broker answered: {reason_code}"
            return
        self._connected, self.error = True, ""
        self._announced = self._published = None

    def _on_publish(self, client, userdata, mid, reason_code, properties) -> None:
        if event := self._in_flight.pop(mid, None):
            self._confirmed.append(event)


@dataclass(frozen=True, eq=False)
class _State:
    """What is in view, for the topic "state", without the picture."""

    state: str
    scores: np.ndarray
    time: float
    source: str
    frame: int
    model: ModelStatus

    @classmethod
    def of(cls, observation: Observation, model: ModelStatus) -> "_State":
        frame = observation.frame
        return cls(observation.state, observation.scores, frame.time, frame.source, frame.number, model)

    def json(self) -> str:
        labels = self.model.labels
        class_id = labels.index(self.state) if self.state in labels else -1
        best = [int(number) for number in np.argsort(-self.scores, kind="stable")[:MOST_SCORES]]
        return strict_json(
            {
                "state": self.state,
                "class_id": class_id,
                "score": _rounded(self.scores[class_id if class_id >= 0 else best[0]]),
                "scores": {labels[number]: _rounded(self.scores[number]) for number in best},
                "time": self.time,
                "source": self.source,
                "frame": self.frame,
                "model": self.model.name,
                "version": self.model.version,
            }
        )


def shown(address: SplitResult) -> str:
    """An address as messages show it: without user and password."""
    host = f"[{address.hostname}]" if ":" in address.hostname else address.hostname
    return f"{address.scheme}://{host}:{address.port or MQTT_PORTS[address.scheme]}"


def _identity(model: ModelStatus) -> tuple:
    return model.name, model.version, model.labels


def _rounded(score: float) -> float:
    return round(float(score), 4)
