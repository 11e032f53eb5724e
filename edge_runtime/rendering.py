"""Draws a small inspection task: parts on a conveyor belt, as pictures and as a video with known labels.

It stands for a camera and a labelled data set where there is neither: everything is drawn from a seed,
so two machines make the same pictures. A part is an outline in its own plane; pose, belt, light, dirt and
camera are drawn at random and separately, so that a class can be told by its shape alone.
"""

import csv
import io
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from edge_runtime.extras import extra

CLASSES = ("bolt", "empty_belt", "gear", "hex_nut", "spring", "washer")
"""Sorted, as class folders are read."""

PICTURE_SIZE = (240, 320)
"""(height, width) of a rendered picture in pixels."""

_SUPERSAMPLE = 2  # outlines are drawn this much larger and reduced, which smooths their edges


@dataclass(frozen=True)
class Outline:
    """A part in its own plane, in units of its radius."""

    solid: list[np.ndarray]
    """Polygons, each of shape (points, 2), that are metal."""
    holes: list[np.ndarray]
    """Polygons cut out of the metal."""
    grooves: list[np.ndarray]
    """Open lines pressed into the metal: threads, chamfers, the turns of a spring."""


@dataclass(frozen=True)
class Pose:
    """Where a part lies in the picture."""

    centre_px: tuple[float, float]
    """(x, y) of the part's centre."""
    radius_px: float
    rotation: float
    """Radians."""
    tilt: float
    """1 is seen from straight above, less is foreshortened along `tilt_axis`."""
    tilt_axis: float
    """Radians."""


@dataclass(frozen=True)
class Belt:
    """The background and the light, constant through a video."""

    texture: np.ndarray
    """Shape (height, at least width, 3), float32, 0 to 255."""
    light: tuple[float, float]
    """Unit vector (x, y) from which the light comes."""
    ambient: float
    """0 to 1: what reaches surfaces that face away from the light."""


@dataclass(frozen=True)
class Camera:
    """What lens, sensor and compression do to a picture."""

    gain: tuple[float, float, float]
    """Factor on red, green and blue: exposure and white balance."""
    defocus_px: float
    motion_px: int
    """Length of the horizontal smear; 1 is none."""
    noise: float
    """Standard deviation of the sensor noise in grey levels."""
    vignette: float
    """How much darker the corners are, 0 to 1."""
    jpeg_quality: int


def render_picture(label: str, rng: np.random.Generator, size: tuple[int, int] = PICTURE_SIZE) -> np.ndarray:
    """Draws one picture of a class.

    Returns:
        RGB, uint8, shape (height, width, 3).

    Raises:
        KeyError: If label is none of CLASSES.
    """
    belt = draw_belt(rng, size)
    part = None if label == "empty_belt" else (_OUTLINES[label](rng), draw_pose(rng, size), draw_metal(rng))
    return photograph(place(belt.texture, part, belt), draw_camera(rng), rng)


def write_pictures(folder: Path, per_class: dict[str, int], seed: int) -> None:
    """Writes JPEG pictures of every class to folder/SPLIT/CLASS/NNNN.jpg, as many of each class as `per_class` says.

    Args:
        folder: Where the split folders are made.
        per_class: Split to count.
        seed: The same seed draws the same pictures.
    """
    splits = np.repeat(list(per_class), list(per_class.values()))
    jobs = []
    for class_id, label in enumerate(CLASSES):
        for number, split in enumerate(splits):
            path = folder / str(split) / label / f"{number:04d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            jobs.append((path, label, [seed, class_id, number]))
    with ProcessPoolExecutor() as pool:
        list(pool.map(_write_picture, *zip(*jobs, strict=True), chunksize=16))


def _write_picture(path: Path, label: str, seed: list[int]) -> None:
    Image.fromarray(render_picture(label, np.random.default_rng(seed))).save(path, quality=92)


def render_video(seed: int, parts: int, frames_per_part: int = 24) -> Iterator[tuple[np.ndarray, str]]:
    """Draws a belt that carries one part after another through the picture.

    Yields:
        (frame, label): RGB uint8 of shape PICTURE_SIZE + (3,), and the class in the middle of the picture, or ""
        while a part is only partly in the centre square, where no single answer is right.
    """
    rng = np.random.default_rng([seed, len(CLASSES)])
    height, width = PICTURE_SIZE
    # The belt moves by `step` pixels a frame; its texture is long enough for the whole video and starts empty.
    step = 2 * width // frames_per_part
    frames = (parts + 1) * frames_per_part
    belt = draw_belt(rng, (height, width + step * frames))
    camera = draw_camera(rng)
    labels = [CLASSES[i] for i in rng.permutation(np.resize(np.arange(len(CLASSES)), parts))]
    cargo = []
    for number, label in enumerate(labels):
        pose, metal = draw_pose(rng, PICTURE_SIZE), draw_metal(rng)
        if label != "empty_belt":
            belt_x = width * 1.5 + number * step * frames_per_part
            cargo.append((label, belt_x, pose, metal, _OUTLINES[label](rng)))
    for number in range(frames):
        left = number * step
        view, label = belt.texture[:, left : left + width], "empty_belt"
        for name, belt_x, pose, metal, outline in cargo:
            x = belt_x - left
            if not -width < x < 2 * width:
                continue
            moved = Pose((x, pose.centre_px[1]), pose.radius_px, pose.rotation, pose.tilt, pose.tilt_axis)
            view = place(view, (outline, moved, metal), belt)
            off_centre = abs(x - width / 2)
            if off_centre + pose.radius_px <= height / 2:
                label = name
            elif off_centre - 1.3 * pose.radius_px < height / 2:
                label = ""
        yield photograph(view, camera, rng), label


def write_video(path: Path, seed: int, parts: int) -> Path:
    """Writes render_video() as Motion JPEG with OpenCV, and its labels beside it as PATH.csv (frame,label).

    Returns:
        The path of the labels.

    Raises:
        OSError: If OpenCV cannot write the video.
        MissingExtraError: If OpenCV is not installed.
    """
    with extra("camera", "writing a video"):  # pictures are rendered without it
        import cv2

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 12, PICTURE_SIZE[::-1])
    if not writer.isOpened():
        raise OSError(f"OpenCV cannot write a Motion JPEG video to {path}")
    labels = path.with_suffix(".csv")
    with labels.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["frame", "label"])
        for number, (frame, label) in enumerate(render_video(seed, parts)):
            writer.write(np.ascontiguousarray(frame[..., ::-1]))  # OpenCV takes BGR
            rows.writerow([number, label])
    writer.release()
    return labels


# --- the parts ---


def _circle(radius: float, points: int = 64) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _rectangle(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def _closed(line: np.ndarray) -> np.ndarray:
    return np.concatenate([line, line[:1]])


def _hex_nut(rng: np.random.Generator) -> Outline:
    hole = rng.uniform(0.45, 0.6)
    return Outline(
        [_circle(1.0, 6)], [_circle(hole)], [_closed(_circle(0.84)), _closed(_circle(hole + 0.07))]
    )


def _washer(rng: np.random.Generator) -> Outline:
    return Outline([_circle(1.0)], [_circle(rng.uniform(0.4, 0.68))], [])


def _gear(rng: np.random.Generator) -> Outline:
    teeth, depth = int(rng.integers(10, 19)), rng.uniform(0.14, 0.24)
    # A tooth is root, flank up, tip, flank down: four points a tooth.
    angle = (np.arange(teeth)[:, None] + np.array([0.0, 0.2, 0.45, 0.65])).ravel() * 2 * np.pi / teeth
    radius = np.tile([1 - depth, 1.0, 1.0, 1 - depth], teeth)
    rim = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    hole = rng.uniform(0.18, 0.4)
    grooves = [_closed(_circle(hole + 0.12))] if rng.random() < 0.5 else []
    return Outline([rim], [_circle(hole)], grooves)


def _bolt(rng: np.random.Generator) -> Outline:
    head, shank = rng.uniform(0.4, 0.55), rng.uniform(0.2, 0.27)
    solid = [_rectangle(-1.0, -head, -0.62, head), _rectangle(-0.65, -shank, 0.95, shank)]
    thread_from, pitch = rng.uniform(-0.5, 0.1), rng.uniform(0.09, 0.14)
    threads = [np.array([(x, -shank), (x + 0.05, shank)]) for x in np.arange(thread_from, 0.92, pitch)]
    flats = [np.array([(-1.0, y), (-0.62, y)]) for y in (-head / 2, head / 2)]
    return Outline(solid, [], threads + flats)


def _spring(rng: np.random.Generator) -> Outline:
    coils, radius, wire = int(rng.integers(5, 9)), rng.uniform(0.32, 0.48), rng.uniform(0.055, 0.085)
    t = np.linspace(0, coils * 2 * np.pi, coils * 24)
    x = -0.95 + 1.9 * t / t[-1] + 0.09 * np.sin(t)
    centre = np.stack([x, radius * np.cos(t)], axis=1)
    along = np.gradient(centre, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    across *= wire / np.linalg.norm(across, axis=1, keepdims=True)
    # One quadrilateral a step: the wire crosses itself, which a single polygon would cancel out.
    strips = [
        np.array([a + u, b + v, b - v, a - u])
        for a, b, u, v in zip(centre, centre[1:], across, across[1:], strict=False)
    ]
    return Outline(strips, [], [])


_OUTLINES = {"hex_nut": _hex_nut, "washer": _washer, "gear": _gear, "bolt": _bolt, "spring": _spring}


# --- what varies ---


def draw_pose(rng: np.random.Generator, size: tuple[int, int]) -> Pose:
    """A part wholly inside the centre square of a picture of size (height, width)."""
    height, width = size
    side = min(size)
    radius = side * rng.uniform(0.17, 0.4)
    slack = max(0.0, side / 2 - radius)
    x, y = rng.uniform(-slack, slack, 2)
    return Pose(
        (width / 2 + x, height / 2 + y),
        radius,
        rng.uniform(0, 2 * np.pi),
        rng.uniform(0.62, 1.0),
        rng.uniform(0, np.pi),
    )


def draw_metal(rng: np.random.Generator) -> np.ndarray:
    """A surface colour: steel, zinc, brass, copper, black oxide or a painted part. Shape (3,), 0 to 255."""
    colours = [
        (150, 152, 156),
        (196, 198, 204),
        (186, 154, 80),
        (176, 110, 72),
        (62, 62, 68),
        (90, 110, 170),
        (170, 70, 60),
    ]
    return np.clip(np.array(colours[rng.integers(len(colours))]) * rng.uniform(0.75, 1.2, 3), 20, 240)


def draw_belt(rng: np.random.Generator, size: tuple[int, int]) -> Belt:
    """A belt of random colour, ribs, grain, stains, scratches and shavings, at size (height, width)."""
    height, width = size
    base = np.array(
        [[70, 78, 72], [44, 44, 48], [104, 98, 88], [60, 90, 76], [140, 142, 140], [84, 74, 100]][
            rng.integers(6)
        ]
    )
    base = np.clip(base * rng.uniform(0.7, 1.35, 3), 15, 225)
    texture = np.full((height, width), 0.0, np.float32)
    if rng.random() < 0.6:  # ribs across or along the belt
        axis = np.arange(width)[None, :] if rng.random() < 0.5 else np.arange(height)[:, None]
        texture += rng.uniform(2, 14) * np.sin(
            axis * 2 * np.pi / rng.uniform(6, 40) + rng.uniform(0, 6)
        ).astype(np.float32)
    for grain_px in (1, 3, 12):
        rows, columns = -(-height // grain_px), -(-width // grain_px)
        grain = Image.fromarray(rng.normal(0, rng.uniform(1, 6), (rows, columns)).astype(np.float32))
        texture += np.asarray(grain.resize((width, height), Image.Resampling.BILINEAR))
    colour = base.astype(np.float32) + texture[..., None]
    colour = _litter(colour, rng)
    angle = rng.uniform(0, 2 * np.pi)
    return Belt(
        np.clip(colour, 0, 255), (float(np.cos(angle)), float(np.sin(angle))), rng.uniform(0.35, 0.65)
    )


def draw_camera(rng: np.random.Generator) -> Camera:
    """Exposure, white balance, focus, smear, noise and compression of one camera."""
    gain = rng.uniform(0.7, 1.35) * rng.uniform(0.9, 1.1, 3)
    return Camera(
        tuple(gain),
        defocus_px=rng.uniform(0, 1.6),
        motion_px=int(rng.integers(1, 7)) if rng.random() < 0.4 else 1,
        noise=rng.uniform(1, 9),
        vignette=rng.uniform(0, 0.45),
        jpeg_quality=int(rng.integers(45, 95)),
    )


def _litter(colour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws stains, scratches, pebbles and shavings; their number grows with the belt's length."""
    height, width = colour.shape[:2]
    amount = max(1, round(width / height))
    dark = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(dark)
    for _ in range(int(rng.integers(0, 4)) * amount):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(8, 45)
        draw.ellipse((x - r, y - r * rng.uniform(0.3, 1), x + r, y + r), fill=int(rng.integers(30, 110)))
    dark = np.asarray(dark.filter(ImageFilter.GaussianBlur(5)), np.float32)[..., None]
    colour = colour * (1 - dark / 255)
    image = Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 12)) * amount):
        shade = tuple(int(v) for v in rng.integers(20, 235) * rng.uniform(0.85, 1.0, 3))
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(2, 13)
        kind = rng.integers(3)
        if kind == 0:
            draw.line((x, y, x + rng.uniform(-60, 60), y + rng.uniform(-60, 60)), fill=shade, width=1)
        elif kind == 1:
            draw.arc(
                (x - r, y - r, x + r, y + r), rng.uniform(0, 360), rng.uniform(0, 360), fill=shade, width=2
            )
        else:
            pebble = _circle(r * 0.6, 7) * rng.uniform(0.6, 1.2, (7, 1)) + (x, y)
            draw.polygon([tuple(p) for p in pebble], fill=shade)
    return np.asarray(image, np.float32)


# --- from parameters to pixels ---


def place(background: np.ndarray, part: tuple[Outline, Pose, np.ndarray] | None, belt: Belt) -> np.ndarray:
    """Lays a part with its shadow on a background and lights it.

    Returns:
        float32, shape of background, not clipped.
    """
    if part is None:
        return background
    outline, pose, metal = part
    height, width = background.shape[:2]
    mask, groove = _rasterise(outline, pose, (width, height))
    bevel = max(1.0, pose.radius_px * 0.06)
    surface = mask.filter(ImageFilter.GaussianBlur(bevel))
    relief = np.asarray(surface, np.float32) - 0.6 * np.asarray(
        groove.filter(ImageFilter.GaussianBlur(0.7)), np.float32
    )
    slope_y, slope_x = np.gradient(relief / 255 * bevel * 1.6)
    lx, ly = belt.light
    # Lambert on the bevel, and a highlight where it faces the light (Blinn and Phong's power law).
    facing = (1.0 + 1.5 * (-slope_x * lx - slope_y * ly)) / np.sqrt(1 + 2 * (slope_x**2 + slope_y**2))
    shade = belt.ambient + (1 - belt.ambient) * np.clip(facing, 0, 2)
    highlight = 90 * np.clip(facing - 1.0, 0, 1) ** 2
    lit = metal * shade[..., None] + highlight[..., None]
    reach = pose.radius_px * 0.16
    shadow = Image.new("L", mask.size)
    shadow.paste(mask, (round(-lx * reach), round(-ly * reach)))
    shadow = np.asarray(shadow.filter(ImageFilter.GaussianBlur(reach * 0.5)), np.float32)[..., None] / 255
    alpha = np.asarray(mask, np.float32)[..., None] / 255
    return background * (1 - 0.55 * shadow) * (1 - alpha) + lit * alpha


def _rasterise(outline: Outline, pose: Pose, size: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
    """The part's mask and its grooves as grey pictures of size (width, height)."""
    along = np.array([np.cos(pose.tilt_axis), np.sin(pose.tilt_axis)])
    tilt = np.eye(2) - (1 - pose.tilt) * np.outer(along, along)
    c, s = np.cos(pose.rotation), np.sin(pose.rotation)
    matrix = tilt @ np.array([[c, -s], [s, c]]) * pose.radius_px * _SUPERSAMPLE
    centre = np.array(pose.centre_px) * _SUPERSAMPLE
    large = (size[0] * _SUPERSAMPLE, size[1] * _SUPERSAMPLE)

    def pixels(line: np.ndarray) -> list[tuple[float, float]]:
        return [tuple(p) for p in line @ matrix.T + centre]

    mask, groove = Image.new("L", large), Image.new("L", large)
    draw = ImageDraw.Draw(mask)
    for polygon in outline.solid:
        draw.polygon(pixels(polygon), fill=255)
    for polygon in outline.holes:
        draw.polygon(pixels(polygon), fill=0)
    pen = ImageDraw.Draw(groove)
    for line in outline.grooves:
        pen.line(pixels(line), fill=255, width=max(1, round(pose.radius_px * 0.045 * _SUPERSAMPLE)))
    return mask.reduce(_SUPERSAMPLE), groove.reduce(_SUPERSAMPLE)


def photograph(scene: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Passes a scene (float32 RGB, 0 to 255) through a camera. Returns uint8 RGB of the same shape."""
    height, width = scene.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    light = 1 - camera.vignette * (x**2 + y**2)[..., None] / 2
    picture = scene * np.array(camera.gain, np.float32) * light
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(camera.defocus_px)
    )
    picture = np.asarray(image, np.float32)
    if camera.motion_px > 1:
        picture = np.mean([np.roll(picture, k, axis=1) for k in range(camera.motion_px)], axis=0)
    noise = rng.standard_normal((height, width, 1), np.float32) + 0.5 * rng.standard_normal(
        picture.shape, np.float32
    )
    picture = np.clip(picture + camera.noise * noise, 0, 255).astype(np.uint8)
    compressed = io.BytesIO()
    Image.fromarray(picture).save(compressed, "JPEG", quality=camera.jpeg_quality)
    return np.array(Image.open(compressed))
