"""What a MediaPipe user does: MODEL.tflite FOLDER {whole,centre-square} to JSON, pictures in the order of their names.

Run by test_mediapipe.py with the python of a client's own environment; nothing of litelens is there.
"""

import json
import sys
from pathlib import Path

import mediapipe as mp
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.components.containers import rect
from mediapipe.tasks.python.vision import ImageClassifier, ImageClassifierOptions, ImageProcessingOptions


def main(model: str, folder: str, region: str) -> None:
    options = ImageClassifierOptions(base_options=BaseOptions(model_asset_path=model))
    answers = []
    with ImageClassifier.create_from_options(options) as classifier:
        for path in sorted(Path(folder).iterdir()):
            image = mp.Image.create_from_file(str(path))
            seen = None
            if region == "centre-square":
                seen = ImageProcessingOptions(region_of_interest=rect.RectF(**centre_square(image)))
            (head,) = classifier.classify(image, seen).classifications
            answers.append([[found.index, found.category_name, found.score] for found in head.categories])
    print(json.dumps(answers))


def centre_square(image: mp.Image) -> dict[str, float]:
    """The largest centred square, in fractions of the picture's sides."""
    side = min(image.height, image.width)
    across, down = side / image.width / 2, side / image.height / 2
    return {"left": 0.5 - across, "top": 0.5 - down, "right": 0.5 + across, "bottom": 0.5 + down}


main(*sys.argv[1:])
