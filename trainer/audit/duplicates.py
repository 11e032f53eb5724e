"""Which files show the same picture: by their pixels, or by how they look."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from trainer.audit.findings import Inspection

RADIUS = 4
"""Bits in which the pHash of the same picture may differ. Of 230 photographs saved anew as JPEG (quality 30), WebP or GIF,
made grey, a half, a third, half as large again, or 224 x 224, all were within it (128 x 128 without smoothing: 99.6 %); of those
cropped by 2 % on each side, 73 %."""
LEAST_CORRELATION = 0.95
"""Of their thumbnails. The same 230 had at least 0.985; of two different rendered machine parts, whose plain backgrounds
bring pHashes within RADIUS, at most 0.91. Of 4,112 photographs (8.5 million pairs) none but one double was within RADIUS."""
_HASH_BITS = 64
_BITS_OF_BYTE = np.array([byte.bit_count() for byte in range(256)], np.uint8)
_PAIRS_AT_ONCE = 2**15


def look_alike_groups(inspections: Sequence[Inspection]) -> list[list[int]]:
    """Finds the files that show the same picture: equal pixels, or saved anew in another format or size.

    The latter is said of pictures whose pHashes and thumbnails are close. Every group lies around one picture that all
    others are close to; it is no chain, along which a set of similar pictures would all become one.

    Returns:
        Groups of at least two numbers of `inspections`, sorted, ordered by their first; no number is in two.
    """
    # Equal pixels first: a thousand copies of one picture are no half a million pairs.
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, inspection in enumerate(inspections):
        if inspection.usable:
            numbers[inspection.pixels_sha256].append(number)
    pictures = list(numbers.values())
    first = [inspections[same[0]] for same in pictures]
    known = [i for i, inspection in enumerate(first) if inspection.perceptual_hash is not None]
    hashes = np.array([first[i].perceptual_hash for i in known], np.uint64)
    thumbnails = np.frombuffer(b"".join(first[i].thumbnail for i in known), np.uint8).reshape(-1, 256)
    pairs = np.array(known, np.int64)[_confirmed(close_pairs(hashes), thumbnails)]
    stars = _stars(len(pictures), pairs)
    return sorted(group for star in stars if len(group := sorted(n for i in star for n in pictures[i])) > 1)


def looking_like(inspection: Inspection, hashes: np.ndarray, thumbnails: np.ndarray) -> list[int]:
    """Finds those of many pictures that look the same as one, by the measure of `look_alike_groups`.

    Args:
        inspection: Of the one.
        hashes: The others' perceptual hashes: uint64, shape (n,).
        thumbnails: Theirs: uint8, shape (n, 256).

    Returns:
        Their numbers, ascending; none where the one is not usable or too small to be known by its look.
    """
    if inspection.perceptual_hash is None:
        return []
    close = np.flatnonzero(_distances(hashes, np.uint64(inspection.perceptual_hash)) <= RADIUS)
    own = np.frombuffer(inspection.thumbnail, np.uint8)
    compared = np.concatenate([thumbnails[close], own[np.newaxis]])
    pairs = np.stack([np.arange(len(close)), np.full(len(close), len(close))], axis=1)
    return close[_confirmed(pairs, compared)[:, 0]].tolist()


def close_pairs(hashes: np.ndarray) -> np.ndarray:
    """The pairs of hashes that differ in at most RADIUS bits.

    Cut into RADIUS + 1 bands, two such hashes are equal in at least one (pigeonhole), so only those with an equal band
    are compared: O(n log n) for sorting, and n^2 / 2^13 comparisons a band where the hashes are spread evenly. Memory
    O(n + pairs).

    Args:
        hashes: uint64, shape (n,).

    Returns:
        int64, shape (pairs, 2), the lower index first, sorted.
    """
    found = [np.empty((0, 2), np.int64)]
    for band in np.array_split(np.arange(_HASH_BITS), RADIUS + 1):
        keys = (hashes >> np.uint64(band[0])) & np.uint64(2 ** len(band) - 1)
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        starts, shift = np.arange(len(order)), 1
        while len(starts):
            starts = starts[starts + shift < len(order)]
            starts = starts[ordered[starts] == ordered[starts + shift]]
            pairs = np.stack([order[starts], order[starts + shift]], axis=1)
            found.append(pairs[_distances(*hashes[pairs.T]) <= RADIUS])
            shift += 1
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """How many bits differ; uint64 of shape (n,) to an integer of shape (n,)."""
    return _BITS_OF_BYTE[(left ^ right).view(np.uint8).reshape(-1, 8)].sum(axis=1)


def _confirmed(pairs: np.ndarray, thumbnails: np.ndarray) -> np.ndarray:
    """The pairs whose thumbnails correlate, which no change of brightness or contrast spoils."""
    kept = [np.empty((0, 2), np.int64)]
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        some = pairs[start : start + _PAIRS_AT_ONCE]
        left, right = (_standardised(thumbnails[side]) for side in some.T)
        kept.append(some[(left * right).mean(axis=1) >= LEAST_CORRELATION])
    return np.concatenate(kept)


def _standardised(thumbnails: np.ndarray) -> np.ndarray:
    levels = thumbnails.astype(np.float32)
    levels -= levels.mean(axis=1, keepdims=True)
    return levels / np.maximum(levels.std(axis=1, keepdims=True), 1e-6)


def _stars(count: int, pairs: np.ndarray) -> list[list[int]]:
    """Groups around a centre, those with the most neighbours first; what is in no pair stands alone."""
    neighbours: list[list[int]] = [[] for _ in range(count)]
    for left, right in pairs.tolist():
        neighbours[left].append(right)
        neighbours[right].append(left)
    free, stars = set(range(count)), []
    for centre in sorted(range(count), key=lambda i: (-len(neighbours[i]), i)):
        if centre in free:
            star = [centre, *(i for i in neighbours[centre] if i in free)]
            free.difference_update(star)
            stars.append(star)
    return stars
