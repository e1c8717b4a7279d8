"""Program: unpack and list what a batch waits for, then have models answer. `python -m core.inference.batch_job FOLDER`

Each answer is kept as it comes: where the job is cancelled or killed, the next one goes on from there.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from core import jobs
from core.data.archives import unpack
from core.data.uploads import forget_upload
from core.data.walk import IMAGE_SUFFIXES, IntakeStopped, find_images, path_digest
from core.errors import InputError
from core.files import read_json
from core.inference import batches
from core.inference.batches import Batch, Item
from core.inference.classifier import open_classifier
from core.jobs import StatusWriter
from core.wording import count
from core.workspace import Workspace


class Cancelled(Exception):
    """Somebody asked the job to end."""


def main(folder: Path) -> int:
    """Carry out the job; gives the exit status."""
    batch = Batch(folder.name, folder)

    def work(status: StatusWriter) -> str:
        models = {model: Path(bundle) for model, bundle in (read_json(batch.job / batches.REQUEST) or {}).items()}
        for source in batch.waiting():
            look_into(batch, source, status)
        classifiers = [(model, open_classifier(bundle)) for model, bundle in models.items()]
        asked = [(model, one, batches.unanswered(batch, model, one.bundle.folder)) for model, one in classifiers]
        total, done, began = sum(len(items) for *_, items in asked), 0, time.monotonic()

        def answered(number: int) -> None:
            nonlocal done
            done += number
            if status.stop_requested:
                raise Cancelled(f"Cancelled; {count(done, 'answer')} came before that.")
            rate = done / max(1e-9, time.monotonic() - began)
            status.progress(done, total, unit="images", rate=rate, eta_s=(total - done) / max(1e-9, rate))

        status.update(phase="classifying", message="Classifying.")
        for model, classifier, items in asked:
            batches.answer(batch, model, classifier, items, answered)
        return f"{count(total, 'answer')} given."

    return jobs.carry_out(batch.job, work, (Cancelled, IntakeStopped), "Classifying")


def look_into(batch: Batch, source: dict[str, str], status: StatusWriter) -> None:
    """Unpack an archive or list a folder, and add its images to the batch; what is refused is named.

    An archive or a folder that cannot be used at all becomes one item that says why.
    """
    ((kind, place),) = source.items()
    path = Path(place)
    try:
        if kind == "archive":
            status.update(phase="unpacking", message=f"Unpacking {path.name}.", done=0, total=0)
            added = _unpacked(batch, path, status)
        else:
            status.update(phase="listing", message=f"Listing the images in {path}.", done=0, total=0)
            found = find_images(
                path, lambda number: status.progress(number, 0, unit="images"), lambda: status.stop_requested
            )
            added = [Item(name, os.path.join(path, name)) for name in found.images]
            added += [Item(str(path), str(path), note) for note in found.notes]
            if not added:
                added = [Item(str(path), str(path), "There are no images in this folder.")]
    except IntakeStopped:
        raise
    except (InputError, OSError) as error:
        added = [Item(path.name, str(path), str(error))]
    known = {item.path for item in batch.items()}  # a folder may have been given twice
    batches.add_items(batch, [item for item in added if item.path not in known])
    batches.waiting_done(batch, source)
    if kind == "archive":
        forget_upload(Workspace.default(), place)


def _unpacked(batch: Batch, archive: Path, status: StatusWriter) -> list[Item]:
    into = batch.folder / "archives" / path_digest(archive)
    shutil.rmtree(into, ignore_errors=True)  # what one that was cancelled has left
    taken = unpack(
        archive,
        into,
        on_progress=lambda done, total: status.progress(done, total, unit="bytes"),
        should_stop=lambda: status.stop_requested,
    )
    found = find_images(into).images
    items = [Item(name, str((into / name).relative_to(batch.folder))) for name in found]
    items += [Item(name, f"{archive}/{name}", fault) for name, fault in taken.refused]
    others = {suffix: number for suffix, number in taken.ignored.items() if suffix not in IMAGE_SUFFIXES}
    if others:
        left_out = ", ".join(f"{count(number)} {suffix}" for suffix, number in sorted(others.items()))
        items.append(Item(archive.name, str(archive), f"Files that are no images are left out: {left_out}."))
    return items


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
