"""Network cameras are real servers on loopback. V4L2: this suite has no camera, as v4l2loopback is a kernel module that a
container cannot load, so V4L2Camera is tested up to the point where OpenCV opens the device."""

import os
import socket
import subprocess
import sys
from itertools import islice
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
from PIL import Image

from edge_runtime.capture import opencv
from edge_runtime.capture.opencv import GStreamerPipeline, NetworkStream, V4L2Camera
from edge_runtime.errors import SourceError

ROOT = Path(__file__).parents[3]
RED = (255, 0, 0)

pytest.importorskip("cv2")


def near(image: np.ndarray, colour: tuple[int, int, int]) -> bool:
    """Compression changes colours a little; BGR for RGB would change them all the way."""
    return image.ndim == 3 and np.abs(image.astype(int) - colour).max() < 16


def shown(address: str, count: int) -> list[np.ndarray]:
    with NetworkStream(address, "camera") as source:
        assert source.live
        frames = list(islice(source, count))
    assert [(frame.source, frame.number) for frame in frames] == [("camera", n) for n in range(count)]
    return [frame.image for frame in frames]


def test_motion_jpeg_is_rgb(mjpeg_camera):
    assert all(near(image, RED) for image in shown(mjpeg_camera().address, 3))


def test_motion_jpeg_from_ffmpeg_is_rgb(ffmpeg, port):
    address = f"http://127.0.0.1:{port}/camera"
    serve = [ffmpeg, "-v", "error", "-re", "-f", "lavfi", "-i", "color=red:size=64x48:rate=30"]
    serve += ["-c:v", "mjpeg", "-f", "mpjpeg", "-listen", "1", address]
    with subprocess.Popen(serve, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for_port(port)
            assert all(near(image, RED) for image in shown(address, 3))
        finally:
            server.kill()


def wait_for_port(port: int) -> None:
    """Without connecting: ffmpeg serves one viewer, the first."""
    wanted, until_s = f":{port:04X} 00000000:0000 0A", monotonic() + 20
    while wanted not in Path("/proc/net/tcp").read_text():
        assert monotonic() < until_s
        sleep(0.05)


def test_rtsp_is_rgb(rtsp_camera):
    assert all(near(image, RED) for image in shown(rtsp_camera().address, 3))


def test_rtsp_with_user_and_password(rtsp_camera):
    address = rtsp_camera("admin", "p@ss").address
    with pytest.raises(SourceError, match="camera front cannot be opened"):
        NetworkStream(address, "front")
    assert near(shown(address.replace("//", "//admin:p%40ss@"), 1)[0], RED)


def test_http_with_user_and_password(mjpeg_camera):
    address = mjpeg_camera().address.replace("/camera", "/private")
    with pytest.raises(SourceError, match="check the address, user and password|cannot be opened"):
        NetworkStream(address, "front")
    assert near(shown(address.replace("//", "//admin:p%40ss%2Fw0rd@"), 1)[0], RED)


def test_pictures_of_other_sizes_and_without_colour_come_as_they_are(mjpeg_camera, jpeg, tmp_path):
    """A camera that turns to grey at night, or is set to another size, while it is watched."""
    sizes = {"grey": ("L", (64, 48)), "wide": ("RGB", (8000, 1)), "tall": ("RGB", (1, 8000))}
    paths = [jpeg]
    for name, (mode, size) in sizes.items():
        Image.new(mode, size, "white").save(paths[0].with_name(f"{name}.jpg"))
        paths.append(tmp_path / f"{name}.jpg")
    images = shown(mjpeg_camera(*paths).address, 8)
    assert [image.shape for image in images] == 2 * [(48, 64, 3), (48, 64, 3), (1, 8000, 3), (8000, 1, 3)]
    assert near(images[4], RED) and near(images[5], (255, 255, 255))


def test_a_torn_picture_is_left_out(mjpeg_camera, jpeg, tmp_path):
    (tmp_path / "torn.jpg").write_bytes(jpeg.read_bytes()[:400])
    (tmp_path / "noise.jpg").write_bytes(np.random.default_rng(0).bytes(3000))
    camera = mjpeg_camera(jpeg, tmp_path / "torn.jpg", tmp_path / "noise.jpg")
    assert all(near(image, RED) for image in shown(camera.address, 4))


def test_a_picture_that_claims_to_be_huge_is_not_unpacked(mjpeg_camera, jpeg, tmp_path):
    huge = bytearray(jpeg.read_bytes())
    size_at = huge.index(b"\xff\xc0") + 5
    huge[size_at : size_at + 4] = b"\xfd\xe8\xfd\xe8"  # 65,000 x 65,000: 12 GB
    (tmp_path / "huge.jpg").write_bytes(huge)
    with pytest.raises(SourceError, match="OpenCV cannot read it"):
        shown(mjpeg_camera(jpeg, tmp_path / "huge.jpg").address, 2)


def test_a_killed_server_is_a_lost_camera(mjpeg_camera):
    server = mjpeg_camera()
    with NetworkStream(server.address, "front") as source:
        frames = iter(source)
        next(frames)
        server.kill()
        with pytest.raises(SourceError, match="camera front gave no more frames after"):
            list(frames)


@pytest.mark.parametrize("kind", ["mjpeg_camera", pytest.param("rtsp_camera", marks=pytest.mark.soak)])
def test_a_server_that_hangs_is_a_lost_camera_after_a_while(kind, request, monkeypatch):
    monkeypatch.setattr(opencv, "TIMEOUT_S", 2)
    server = request.getfixturevalue(kind)()
    with NetworkStream(server.address, "front") as source:
        frames = iter(source)
        next(frames)
        server.hang()
        began_s = monotonic()
        with pytest.raises(SourceError, match="camera front gave no more frames after"):
            list(frames)
        assert monotonic() - began_s < 15
        server.go_on()


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_server_that_never_answers_is_an_error_after_a_while(scheme, monkeypatch):
    monkeypatch.setattr(opencv, "TIMEOUT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began_s = monotonic()
        with pytest.raises(SourceError, match="within 1 s"):
            NetworkStream(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/", "front")
    assert monotonic() - began_s < 15


def test_a_device_that_is_no_camera_is_an_error():
    with pytest.raises(
        SourceError, match="camera front cannot be opened: expected /dev/null to give pictures"
    ):
        V4L2Camera("/dev/null", "front")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every device")
def test_a_device_that_may_not_be_read_is_an_error(tmp_path):
    device = tmp_path / "video0"
    device.touch(0o000)
    with pytest.raises(SourceError, match="may not be read and written") as caught:
        V4L2Camera(str(device), "front")
    assert "usermod -aG video" in caught.value.hint


def test_opencv_without_gstreamer_says_where_to_get_it():
    import cv2

    if "GStreamer:                   YES" in cv2.getBuildInformation():
        pytest.skip("this OpenCV has GStreamer")
    with pytest.raises(SourceError, match="was built without GStreamer") as caught:
        GStreamerPipeline("videotestsrc ! appsink", "front")
    assert "python3-opencv" in caught.value.hint


PIPELINES = {
    "video/x-raw,format=BGR,width=64,height=48 ! appsink": "(48, 64, 3) [255, 0, 0]",
    "video/x-raw,format=GRAY8,width=64,height=48 ! appsink": "(48, 64) [81]",
    "video/x-raw,format=BGRx,width=64,height=48 ! appsink": "(48, 64, 4) [0, 0, 255, 255]",
    "fakesink": "camera front: GStreamer cannot run this pipeline",
    "nonsense": "camera front: GStreamer cannot run this pipeline",
}
"""How a red picture ends, to what comes of it."""

RUN_PIPELINES = """
import sys
from edge_runtime.capture.opencv import GStreamerPipeline
from edge_runtime.errors import LitelensError
for ending in sys.argv[1:]:
    try:
        with GStreamerPipeline(f"videotestsrc is-live=true pattern=red ! {ending}", "front") as source:
            image = next(iter(source)).image
            print(image.shape, image.reshape(48 * 64, -1)[0].tolist())
    except LitelensError as problem:
        print(problem)
"""


def test_pipelines_run_in_debians_opencv(debian_opencv):
    command = [debian_opencv, "-c", RUN_PIPELINES, *PIPELINES]
    ended = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, timeout=60)
    assert ended.stdout.splitlines() == list(PIPELINES.values()), ended.stderr


SETTINGS = """
import os
from edge_runtime.capture.opencv import import_opencv
import_opencv("a test")
print(*sorted(name for name in os.environ if name.startswith("OPENCV")))
"""


def test_what_a_user_set_for_opencv_is_kept():
    command = [sys.executable, "-c", SETTINGS + "print(os.environ['OPENCV_LOG_LEVEL'])"]
    environment = os.environ | {"OPENCV_LOG_LEVEL": "DEBUG"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT" in ended.stdout and ended.stdout.endswith("DEBUG\n")
