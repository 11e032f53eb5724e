"""How Home Assistant learns of a camera by itself: one retained MQTT message that describes its entities.

After https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload (Home Assistant 2024.11 or later), and
its pages on MQTT sensors and binary sensors.
"""

import hashlib
import re
from collections.abc import Iterable
from importlib import metadata

from edge_runtime.decision import UNKNOWN
from edge_runtime.live.status import ModelStatus
from edge_runtime.sinks.json_lines import strict_json

MOST_SWITCHED_LABELS = 20
"""Models with more labels get the one sensor alone: 120 entities that are off would bury it."""
MOST_STATE_CHARACTERS = 255
"""Home Assistant keeps no longer state."""
_MOST_NAME_CHARACTERS = 60
_ID = re.compile(r"[a-zA-Z0-9_-]{1,40}")


def device_id(prefix: str) -> str:
    """The camera's identifier, by its topic prefix: letters, digits, "_" and "-", as discovery topics take no other."""
    return f"litelens-{_identifier(prefix.replace('/', '_'), unique_by=prefix)}"


def discovery_topic(discovery: str, prefix: str) -> str:
    """Where the message goes: Home Assistant's own prefix, "device", and the camera's identifier."""
    return f"{discovery}/device/{device_id(prefix)}/config"


def discovery_payload(
    prefix: str, model: ModelStatus, expire_after_s: int, forgotten: Iterable[str] = ()
) -> str:
    """The message, as JSON: a sensor with the label in view, and a binary sensor for each of few labels.

    Args:
        prefix: Of the camera's topics; PREFIX/state carries what the entities show.
        model: Whose labels they are.
        expire_after_s: Entities become unavailable so long after the last state: a camera that was lost shows.
        forgotten: Keys of components that were announced before and are no more.
    """
    device = device_id(prefix)
    components = {key: {"platform": "binary_sensor"} for key in forgotten}
    components["state"] = {
        "platform": "sensor",
        "name": "In view",
        "unique_id": f"{device}-state",
        "icon": "mdi:cctv",
        "device_class": "enum",
        "options": list(dict.fromkeys(_state(label) for label in (*model.labels, UNKNOWN))),
        "value_template": f"{{{{ value_json.state[:{MOST_STATE_CHARACTERS}] }}}}",
        "json_attributes_topic": f"{prefix}/state",
        "expire_after": expire_after_s,
    }
    # By number, not by label: a template holds no text of the model's.
    for number, (key, label) in enumerate(label_components(model.labels).items()):
        components[key] = {
            "platform": "binary_sensor",
            "name": " ".join(label.split())[:_MOST_NAME_CHARACTERS] or key,
            "unique_id": f"{device}-{key}",
            "value_template": f"{{{{ 'ON' if value_json.class_id == {number} else 'OFF' }}}}",
            "expire_after": expire_after_s,
        }
    return strict_json(
        {
            "device": {
                "identifiers": [device],
                "name": " ".join(prefix.replace("/", " ").split())[:_MOST_NAME_CHARACTERS],
                "manufacturer": "litelens",
                "model": model.name,
                "sw_version": model.version,
            },
            "origin": {"name": "litelens", "sw_version": metadata.version("litelens")},
            "availability_topic": f"{prefix}/availability",
            "state_topic": f"{prefix}/state",
            "components": components,
        }
    )


def label_components(labels: tuple[str, ...]) -> dict[str, str]:
    """Key of each label's binary sensor to the label, in the model's order; empty above `MOST_SWITCHED_LABELS`."""
    if len(labels) > MOST_SWITCHED_LABELS:
        return {}
    return {f"label-{_identifier(label, unique_by=label)}": label for label in labels}


def _state(label: str) -> str:
    """What the sensor's template makes of a label: Home Assistant strips what templates yield."""
    return label.encode("utf-8", "replace").decode()[:MOST_STATE_CHARACTERS].strip()


def _identifier(text: str, unique_by: str) -> str:
    """The text itself where it is short and plain; otherwise what is plain in it, and a hash."""
    if text == unique_by and _ID.fullmatch(text):
        return text
    plain = re.sub(r"[^a-zA-Z0-9_-]+", "_", text)[:30]
    digest = hashlib.sha256(unique_by.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{plain}-{digest[:10]}"
