"""The floor: LiteRT's interpreter and the few lines that one writes around it."""

from importlib.metadata import version

import cv2
import numpy as np
import opencv_resize
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from settings import Settings


def by_pillow(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The centre, with Image.resize as it is called most: bicubic over all pixels."""
    side = min(frame.shape[0] / size[0], frame.shape[1] / size[1])
    height, width = size[0] * side, size[1] * side
    top, left = (frame.shape[0] - height) / 2, (frame.shape[1] - width) / 2
    return np.asarray(
        Image.fromarray(frame).resize((size[1], size[0]), box=(left, top, left + width, top + height))
    )


RESIZES = {
    "bilinear": opencv_resize.bilinear,
    "litelens rule": opencv_resize.litelens_rule,
    "Pillow": by_pillow,
    "none": None,
}


class Loop:
    def __init__(self, settings: Settings):
        cv2.setNumThreads(settings.threads)
        self.version = version("ai-edge-litert")
        self._settings, self._resize = settings, RESIZES[settings.resize]
        self._interpreter = Interpreter(settings.model, num_threads=settings.threads)
        self._interpreter.allocate_tensors()
        (given,), (answer,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._input, self._output = given["index"], answer["index"]
        self._takes_floats = given["dtype"] == np.float32

    def classify(self, frame: np.ndarray) -> str:
        if self._resize:
            self._set(self._resize(frame, self._settings.size))
        return self._settings.labels[self._invoke().argmax()]

    def probabilities(self, picture: np.ndarray) -> np.ndarray:
        self._set(picture)
        return opencv_resize.probabilities(self._invoke(), self._settings)

    def _set(self, picture: np.ndarray) -> None:
        given = opencv_resize.model_input(picture, self._settings, self._takes_floats)
        self._interpreter.set_tensor(self._input, given)

    def _invoke(self) -> np.ndarray:
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)[0]


load = Loop
