"""The nearest images by angle, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from core.data.neighbours import NEIGHBOURS, nearest, write_neighbours
from core.errors import DarkroomError, InputError
from core.workspace import Workspace

# At 0, 90, 10 and 180 degrees; lengths do not count.
ANGLES, LENGTHS = np.radians([0, 90, 10, 180]), np.array([1, 5, 0.01, 3])
HASHES = np.array([2**63 + 5, 7, 3, 11], np.uint64)  # not in order, and beyond what a signed number holds


@pytest.fixture
def stored(workspace: Workspace) -> Workspace:
    folder = workspace.analysis("some")
    folder.mkdir(parents=True)
    write_neighbours(folder, HASHES, np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1) * LENGTHS[:, None])
    return workspace


def test_the_nearest_come_first_with_their_distance(stored: Workspace) -> None:
    found = nearest(stored, "some", f"{2**63 + 5:016x}", k=3)
    assert found is not None
    assert [int(one.content_hash, 16) for one in found] == [3, 7, 11]
    assert [one.distance for one in found] == pytest.approx([1 - np.cos(np.radians(10)), 1, 2], abs=0.005)
    assert [one.content_hash for one in nearest(stored, "some", f"{7:016x}", k=1) or []] == [f"{3:016x}"]
    assert len(nearest(stored, "some", f"{7:016x}", k=99) or []) == 3


def test_what_is_not_known_is_none_and_what_is_no_hash_is_refused(stored: Workspace) -> None:
    assert nearest(stored, "some", f"{8:016x}") is None
    assert nearest(stored, "another", f"{7:016x}") is None
    for text in ("", "xyz", "f" * 17, "-1"):
        with pytest.raises(InputError):
            nearest(stored, "some", text)


def test_a_damaged_file_is_named(stored: Workspace) -> None:
    (stored.analysis("some") / NEIGHBOURS).write_bytes(b"not a table")
    with pytest.raises(DarkroomError, match="Analyse the dataset again"):
        nearest(stored, "some", f"{7:016x}")


def test_rounding_hardly_moves_a_distance(workspace: Workspace) -> None:
    vectors = np.random.default_rng(0).standard_normal((500, 64))
    folder = workspace.analysis("many")
    folder.mkdir(parents=True)
    write_neighbours(folder, np.arange(500, dtype=np.uint64), vectors)
    found = nearest(workspace, "many", f"{17:016x}", k=499)
    assert found is not None
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    exact = 1 - unit @ unit[17]
    assert [one.distance for one in found] == pytest.approx(
        [exact[int(one.content_hash, 16)] for one in found], abs=0.01
    )
