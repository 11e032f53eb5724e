"""A frame to a model's input with OpenCV, as one writes it by hand."""

import cv2
import numpy as np
from settings import Settings


def bilinear(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The centre, with cv2.resize as it is called most: it looks at 4 pixels for each of its own and skips the others."""
    return cv2.resize(_centre(frame, size), (size[1], size[0]))


def litelens_rule(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The rule that the model was trained with: means of whole blocks, then bilinear. Within 2 grey levels of it."""
    height, width = _centre(frame, size).shape[:2]
    factor = max(1, min(height // size[0], width // size[1]))
    rows, columns = height // factor, width // factor
    top, left = (frame.shape[0] - rows * factor) // 2, (frame.shape[1] - columns * factor) // 2
    centre = frame[top : top + rows * factor, left : left + columns * factor]
    reduced = cv2.resize(centre, (columns, rows), interpolation=cv2.INTER_AREA)
    return reduced if (rows, columns) == size else cv2.resize(reduced, (size[1], size[0]))


def model_input(picture: np.ndarray, settings: Settings, takes_floats: bool) -> np.ndarray:
    """A picture of the model's size as its input, shape (1, height, width, 3): as it is, or the same as real values."""
    if takes_floats:
        picture = (picture - np.float32(settings.input_zero_point)) * np.float32(settings.input_scale)
    return picture[np.newaxis]


def probabilities(output: np.ndarray, settings: Settings) -> np.ndarray:
    """What a model's output stands for."""
    if output.dtype.kind == "f":
        return output
    return (output.astype(np.float32) - settings.output_zero_point) * settings.output_scale


def _centre(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The largest centred rectangle of size's shape."""
    height, width = frame.shape[:2]
    rows, columns = min(height, width * size[0] // size[1]), min(width, height * size[1] // size[0])
    top, left = (height - rows) // 2, (width - columns) // 2
    return frame[top : top + rows, left : left + columns]
