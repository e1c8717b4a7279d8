"""Stands in for `core.evaluation.explainer_helper` without torch: `hang` is never answered, `die` ends the process."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import asdict

from core.evaluation.explainer import read_frame, write_frame
from core.evaluation.saliency_checks import Scores

if __name__ == "__main__":
    while (frame := read_frame(sys.stdin.buffer)) is not None:
        question, data = frame
        if question["label"] == "hang":
            time.sleep(600)
        if question["label"] == "die":
            print("out of ideas", file=sys.stderr)
            os._exit(3)
        if question["label"] == "odd":
            write_frame(sys.stdout.buffer, {"error": "InputError", "message": "No class.", "fix": "Ask."}, b"")
            continue
        scores = asdict(Scores(0.9, 0.1, 0.2, 0.8, 0.1, 1.0, 1.0, 1.0, 0.0))
        found = {"label": str(os.getpid()), "confidence": 0.9, "fault": "", "way": question["run"], "scores": scores}
        write_frame(sys.stdout.buffer, found, data[::-1])
