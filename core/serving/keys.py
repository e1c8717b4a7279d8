"""API keys: made for one program each, shown once, kept as hashes, revoked by name or id.

A key is 256 random bits, so a plain SHA-256 of it cannot be turned back by trying; a slow hash is for passwords, which
people choose.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from core.errors import DarkroomError, InputError
from core.files import read_json, write_json
from core.workspace import Workspace

_PREFIX = "dk"
_KEY = re.compile(rf"{_PREFIX}_([0-9a-f]{{8}})_([A-Za-z0-9_-]{{43}})")
_MOST_NAME = 60
_MOST_KEYS = 1000


@dataclass(frozen=True)
class Key:
    """A key as it is kept.

    Attributes:
        id: eight hexadecimal digits, also part of the key.
        name: which program has it.
        created: seconds since the epoch.
        hash: SHA-256 of the whole key.
    """

    id: str
    name: str
    created: float
    hash: str


class Keys:
    """The keys of a workspace. Every question looks at the file, so that a key revoked elsewhere is refused at once."""

    def __init__(self, workspace: Workspace) -> None:
        self._path = workspace.api_keys
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    def list(self) -> list[Key]:
        """Oldest first.

        Raises:
            DarkroomError: the file cannot be read, which must not pass for "no keys".
        """
        return sorted(self._read().values(), key=lambda key: (key.created, key.id))

    def create(self, name: str) -> tuple[Key, str]:
        """A new key for a program of that name, and its text, which cannot be had again.

        Raises:
            InputError: the name is empty, too long, taken, or not one line of text.
        """
        name = name.strip()
        if not name or len(name) > _MOST_NAME or not name.isprintable():
            raise InputError(
                f"A key's name is one line of 1 to {_MOST_NAME} letters.", "Name the program that gets it."
            )
        with self._changing():
            keys = self._read()
            if any(key.name == name for key in keys.values()):
                raise InputError(f"There is a key called {name!r} already.", "Revoke it first, or choose another name.")
            if len(keys) >= _MOST_KEYS:
                raise InputError(f"There are {_MOST_KEYS:,} keys.", "Revoke some first.")
            key_id = secrets.token_hex(4)
            text = f"{_PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
            key = Key(key_id, name, time.time(), _hashed(text))
            self._write({**keys, key_id: key})
        return key, text

    def revoke(self, which: str) -> Key:
        """Delete the key of that id or name.

        Raises:
            InputError: there is none.
        """
        with self._changing():
            keys = self._read()
            found = keys.get(which) or next((key for key in keys.values() if key.name == which), None)
            if found is None:
                raise InputError(f"There is no key {which!r}.", "List them with: python -m core keys")
            self._write({key_id: key for key_id, key in keys.items() if key_id != found.id})
        return found

    def accept(self, text: str) -> Key | None:
        """The key whose text this is, or None."""
        match = _KEY.fullmatch(text)
        key = self._read().get(match[1]) if match else None
        return key if key is not None and hmac.compare_digest(key.hash, _hashed(text)) else None

    def __bool__(self) -> bool:
        """Whether there is any key."""
        return bool(self._read())

    def _changing(self) -> FileLock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self._path.with_name(f".{self._path.name}.lock"))

    def _read(self) -> dict[str, Key]:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            self._seen, self._keys = None, {}
            return self._keys
        except OSError as error:
            raise _unreadable(self._path, error) from error
        version = (found.st_mtime_ns, found.st_ino, found.st_size)
        if version != self._seen:
            try:
                rows = [Key(**row) for row in read_json(self._path)["keys"]]
            except (TypeError, KeyError, AttributeError) as error:
                raise _unreadable(self._path, error) from error
            self._keys, self._seen = {key.id: key for key in rows}, version
        return self._keys

    def _write(self, keys: dict[str, Key]) -> None:
        write_json(self._path, {"keys": [asdict(key) for key in keys.values()]})
        os.chmod(self._path, 0o600)
        self._seen = None


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _unreadable(path: Path, error: Exception) -> DarkroomError:
    return DarkroomError(f"The API keys in {path} cannot be read ({error}).", "Restore the file, or delete it.")
