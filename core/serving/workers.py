"""The threads that read images and classify them: one a core, each doing whichever of the two is most needed now.

A network run by one thread answers more images a second, summed over all threads, than one network run by all threads
together, which wait for each other after each layer. Images that are waiting, of whichever request, are answered in
one call; nobody waits for a call to fill up.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from core.errors import ImageReadError
from core.inference.classifier import Answer, Classifier
from core.onnx_runtime import num_cores
from core.preprocess import PreprocessSpec, open_image, read_pixels
from core.serving.admission import busy
from core.serving.counters import Counters
from core.serving.limits import Limits, Refused
from core.serving.receiving import Upload

MOST_TOGETHER = 8  # images a call of the network; more of them leave the processor's cache and take longer each
_LARGE = 16_000_000  # pixels from which images are read one at a time, as each takes hundreds of megabytes
_log = logging.getLogger("darkroom")


class Asked:
    """The images of one request, answered one by one; the last answer wakes who waits for them."""

    def __init__(self, classifier: Classifier, num_images: int) -> None:
        self.classifier = classifier
        self.given_up = False
        self._answers: list[Answer | None] = [None] * num_images
        self._left = num_images
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[list[Answer | None]] = self._loop.create_future()

    async def answers(self, timeout_s: float) -> list[Answer]:
        """All of them in order; raises `TimeoutError`, or what went wrong."""
        try:
            found = await asyncio.wait_for(self._done, timeout_s)
        finally:
            self.given_up = True  # whatever is still waiting is not needed any more
        assert all(answer is not None for answer in found)
        return found  # type: ignore[return-value]

    def put(self, place: int, answer: Answer) -> None:
        """From any thread: an image's answer."""
        with self._lock:
            self._answers[place] = answer
            self._left -= 1
            last = self._left == 0
        if last:
            self._wake(None)

    def fail(self, error: Exception) -> None:
        """From any thread: there will be no answer."""
        self._wake(error)

    def _wake(self, error: Exception | None) -> None:
        def wake() -> None:
            if self._done.done():
                return
            if error is None:
                self._done.set_result(self._answers)
            else:
                self._done.set_exception(error)

        try:
            self._loop.call_soon_threadsafe(wake)
        except RuntimeError:  # the loop has ended, and so has everybody who waited
            pass


@dataclass(eq=False)
class _Image:
    upload: Upload
    place: int
    asked: Asked
    pixels: np.ndarray | None = None


class Workers:
    """The threads, and the images that wait for them."""

    def __init__(self, limits: Limits, counters: Counters, num_threads: int = 0) -> None:
        """
        Args:
            num_threads: 0 for as many as there are cores for this process.
        """
        self._limits, self._counters = limits, counters
        self._num_threads = num_threads or num_cores()
        self._threads: list[threading.Thread] = []
        self._change = threading.Condition()
        self._unread: deque[_Image] = deque()
        self._read: deque[_Image] = deque()
        self._one_large = threading.Lock()
        self._closed = False
        self._reading_s, self._answering_s = 0.0, 0.0  # what an image takes one thread, lately; 0 before the first
        self.waiting = 0  # images asked for and not answered yet

    def ask(self, classifier: Classifier, uploads: Sequence[Upload]) -> Asked:
        """Have these images classified; to be called in an event loop.

        Raises:
            Refused: 429, the queue is full, or so slow that the answer would come too late.
        """
        with self._change:
            wait_s = self._wait_s(len(uploads))
            if self.waiting and (
                self.waiting + len(uploads) > self._limits.queue or self._wait_s(0) > self._limits.answer_s
            ):
                raise busy(f"{self.waiting} images are waiting.", wait_s)
            while len(self._threads) < self._num_threads:
                self._threads.append(threading.Thread(target=self._work, name="classify", daemon=True))
                self._threads[-1].start()
            asked = Asked(classifier, len(uploads))
            self.waiting += len(uploads)
            self._unread.extend(_Image(upload, place, asked) for place, upload in enumerate(uploads))
            self._change.notify(len(uploads))
        return asked

    def too_slow(self) -> Refused:
        """The refusal of a request whose answer took longer than it may."""
        with self._change:
            return busy(f"There was no answer within {self._limits.answer_s:g} s.", self._wait_s(1))

    def close(self) -> None:
        """Let the threads end once nothing is waiting."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join()

    def _wait_s(self, more: int) -> float:
        return (self.waiting + more) * (self._reading_s + self._answering_s) / self._num_threads

    def _work(self) -> None:
        while (images := self._next()) is not None:
            began = time.perf_counter()
            if images[0].pixels is None:
                self._read_one(images[0])
                self._reading_s = _lately(self._reading_s, time.perf_counter() - began)
            else:
                self._classify(images)
                self._answering_s = _lately(self._answering_s, (time.perf_counter() - began) / len(images))
            del images  # while there is nothing to do, nothing is held

    def _next(self) -> list[_Image] | None:
        """What to do now: one image to read, or some that were read to classify; None where there is an end to it."""
        with self._change:
            while not self._unread and not self._read:
                if self._closed:
                    return None
                self._change.wait()
            if self._unread and len(self._read) < MOST_TOGETHER:
                images = [self._unread.popleft()]
            else:
                images = self._together()
            if self._unread or self._read:
                self._change.notify()
            return images

    def _together(self) -> list[_Image]:
        """The image that was read first and others for the same model, but leave some for the other threads."""
        share = MOST_TOGETHER if self._unread else -(-len(self._read) // self._num_threads)
        classifier = self._read[0].asked.classifier
        same = [image for image in self._read if image.asked.classifier is classifier]
        taken = same[: min(share, MOST_TOGETHER)]
        self._read = deque(image for image in self._read if image not in taken)
        return taken

    def _read_one(self, image: _Image) -> None:
        asked, upload = image.asked, image.upload
        try:
            if not asked.given_up:
                image.pixels = self._pixels(upload.data, asked.classifier.spec)
        except ImageReadError as error:
            asked.put(image.place, Answer(upload.name, None, None, [], str(error)))
        except Exception as error:  # a fault of ours: the thread goes on for the others
            _log.exception("Reading an image failed.")
            asked.fail(error)
        with self._change:
            if image.pixels is None:
                self.waiting -= 1
            else:
                self._read.append(image)

    def _pixels(self, data: bytes, spec: PreprocessSpec) -> np.ndarray:
        image = open_image(data)
        num_pixels = image.width * image.height
        if num_pixels > self._limits.pixels:
            raise ImageReadError(
                f"Too large: {image.width:,} x {image.height:,} pixels, where {self._limits.megapixels:g} million are "
                "allowed."
            )
        with self._one_large if num_pixels > _LARGE else nullcontext():
            return read_pixels(image, spec)

    def _classify(self, images: list[_Image]) -> None:
        wanted = [image for image in images if not image.asked.given_up]
        try:
            if wanted:
                pixels = np.stack([image.pixels for image in wanted if image.pixels is not None])
                names = [image.upload.name for image in wanted]
                for image, answer in zip(wanted, wanted[0].asked.classifier.answers(pixels, names), strict=True):
                    image.asked.put(image.place, answer)
                self._counters.images_together.observe(len(wanted))
        except Exception as error:
            _log.exception("Classifying failed.")
            for image in wanted:
                image.asked.fail(error)
        finally:
            with self._change:
                self.waiting -= len(images)


def _lately(mean: float, value: float) -> float:
    """A running mean that follows what changes."""
    return mean + 0.1 * (value - mean) if mean else value
