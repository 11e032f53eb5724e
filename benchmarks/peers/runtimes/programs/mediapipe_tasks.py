"""MediaPipe Tasks: ImageClassifier, with the centre of the frame as its region of interest, as docs/clients.md has it."""

from importlib.metadata import version

import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.components.containers import rect
from mediapipe.tasks.python.vision import ImageClassifier, ImageClassifierOptions, ImageProcessingOptions
from settings import Settings


class MediaPipe:
    """How many threads it takes, it does not let itself be told."""

    def __init__(self, settings: Settings):
        self.version = version("mediapipe")
        self._settings = settings
        self._classifier = self._create(max_results=1)
        self._of_all_classes = None

    def classify(self, frame: np.ndarray) -> str:
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=frame)
        (head,) = self._classifier.classify(image, self._centre(frame)).classifications
        return head.categories[0].category_name

    def probabilities(self, picture: np.ndarray) -> np.ndarray:
        self._of_all_classes = self._of_all_classes or self._create(max_results=-1)
        (head,) = self._of_all_classes.classify(
            mp.Image(image_format=mp.ImageFormat.SRGB, data=picture)
        ).classifications
        scores = np.zeros(len(self._settings.labels))
        for found in head.categories:
            scores[found.index] = found.score
        return scores

    def _create(self, max_results: int) -> ImageClassifier:
        base = BaseOptions(model_asset_path=self._settings.model)
        return ImageClassifier.create_from_options(ImageClassifierOptions(base, max_results=max_results))

    def _centre(self, frame: np.ndarray) -> ImageProcessingOptions:
        """The largest centred rectangle of the input's shape, in fractions of the frame's sides."""
        height, width = self._settings.size
        times = min(frame.shape[0] / height, frame.shape[1] / width)
        down, across = times * height / frame.shape[0] / 2, times * width / frame.shape[1] / 2
        return ImageProcessingOptions(rect.RectF(0.5 - across, 0.5 - down, 0.5 + across, 0.5 + down))


load = MediaPipe
