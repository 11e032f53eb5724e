from importlib.util import find_spec

import pytest

from edge_runtime.errors import ConfigError, MissingExtraError
from edge_runtime.sinks.gpio import Gpio

from .conftest import HOSTILE, LABELS, observation, wait_for

gpiozero = pytest.importorskip("gpiozero", reason="gpiozero is not installed: pip install 'litelens[gpio]'")


@pytest.fixture
def pins(monkeypatch):
    """gpiozero's mock pins, by number; each is given anew."""
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    gpiozero.Device.ensure_pin_factory()
    yield gpiozero.Device.pin_factory.pin
    gpiozero.Device.pin_factory.reset()


def test_a_pin_is_on_while_its_label_is_in_view(pins):
    with Gpio(("17=blue", "27=red"), LABELS) as gpio:
        assert (pins(17).function, pins(17).state, pins(27).state) == ("output", 0, 0)
        for state, on in [
            ("blue", (1, 0)),
            ("red", (0, 1)),
            ("unknown", (0, 0)),
            ("green", (0, 0)),
            ("blue", (1, 0)),
        ]:
            gpio.take(observation(state=state))
            wait_for(lambda on=on: (pins(17).state, pins(27).state) == on)
        assert gpio.status().ok and gpio.status().name == "gpio"
    assert pins(17).function == "input", "given back, and with that off"


def test_a_pin_is_switched_only_when_the_state_changes(pins):
    with Gpio(("17=blue",), LABELS) as gpio:
        for _ in range(100):
            gpio.take(observation(state="blue"))
        wait_for(lambda: pins(17).state)
    assert gpio.status().delivered == 1


@pytest.mark.parametrize("label", HOSTILE)
def test_takes_any_label(pins, label):
    with Gpio((f"17={label}",), (label, "other")) as gpio:
        gpio.take(observation(state=label, labels=(label, "green", "red")))
        wait_for(lambda: pins(17).state)


def test_refuses_a_label_that_the_model_has_not(pins):
    with pytest.raises(ConfigError, match="no label 'bleu'") as caught:
        Gpio(("17=bleu",), LABELS)
    assert "blue, green, red" in caught.value.hint


def test_refuses_a_pin_that_is_taken(pins):
    with (
        gpiozero.OutputDevice(27),
        pytest.raises(ConfigError, match="cannot use pin 27"),
        Gpio(("17=blue", "27=red"), LABELS),
    ):
        pass
    assert pins(17).function == "input", "the other one is given back"


@pytest.mark.skipif(find_spec("lgpio") is not None, reason="lgpio is installed here")
@pytest.mark.parametrize("factory", ["lgpio", None])
@pytest.mark.filterwarnings("ignore::gpiozero.PinFactoryFallback")
def test_says_how_to_reach_the_pins_of_a_machine(monkeypatch, factory):
    if factory:
        monkeypatch.setenv("GPIOZERO_PIN_FACTORY", factory)
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    with pytest.raises(MissingExtraError) as caught, Gpio(("17=blue",), LABELS):
        pass
    assert "lgpio" in caught.value.hint
