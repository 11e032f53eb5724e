"""Stand-ins for libedgetpu.so.1, because there is no Coral here: real shared libraries that fail as the real one can.

None of them runs a model. `works` is a delegate that takes no operator, so that the interpreter runs all of them.
"""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_runtime.device import choosing

_CREATE = "void *tflite_plugin_create_delegate(char **names, char **values, size_t count, void (*say)(const char *))"
_DESTROY = "void tflite_plugin_destroy_delegate(void *delegate) {}"
SOURCES = {
    "aborts": _CREATE + '{ fprintf(stderr, "F usb_driver.cc: check failed\\n"); abort(); }' + _DESTROY,
    "segfaults": "__attribute__((constructor)) static void start(void) { int *volatile p = 0; *p = 1; }"
    + _CREATE
    + "{ return 0; }"
    + _DESTROY,
    "sleeps": _CREATE + "{ for (;;) sleep(1); }" + _DESTROY,
    "lacks": "int nothing;",
    "exits": _CREATE + "{ exit(0); }" + _DESTROY,
    "refuses": _CREATE
    + '{ char text[99] = "no Edge TPU"; for (size_t i = 0; i < count; i++)'
    + '{ snprintf(text, 99, "no Edge TPU with %s=%s", names[i], values[i]); } say(text); return 0; }'
    + _DESTROY,
    # The head of TfLiteDelegate, in tensorflow/lite/core/c/common.h.
    "works": """
        struct delegate { void *data; int (*prepare)(void *, struct delegate *); void *unused[3]; int64_t flags; void *builder; };
        static int prepare(void *context, struct delegate *delegate) { return 0; }
        static struct delegate own = {.prepare = prepare};
    """
    + _CREATE
    + "{ return &own; }"
    + _DESTROY,
}


@pytest.fixture(scope="session")
def library(tmp_path_factory) -> Callable[[str], str]:
    """Compiles a stand-in; returns its path."""
    if not shutil.which("gcc"):
        pytest.skip("compiling a stand-in for libedgetpu needs gcc (Debian: build-essential)")
    folder = tmp_path_factory.mktemp("libraries")

    def build(kind: str) -> str:
        path = folder / kind / "libedgetpu.so.1"
        if not path.exists():
            path.parent.mkdir()
            headers = "\n".join(f"#include <{name}.h>" for name in ("stdint", "stdio", "stdlib", "unistd"))
            command = ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(path)]
            subprocess.run(command, input=f"{headers}\n{SOURCES[kind]}", text=True, check=True)
        return str(path)

    return build


@pytest.fixture
def install(library, monkeypatch) -> Callable[[str], None]:
    """Has a stand-in found where libedgetpu.so.1 would be."""
    return lambda kind: monkeypatch.setattr(choosing, "LIBRARY", library(kind))


@pytest.fixture
def model(tiny, tmp_path) -> Path:
    """The tiny model with no other file beside it."""
    return Path(shutil.copy(tiny, tmp_path / "parts.tflite"))


@pytest.fixture
def pair(model, tiny, repacked) -> Path:
    """The tiny model, and beside it what looks like the same compiled: the compiler's operator is named behind it."""
    content = tiny.read_bytes()
    path = repacked(model=content[: content.index(b"PK\x03\x04")] + b"edgetpu-custom-op")
    path.rename(model.with_name("parts_edgetpu.tflite"))
    return model
