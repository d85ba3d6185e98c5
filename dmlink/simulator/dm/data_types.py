"""Data types: DigitalMicrograph's numbers for pixel types."""

from __future__ import annotations

DATA_TYPES = {
    "int16": 1,
    "float32": 2,
    "complex64": 3,
    "uint8": 6,
    "int32": 7,
    "int8": 9,
    "uint16": 10,
    "uint32": 11,
    "float64": 12,
    "complex128": 13,
}
"""Of images, by NumPy's name."""

RGB = 23
BINARY = 14  # masks; in files only
