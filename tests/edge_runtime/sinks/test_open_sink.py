import json
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from edge_runtime.errors import ConfigError, MissingExtraError
from edge_runtime.sinks.background import Handover
from edge_runtime.sinks.open_sink import Sinks, default_state_folder, open_sinks
from edge_runtime.sinks.settings import (
    HardExampleSettings,
    HistorySettings,
    JsonFileSettings,
    MqttSettings,
    SinkSettings,
    WebhookSettings,
)

from .conftest import event, free_port, model_of, observation, wait_for


class Deaf(Handover):
    """Whose receiver never takes anything."""

    def __init__(self, name="deaf"):
        super().__init__(name, keep=10)
        self.never = threading.Event()

    def take(self, given) -> None:
        self.put(given)

    def deliver(self, item) -> None:
        self.never.wait()


def opened(live=True, **settings) -> Sinks:
    return open_sinks(SinkSettings(**{"stdout": "nothing", **settings}), model=model_of, live=live)


@pytest.fixture
def everything(tmp_path, monkeypatch):
    """Settings of all sinks; nobody listens at the broker's port, and the webhook's receiver never answers."""
    pytest.importorskip("paho.mqtt", reason="paho-mqtt is not installed: pip install 'litelens[mqtt]'")
    gpiozero = pytest.importorskip(
        "gpiozero", reason="gpiozero is not installed: pip install 'litelens[gpio]'"
    )
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield {
            "state": str(tmp_path / "state"),
            "log": JsonFileSettings(str(tmp_path / "log.jsonl")),
            "mqtt": MqttSettings(f"mqtt://127.0.0.1:{free_port()}"),
            "webhook": WebhookSettings(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=60),
            "gpio": ("17=blue",),
            "history": HistorySettings(),
            "hard_examples": HardExampleSettings(str(tmp_path / "hard"), free_bytes=0),
        }


def test_all_sinks_together(everything, tmp_path, capfd):
    with opened(stdout="all", **everything) as sinks:
        sinks.take(observation(given := event()))
        names = [status.name for status in sinks.status()]
        assert names == ["gpio", "mqtt", "webhook", "history", "hard examples", "log", "stdout"]
        wait_for(
            lambda: (
                {s.name: s.delivered for s in sinks.status() if s.delivered}.keys()
                == {*names} - {"mqtt", "webhook"}
            )
        )
        assert sinks.recent(5) == [given]
        waiting = {status.name: status.waiting for status in sinks.status()}
        assert waiting["mqtt"] == waiting["webhook"] == 1
        begun = time.monotonic()
    assert time.monotonic() - begun < 5, "closed side by side"
    assert json.loads(capfd.readouterr().out)["events"][0]["id"] == given.id
    files = sorted(path.name for path in (tmp_path / "state").iterdir() if path.suffix == ".sqlite")
    assert files == ["history.sqlite", "mqtt.sqlite", "webhook.sqlite"]


def test_taking_waits_for_nobody(everything):
    """Dead receivers everywhere, and events with every frame."""
    with opened(**everything) as sinks:
        begun = time.monotonic()
        for number in range(1000):
            sinks.take(observation(event(number=number), number=number))
        assert time.monotonic() - begun < 5


def test_sinks_that_hang_hold_up_neither_the_loop_nor_the_end():
    deaf = tuple(Deaf(f"deaf {number}") for number in range(10))
    with Sinks(deaf, None, None) as sinks:
        begun = time.monotonic()
        for number in range(1000):
            sinks.take(observation(number=number))
        assert time.monotonic() - begun < 2
        begun = time.monotonic()
    assert time.monotonic() - begun < 5, "one second for all of them"
    for sink in deaf:
        sink.never.set()


def test_without_settings_there_is_standard_output(capfd):
    with open_sinks(SinkSettings(), model=model_of, live=False) as sinks:
        sinks.take(observation(number=3))
        assert sinks.recent(5) == []
    assert json.loads(capfd.readouterr().out)["frame"] == 3


def test_two_runs_do_not_share_a_folder(tmp_path):
    history = {"state": str(tmp_path), "history": HistorySettings()}
    with (
        opened(**history),
        pytest.raises(ConfigError, match="another litelens run uses") as caught,
        opened(**history),
    ):
        pass
    assert "--state" in caught.value.hint
    with opened(**history):
        pass  # the first one has ended


def test_a_killed_run_leaves_its_folder_free(tmp_path):
    script = """
        import os, sys
        from edge_runtime.sinks.open_sink import open_sinks
        from edge_runtime.sinks.settings import HistorySettings, SinkSettings
        settings = SinkSettings(state=sys.argv[1], stdout="nothing", history=HistorySettings())
        with open_sinks(settings, model=None, live=True):
            os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), tmp_path], check=False)
    assert (tmp_path / "lock").exists()
    with opened(state=str(tmp_path), history=HistorySettings()):
        pass


def test_a_state_folder_that_cannot_be_written_is_no_end(tmpfs):
    state = str(tmpfs("ro,size=1m") / "state")
    webhook = WebhookSettings(f"http://127.0.0.1:{free_port()}/")
    with opened(state=state, history=HistorySettings(), webhook=webhook) as sinks:
        sinks.take(observation(given := event()))
        wait_for(lambda: all("Read-only" in status.error for status in sinks.status()))
        assert sinks.recent(1) == [given]


def test_a_pin_that_cannot_be_had_leaves_nothing_open(everything, tmp_path):
    everything["gpio"] = ("17=bleu",)
    with pytest.raises(ConfigError, match="no label 'bleu'"):
        opened(**everything)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    "variables, folder",
    [
        ({"STATE_DIRECTORY": "/var/lib/litelens"}, "/var/lib/litelens"),
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "XDG_STATE_HOME": "/x"}, "/var/lib/a"),
        ({"XDG_STATE_HOME": "/home/me/.state"}, "/home/me/.state/litelens"),
        ({"HOME": "/home/me"}, "/home/me/.local/state/litelens"),
    ],
)
def test_where_state_is_kept(monkeypatch, variables, folder):
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(default_state_folder()) == folder


@pytest.mark.parametrize(
    "library, settings, extra",
    [
        ("paho", {"mqtt": MqttSettings("mqtt://broker")}, "litelens[mqtt]"),
        ("gpiozero", {"gpio": ("17=blue",)}, "litelens[gpio]"),
    ],
)
def test_names_the_extra_that_is_missing(monkeypatch, library, settings, extra):
    for module in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError) as caught:
        opened(**settings)
    assert extra in caught.value.hint


def test_a_run_that_prints_alone_imports_no_more_than_it_needs():
    script = """
        import sys
        from edge_runtime.sinks.open_sink import open_sinks
        from edge_runtime.sinks.settings import SinkSettings
        open_sinks(SinkSettings(), model=None, live=True)
        heavy = ("ssl", "http.client", "sqlite3", "PIL", "paho", "gpiozero", "cv2", "tensorflow")
        print([name for name in heavy if name in sys.modules])
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert ended.stdout == "[]\n", ended.stderr
