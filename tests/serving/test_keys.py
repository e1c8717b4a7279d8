"""Keys are shown once, kept as hashes and refused as soon as they are revoked."""

from __future__ import annotations

import stat

import pytest

from core.errors import DarkroomError, InputError
from core.serving.keys import Keys
from core.workspace import Workspace
from tests.running import in_process


def test_a_key_is_accepted_until_it_is_revoked_by_whoever(workspace: Workspace) -> None:
    keys, elsewhere = Keys(workspace), Keys(workspace)
    assert not keys and keys.list() == [] and keys.accept("dk_00000000_" + 43 * "a") is None
    key, text = keys.create(" camera ")
    other, other_text = elsewhere.create("shop")
    assert keys.accept(text) == elsewhere.accept(text) == key and key.name == "camera"
    assert [one.name for one in keys.list()] == ["camera", "shop"] and keys
    for wrong in (
        "",
        text[:-1],
        text + "a",
        text.swapcase(),
        f"dk_{key.id}_{other_text[12:]}",
        f"{text}\n",
        other.hash,
    ):
        assert keys.accept(wrong) is None
    assert elsewhere.revoke("camera") == key
    assert keys.accept(text) is None and keys.accept(other_text) == other
    keys.revoke(other.id)
    assert not elsewhere


def test_only_the_hash_is_kept_and_only_its_owner_reads_it(workspace: Workspace) -> None:
    key, text = Keys(workspace).create("camera")
    kept = workspace.api_keys.read_text()
    assert text not in kept and text.rpartition("_")[2] not in kept and key.hash in kept
    assert stat.S_IMODE(workspace.api_keys.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "two\nlines", "taken"])
def test_a_name_that_cannot_be(workspace: Workspace, name: str) -> None:
    Keys(workspace).create("taken")
    with pytest.raises(InputError):
        Keys(workspace).create(name)


@pytest.mark.parametrize("text", ["", "{}", '{"keys": [{"id": 1}]}', "[]", '{"keys": null}'])
def test_a_damaged_file_is_not_taken_for_no_keys(workspace: Workspace, text: str) -> None:
    Keys(workspace).create("camera")
    workspace.api_keys.write_text(text)
    with pytest.raises(DarkroomError):
        bool(Keys(workspace))


def test_the_verb_creates_lists_and_revokes(workspace: Workspace) -> None:
    made = in_process("keys", "create", "camera", "--json")
    assert made.status == 0 and Keys(workspace).accept(made.result["key"]) is not None
    listed = in_process("keys", "--json").result["keys"]
    assert [row["name"] for row in listed] == ["camera"] and "hash" not in listed[0] and "key" not in listed[0]
    assert in_process("keys", "revoke", "nobody").status == 2 and in_process("keys", "create").status == 2
    assert in_process("keys", "revoke", "camera").status == 0 and not Keys(workspace)
