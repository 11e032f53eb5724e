"""Cameras on the network, as programs of their own that can be killed, stopped and started again."""

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

HERE = Path(__file__).parent
DEBIAN_PYTHON = "/usr/bin/python3"


class Program:
    """A server that says "ready" on its standard output."""

    def __init__(self, command: list[str], address: str):
        self.command = command
        self.address = address
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n", f"{self.command} did not start"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def hang(self) -> None:
        """Its connections stay open, and nothing comes through them."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    """Starts a Program of command and address, which ends with the test."""
    programs = []

    def run(command: list[str], address: str) -> Program:
        programs.append(Program([str(word) for word in command], address))
        return programs[-1]

    yield run
    for program in programs:
        if program.process.poll() is None:
            program.kill()


@pytest.fixture
def port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
def jpeg(tmp_path, coloured) -> Path:
    """A red picture."""
    Image.fromarray(coloured("red")).save(tmp_path / "red.jpg", quality=95)
    return tmp_path / "red.jpg"


@pytest.fixture
def mjpeg_camera(start, port, jpeg) -> Callable[..., Program]:
    """Starts a camera that serves pictures (a red one) as Motion JPEG over HTTP."""

    def run(*pictures: Path, fps: float = 30) -> Program:
        command = [sys.executable, HERE / "mjpeg_server.py", port, fps, *(pictures or [jpeg])]
        return start(command, f"http://127.0.0.1:{port}/camera")

    return run


@pytest.fixture(scope="session")
def rtsp_bindings() -> None:
    needed = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    if (
        not Path(DEBIAN_PYTHON).exists()
        or subprocess.run([DEBIAN_PYTHON, "-c", needed], capture_output=True).returncode
    ):
        pytest.skip(
            "no RTSP server: apt install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base "
            "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
        )


@pytest.fixture
def rtsp_camera(start, port, rtsp_bindings) -> Callable[..., Program]:
    """Starts a camera that serves red as H.264 over RTSP."""

    def run(*user_and_password: str) -> Program:
        command = [DEBIAN_PYTHON, HERE / "rtsp_server.py", port, *user_and_password]
        return start(command, f"rtsp://127.0.0.1:{port}/camera")

    return run


@pytest.fixture
def ffmpeg() -> str:
    if not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg: apt install ffmpeg")
    return "ffmpeg"


@pytest.fixture(scope="session")
def debian_opencv() -> str:
    """Debian's own Python, whose OpenCV was built with GStreamer."""
    needed = "import cv2, click, PIL, sys; sys.exit('GStreamer:                   YES' not in cv2.getBuildInformation())"
    if (
        not Path(DEBIAN_PYTHON).exists()
        or subprocess.run([DEBIAN_PYTHON, "-c", needed], capture_output=True).returncode
    ):
        pytest.skip("no OpenCV with GStreamer: apt install python3-opencv python3-pil python3-click")
    return DEBIAN_PYTHON


@pytest.fixture(scope="session")
def libfaketime() -> str:
    """Preloaded, it lets the wall clock jump for one program."""
    found = list(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.skip("no libfaketime: apt install faketime")
    return str(found[0])
