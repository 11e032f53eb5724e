"""Takes passwords out of what users call their cameras, before it is shown, logged or sent."""

import re

SHOWN = frozenset(
    ("action", "camera", "channel", "device", "format", "fps", "framerate", "height", "latency", "pattern")
    + ("profile", "quality", "resolution", "stream", "subtype", "width")
)
"""Settings in addresses and pipelines whose values may be shown. All others are hidden, as cameras have many names for a
password, such as ``http://CAMERA/video.cgi?usr=admin&pw=...``."""

HIDDEN = "***"

_SCHEME = re.compile(r"(?:gst:|[\w+.-]*:/{0,2})?")
# A value ends where the next setting begins: a password may hold anything.
_SETTING = re.compile(r"([\w-]+)(\s*=\s*)(.*?)(?=[&;,?\s]\s*[\w-]+\s*=|$)", re.DOTALL)


def redact(address: str) -> str:
    """The address of a camera, or a pipeline, with ``***`` for user, password and unknown settings.

    It rather hides too much: a password in an address that no camera would take, with an @ or a / in it, is hidden too.

    Example:
        >>> redact("rtsp://admin:secret@192.168.1.7/stream?channel=2&pwd=secret")
        'rtsp://***@192.168.1.7/stream?channel=2&pwd=***'
    """
    scheme = _SCHEME.match(address)[0]
    before, at, after = address[len(scheme) :].rpartition("@")
    if at and "=" in before:  # the @ of user and password, or one within a setting: nobody can tell
        return scheme + HIDDEN
    if at and (scheme or ":" in before):
        address = f"{scheme}{HIDDEN}@{after}"
    return _SETTING.sub(_shown, address)


def _shown(setting: re.Match) -> str:
    name, equals, value = setting.groups()
    return name + equals + (value if name.lower() in SHOWN and "=" not in value else HIDDEN)
