"""The Raspberry Pi's own cameras, through picamera2."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

from edge_runtime.capture.frame import Frame
from edge_runtime.errors import MissingExtraError, SourceError

SIZE_PX = (640, 480)
"""(width, height), as picamera2 wants it."""


class Picamera:
    """A camera on the board's own connector."""

    live = True

    def __init__(self, number: int, name: str):
        """Opens and starts the camera.

        Args:
            number: From 0, as ``rpicam-hello --list-cameras`` lists them.
            name: What frames give as their source.

        Raises:
            SourceError: If there is no such camera or another program uses it.
            MissingExtraError: If picamera2 cannot be imported.
        """
        self.name = name
        try:
            self._camera = _import_picamera2(name).Picamera2(number)
            with ExitStack() as on_error:
                on_error.callback(self._camera.close)
                # picamera2 names formats as a little-endian integer reads, so its "RGB888" is B, G, R in memory and
                # "BGR888" is R, G, B (Picamera2 manual, appendix A).
                main = {"size": SIZE_PX, "format": "BGR888"}
                self._camera.configure(self._camera.create_video_configuration(main=main))
                self._camera.start()
                on_error.pop_all()
        # picamera2 raises IndexError where the number is too high, RuntimeError for the rest.
        except (RuntimeError, IndexError, OSError) as problem:
            raise SourceError(
                f"camera {name} cannot be opened: {problem}",
                "list the cameras with: rpicam-hello --list-cameras; and end other programs that use it",
            ) from problem

    def __enter__(self) -> "Picamera":
        return self

    def __exit__(self, *exception: object) -> None:
        self._camera.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yields frames for as long as the caller takes them.

        Raises:
            SourceError: When the camera stops giving frames.
        """
        number = 0
        while True:
            try:
                request = self._camera.capture_request()
                try:
                    image, metadata = request.make_array("main"), request.get_metadata()
                finally:
                    request.release()  # its buffer goes back to the camera
            except (RuntimeError, OSError) as problem:
                raise SourceError(
                    f"camera {self.name} gave no more frames after {number}: {problem}", "check its cable"
                ) from problem
            yield Frame(image, self.name, number, captured_s=_captured_s(metadata))
            number += 1


def _captured_s(metadata: dict) -> float:
    """time.monotonic() when the sensor began with the frame; now, where the camera does not tell.

    libcamera's SensorTimestamp is in nanoseconds of CLOCK_BOOTTIME, which goes on while the board sleeps.
    """
    began_ns = metadata.get("SensorTimestamp")
    age_s = (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - began_ns) / 1e9 if began_ns else 0.0
    return time.monotonic() - max(0.0, age_s)


def _import_picamera2(name: str):
    try:
        import picamera2
    # ValueError is how a library built against NumPy 1 fails under NumPy 2: simplejpeg, which picamera2 imports.
    except (ImportError, ValueError) as problem:
        raise MissingExtraError(
            f"camera {name} needs picamera2, which cannot be imported: {problem}",
            "sudo apt install python3-picamera2, and litelens in an environment made by "
            "python3 -m venv --system-site-packages; if it says numpy.dtype size changed: pip install 'numpy<2'",
        ) from problem
    return picamera2
