"""OpenVINO on the CPU; it reads a .tflite as it is."""

from importlib.metadata import version

import cv2
import numpy as np
import opencv_resize
import openvino
from settings import Settings


class OpenVino:
    def __init__(self, settings: Settings):
        cv2.setNumThreads(settings.threads)
        self.version = version("openvino")
        self._settings = settings
        # By itself it computes floats in bfloat16 where the processor can: other answers, and no float.
        tuning = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": settings.threads, "NUM_STREAMS": 1}
        tuning["INFERENCE_PRECISION_HINT"] = "f32"
        model = openvino.Core().compile_model(settings.model, "CPU", tuning)
        self._takes_floats = model.input(0).element_type == openvino.Type.f32
        self._request = model.create_infer_request()

    def classify(self, frame: np.ndarray) -> str:
        picture = opencv_resize.bilinear(frame, self._settings.size)
        return self._settings.labels[self._infer(picture).argmax()]

    def probabilities(self, picture: np.ndarray) -> np.ndarray:
        return opencv_resize.probabilities(self._infer(picture), self._settings)

    def _infer(self, picture: np.ndarray) -> np.ndarray:
        given = opencv_resize.model_input(picture, self._settings, self._takes_floats)
        return self._request.infer(given, share_inputs=True)[0][0]


load = OpenVino
