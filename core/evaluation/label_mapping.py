"""Which of a model's classes the labels of another dataset mean: guessed from their names, corrected by the user."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence

from core.errors import InputError

LabelMapping = dict[str, str | None]  # None: images of that label are left out
_ENDINGS = ("es", "s")  # of plurals; enough for `dogs` and `boxes`


def guess_mapping(labels: Iterable[str], classes: Sequence[str]) -> LabelMapping:
    """Each label's class: of the same name, or of one that differs in case, marks, blanks or a plural's ending only.

    A name that several classes would fit that way is not guessed: better no answer than the wrong one.
    """
    readings: tuple[Callable[[str], str], ...] = (str, _plain, _singular)
    known = [_only_one(classes, reading) for reading in readings]
    return {
        label: next(
            (
                names[found]
                for names, reading in zip(known, readings, strict=True)
                if (found := reading(label)) in names
            ),
            None,
        )
        for label in labels
    }


def checked_mapping(given: Mapping[str, str | None], labels: Iterable[str], classes: Sequence[str]) -> LabelMapping:
    """What the user says, in place of what was guessed for the same labels; "" and None leave a label out.

    Raises:
        InputError: a label the dataset does not have, a class the model does not know, or nothing left.
    """
    mapping = guess_mapping(labels, classes)
    if strangers := sorted(set(given) - set(mapping)):
        raise InputError(f"The dataset has no label {strangers[0]!r}.", f"It has: {_some(list(mapping))}.")
    if unknown := sorted({name for name in given.values() if name} - set(classes)):
        raise InputError(f"The model knows no class {unknown[0]!r}.", f"It knows: {_some(classes)}.")
    mapping |= {label: name or None for label, name in given.items()}
    if not any(mapping.values()):
        raise InputError(
            "None of the dataset's labels is one of the model's classes.",
            f"Say which class each label means. The model knows: {_some(classes)}.",
        )
    return mapping


def _only_one(classes: Sequence[str], reading: Callable[[str], str]) -> dict[str, str]:
    """Classes by what `reading` makes of their names, those it cannot tell apart left out."""
    found: dict[str, list[str]] = {}
    for name in classes:
        found.setdefault(reading(name), []).append(name)
    return {key: names[0] for key, names in found.items() if len(names) == 1}


def _plain(name: str) -> str:
    bare = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    return re.sub(r"[\W_]+", " ", bare.casefold()).strip() or name


def _singular(name: str) -> str:
    plain = _plain(name)
    ending = next((one for one in _ENDINGS if plain.endswith(one) and len(plain) > len(one) + 2), "")
    return plain.removesuffix(ending)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
