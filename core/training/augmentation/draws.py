"""Which random number of an image decides what; each is uniform in 0..1. See `batching.sampling.Draws`."""

from __future__ import annotations

from enum import IntEnum, auto


class Draw(IntEnum):
    """A column of the table of random numbers: a change switched on or off moves no other change's numbers."""

    FLIP_ACROSS = 0
    FLIP_DOWN = auto()
    SHIFT_ACROSS = auto()
    SHIFT_DOWN = auto()
    ZOOM = auto()
    ANGLE = auto()
    CROP_AREA = auto()
    CROP_ASPECT = auto()
    CROP_ACROSS = auto()
    CROP_DOWN = auto()
    BRIGHTNESS = auto()
    CONTRAST = auto()
    SATURATION = auto()
    HUE = auto()
    FIRST_CHANGE = auto()  # of a policy
    FIRST_STRENGTH = auto()
    FIRST_SIGN = auto()
    SECOND_CHANGE = auto()
    SECOND_STRENGTH = auto()
    SECOND_SIGN = auto()
    ERASE = auto()
    ERASE_AREA = auto()
    ERASE_ASPECT = auto()
    ERASE_ACROSS = auto()
    ERASE_DOWN = auto()


NUM_DRAWS = len(Draw)
