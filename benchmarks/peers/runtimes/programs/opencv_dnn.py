"""OpenCV's DNN module: a float .tflite as it is; of int8 models only ONNX, and that only with its classic engine."""

from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import opencv_resize
from settings import Settings


class Float:
    """Its importer turns the model's input into channels first, which is what blobFromImage makes."""

    def __init__(self, settings: Settings):
        self.version = version("opencv-python-headless")
        self._settings = settings
        self._net = cv2.dnn.readNetFromTFLite(settings.model)

    def classify(self, frame: np.ndarray) -> str:
        return self._settings.labels[self.probabilities(frame).argmax()]

    def probabilities(self, picture: np.ndarray) -> np.ndarray:
        height, width = self._settings.size
        mean = (self._settings.input_zero_point,) * 3
        self._net.setInput(
            cv2.dnn.blobFromImage(picture, self._settings.input_scale, (width, height), mean, crop=True)
        )
        return self._net.forward()[0]


class Int8:
    """It takes bytes for signed ones, in and out: those above 127 would be cut to it."""

    def __init__(self, settings: Settings):
        self.version = version("opencv-python-headless")
        self._settings = settings
        # OpenCV 5's new engine: "Assertion failed: bufidx >= 0" in forward(); readNetFromTFLite: no layer ReduceInt8.
        self._net = cv2.dnn.readNetFromONNX(settings.model, cv2.dnn.ENGINE_CLASSIC)

    def classify(self, frame: np.ndarray) -> str:
        picture = opencv_resize.bilinear(frame, self._settings.size)
        return self._settings.labels[self._forward(picture).argmax()]

    def probabilities(self, picture: np.ndarray) -> np.ndarray:
        return opencv_resize.probabilities(self._forward(picture).astype(int) + 128, self._settings)

    def _forward(self, picture: np.ndarray) -> np.ndarray:
        self._net.setInput((picture ^ 128).view(np.int8)[np.newaxis])  # less 128
        return self._net.forward()[0]


def load(settings: Settings) -> Float | Int8:
    cv2.setNumThreads(settings.threads)
    return (Float if Path(settings.model).suffix == ".tflite" else Int8)(settings)
