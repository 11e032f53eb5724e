"""The part of the frame that is looked at."""

from dataclasses import dataclass

import numpy as np

from edge_runtime.errors import ConfigError, FrameError

_HINT = "give X,Y,WIDTH,HEIGHT in pixels (100,50,320,240) or, with points, in fractions of the frame (0.1,0.2,0.5,0.5)"
_MOST_PIXELS = 2**16


class RegionError(FrameError):
    """The region does not lie within the frame."""


@dataclass(frozen=True)
class Region:
    """A rectangle in the frame."""

    x: float
    """Of its left edge."""
    y: float
    """Of its top edge."""
    width: float
    height: float
    fractions: bool
    """Whether the four are fractions of the frame's width and height, else whole pixels."""

    def __str__(self) -> str:
        """As `parse_region` reads it."""
        sides = (self.x, self.y, self.width, self.height)
        return ",".join(str(float(side) if self.fractions else int(side)) for side in sides)

    def crop(self, image: np.ndarray) -> np.ndarray:
        """The part of a frame, without copying it.

        Args:
            image: Shape (height, width, 3).

        Raises:
            RegionError: If the region is not within the frame or has no pixel there.
        """
        rows, columns = image.shape[:2]
        across, down = (columns, rows) if self.fractions else (1, 1)
        left, right = round(self.x * across), round((self.x + self.width) * across)
        top, bottom = round(self.y * down), round((self.y + self.height) * down)
        if not (left < right <= columns and top < bottom <= rows):
            raise RegionError(
                f"the region {self} is {'empty in' if self.fractions else 'not within'} "
                f"a frame of {columns} x {rows} px",
                f"choose --roi within {columns} x {rows} px, or in fractions: 0.1,0.2,0.5,0.5",
            )
        return image[top:bottom, left:right]


def parse_region(text: str) -> Region:
    """Reads ``X,Y,WIDTH,HEIGHT``: pixels where all are whole numbers, fractions of the frame where one has a point.

    Raises:
        ConfigError: If text is no such rectangle or cannot lie within any frame.
    """
    parts = [part.strip() for part in text.split(",")]
    fractions = "." in text
    try:
        # isascii: float() also takes other scripts' digits. No "1e3", "nan" or "1_0" either.
        if len(parts) != 4 or not all(
            part.isascii() and part.replace(".", "", 1).isdigit() for part in parts
        ):
            raise ValueError
        x, y, width, height = (float(part) if fractions else int(part) for part in parts)
    except ValueError:
        raise ConfigError(f"roi is {text!r}, expected four numbers from 0", _HINT) from None
    most = 1 if fractions else _MOST_PIXELS
    if not (width > 0 and height > 0 and x + width <= most and y + height <= most):
        raise ConfigError(
            f"roi is {text!r}, expected a width and a height above 0, and x + width and y + height of at most {most}",
            _HINT,
        )
    return Region(x, y, width, height, fractions)
