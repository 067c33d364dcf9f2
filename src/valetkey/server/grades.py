"""The three grades of operators."""

from __future__ import annotations

from typing import Final, Literal, get_args

Grade = Literal["look", "connections", "everything"]
GRADES: Final[tuple[Grade, ...]] = get_args(Grade)
"""Each grade includes those before it."""


def includes(grade: Grade, other: Grade) -> bool:
    """Whether who has `grade` may do what `other` is demanded for."""
    return GRADES.index(grade) >= GRADES.index(other)
