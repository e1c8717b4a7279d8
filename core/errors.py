"""What went wrong, in words meant for the person who can fix it."""

from __future__ import annotations


class DarkroomError(Exception):
    """A failure with a cause and a next step; pages and the CLI show its text, never a traceback.

    Args:
        message: what happened, naming the thing it happened to.
        fix: what to do about it, as a sentence; empty where the message already says so.
    """

    exit_status = 1

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(f"{message} {fix}".strip())
        self.message = message
        self.fix = fix


class InputError(DarkroomError):
    """What the user asked for cannot work as asked (CLI exit status 2)."""

    exit_status = 2


class DiskFull(DarkroomError):
    """A file could not be written for want of space."""


class MemoryTooSmall(DarkroomError):
    """What was asked for needs more memory than there is."""


class DataMoved(InputError):
    """Images that were there when the dataset was read are not there now, or are others."""


class WeightsUnreachable(InputError):
    """Weights to start from are neither on this machine nor to be had."""


class ImageReadError(DarkroomError):
    """One image could not be read; others are unaffected."""
