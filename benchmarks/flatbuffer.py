"""Reads flatbuffers, which is what a .tflite and its metadata are: https://flatbuffers.dev/internals.

By hand, as a device has no library for it. A damaged buffer raises struct.error, IndexError or ValueError.
"""

import struct

import numpy as np


class Table:
    """A table of a flatbuffer. Its fields have the numbers of the schema; those that are left out are 0 or empty."""

    def __init__(self, content: bytes, position: int):
        self._content, self._position = content, position
        self._vtable = position - self._unpack("<i", position)
        self._vtable_bytes = self._unpack("<H", self._vtable)

    @classmethod
    def root(cls, content: bytes) -> "Table":
        """The table that a buffer begins with."""
        return cls(content, struct.unpack_from("<I", content)[0])

    def number(self, field: int, layout: str) -> int:
        """A number, as `struct` lays it out."""
        place = self._place(field)
        return self._unpack(layout, place) if place else 0

    def numbers(self, field: int, dtype: str) -> tuple:
        """The elements of a vector of numbers, as NumPy names them."""
        if not (place := self._place(field)):
            return ()
        start = self._follow(place)
        return tuple(np.frombuffer(self._content, dtype, self._unpack("<I", start), start + 4).tolist())

    def raw(self, field: int) -> bytes:
        """The bytes of a vector of bytes, or of a string."""
        if not (place := self._place(field)):
            return b""
        start = self._follow(place)
        return self._content[start + 4 : start + 4 + self._unpack("<I", start)]

    def text(self, field: int) -> str:
        return self.raw(field).decode()

    def vector_length(self, field: int) -> int:
        """How many elements a vector has."""
        place = self._place(field)
        return self._unpack("<I", self._follow(place)) if place else 0

    def table(self, field: int) -> "Table | None":
        """The table that a field refers to."""
        place = self._place(field)
        return Table(self._content, self._follow(place)) if place else None

    def tables(self, field: int) -> list["Table"]:
        """The elements of a vector of tables."""
        if not (place := self._place(field)):
            return []
        start = self._follow(place)
        elements = range(start + 4, start + 4 + 4 * self._unpack("<I", start), 4)
        return [Table(self._content, self._follow(element)) for element in elements]

    def _place(self, field: int) -> int | None:
        entry = 4 + 2 * field
        offset = self._unpack("<H", self._vtable + entry) if entry < self._vtable_bytes else 0
        return self._position + offset if offset else None

    def _follow(self, place: int) -> int:
        return place + self._unpack("<I", place)

    def _unpack(self, layout: str, position: int) -> int:
        return struct.unpack_from(layout, self._content, position)[0]
