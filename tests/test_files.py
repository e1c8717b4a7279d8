"""A file is the old one or the new one, whatever happens in between."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from core.errors import DarkroomError, InputError
from core.files import append_jsonl, csv_bytes, read_json, read_jsonl, slug, tail_text, write_bytes, write_json
from core.workspace import REPOSITORY, Workspace


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    """In a process in which no file may grow beyond so many bytes, writing fails as it does on a full disk."""
    path = tmp_path / "a.json"
    write_json(path, {"n": 1})
    code = (
        "import sys; from pathlib import Path; from core.files import write_bytes;"
        "write_bytes(Path(sys.argv[1]), b'x' * 9999)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=REPOSITORY,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 1 and "DiskFull: The disk is full" in done.stderr
    assert read_json(path) == {"n": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_missing_folder_is_told_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(DarkroomError, match="nowhere"):
        write_bytes(tmp_path / "nowhere" / "a", b"x")


def test_an_unfinished_last_line_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    assert read_jsonl(path) == []
    append_jsonl(path, {"epoch": 1})
    with open(path, "ab") as stream:
        stream.write(b'{"epoch": 2')
    assert read_jsonl(path) == [{"epoch": 1}]


def test_damaged_json_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DarkroomError, match="a.json"):
        read_json(tmp_path / "a.json")
    assert read_json(tmp_path / "missing.json") is None


def test_the_tail_of_a_log_starts_at_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("".join(f"line {n}\n" for n in range(1000)))
    tail = tail_text(path, 100)
    assert tail.startswith("line ") and tail.endswith("line 999\n") and len(tail) <= 100
    assert tail_text(tmp_path / "none") == ""


@pytest.mark.parametrize(("text", "expected"), [("Dogs & Cats", "dogs-cats"), ("图片", "unnamed"), ("../x", "x")])
def test_slugs_are_safe_in_paths(text: str, expected: str) -> None:
    assert slug(text) == expected


@pytest.mark.parametrize("name", ["../runs", "a/b", "", ".hidden", "a..b", "x\0y"])
def test_ids_cannot_leave_the_workspace(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        Workspace(tmp_path).run(name)


def test_a_spreadsheet_computes_nothing_it_is_given() -> None:
    table = pd.DataFrame(
        {
            "label": ["=1+1", "+49", "-x", "@SUM(A1)", "\tcmd", "cat", None],
            "kind": pd.Categorical(["=a", "b", "b", "b", "b", "b", "b"]),
            "difference": [-1.5, 2, 3, 4, 5, 6, None],
            "=head": [1] * 7,
        }
    )
    text = csv_bytes(table).decode("utf-8-sig")
    header, *lines = text.splitlines()
    assert header == "label,kind,difference,'=head"
    assert lines[0] == "'=1+1,'=a,-1.5,1" and lines[5] == "cat,b,6.0,1" and lines[6] == ",b,,1"
    assert [line[:2] for line in lines[1:4]] == ["'+", "'-", "'@"] and "'\tcmd" in text
    assert table["label"][0] == "=1+1", "the table that came in was changed"
