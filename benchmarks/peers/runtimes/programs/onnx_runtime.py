"""ONNX Runtime on the CPU."""

from importlib.metadata import version

import cv2
import numpy as np
import onnxruntime
import opencv_resize
from settings import Settings


class OnnxRuntime:
    def __init__(self, settings: Settings):
        cv2.setNumThreads(settings.threads)
        self.version = version("onnxruntime")
        self._settings = settings
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = settings.threads, 1
        self._session = onnxruntime.InferenceSession(settings.model, options, ["CPUExecutionProvider"])
        (given,) = self._session.get_inputs()
        self._input, self._takes_floats = given.name, given.type == "tensor(float)"

    def classify(self, frame: np.ndarray) -> str:
        picture = opencv_resize.bilinear(frame, self._settings.size)
        return self._settings.labels[self._run(picture).argmax()]

    def probabilities(self, picture: np.ndarray) -> np.ndarray:
        return opencv_resize.probabilities(self._run(picture), self._settings)

    def _run(self, picture: np.ndarray) -> np.ndarray:
        given = opencv_resize.model_input(picture, self._settings, self._takes_floats)
        return self._session.run(None, {self._input: given})[0][0]


load = OnnxRuntime
