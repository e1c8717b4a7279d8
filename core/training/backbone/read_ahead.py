"""Images decoded in threads before they are asked for, while the network is still being made ready."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np

from core.onnx_runtime import num_cores
from core.training.batching.images import DECODE_THREADS, Images, fits_in_memory

MOST_WAITING, SHARE = 2**30, 0.25  # bytes of decoded images that may wait, where they are a quarter of what is free


class ReadAhead:
    """The pixels of several splits, one after the other, decoded from the moment this is made.

    Use as a context manager, so that an error elsewhere ends the decoding.
    """

    def __init__(self, splits: list[Images]) -> None:
        self._splits = [images for images in splits if len(images)]
        self._todo = iter([(images, index) for images in splits for index in range(len(images))])
        # No more than cores: torch is being loaded meanwhile, and each thread that wants the lock keeps it waiting.
        self._pool = ThreadPoolExecutor(min(DECODE_THREADS, num_cores()), thread_name_prefix="decode")
        self._waiting: deque[Future[np.ndarray]] = deque()
        size = max((images.spec.size for images in splits), default=1)
        waiting = MOST_WAITING if fits_in_memory(MOST_WAITING, SHARE) else MOST_WAITING // 16
        for _ in range(max(1, waiting // (size * size * 3))):
            if not self._submit():
                break

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the decoding; what was decoded and not asked for is let go."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._waiting.clear()

    def reads(self, splits: list[Images]) -> bool:
        """Whether these are the splits it was made for, and none was asked for yet."""
        asked = [images for images in splits if len(images)]
        return len(asked) == len(self._splits) and all(
            one.gives_the_pixels_of(other) for one, other in zip(asked, self._splits, strict=True)
        )

    def batches(self, images: Images, batch_size: int) -> Iterator[np.ndarray]:
        """Pixels of a split in order, uint8 (n, size, size, 3); splits must be asked for in the order given.

        Raises:
            DarkroomError: a file can no longer be read.
        """
        assert self._splits and self._splits[0].gives_the_pixels_of(images)
        self._splits = self._splits[1:]
        for start in range(0, len(images), batch_size):
            count = min(batch_size, len(images) - start)
            yield np.stack([self._next() for _ in range(count)])

    def _next(self) -> np.ndarray:
        pixels = self._waiting.popleft().result()
        self._submit()
        return pixels

    def _submit(self) -> bool:
        following = next(self._todo, None)
        if following is not None:
            images, index = following
            self._waiting.append(self._pool.submit(images.read, index))
        return following is not None
