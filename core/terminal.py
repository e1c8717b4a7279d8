"""What the command line shows of work under way: progress on one line of a terminal, nothing where output is a file."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable


def progress_line(what: str, quiet: bool, unit: str = "images") -> Callable[[int, int], None]:
    """Shows done, total and rate on one line of a terminal; silent where standard error is a file."""
    began = time.monotonic()

    def note(done: int, total: int) -> None:
        if sys.stderr.isatty() and not quiet:
            rate = done / max(1e-9, time.monotonic() - began)
            print(
                f"\r{what}: {done:,} of {total:,}, {rate:,.0f} {unit}/s ",
                end="\n" if done == total else "",
                file=sys.stderr,
            )

    return note


def say(options: argparse.Namespace, text: str) -> None:
    """Print, unless the caller wants JSON alone."""
    if not options.json:
        print(text)
