"""Which export formats there are; a new one is a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import InputError
from core.exports import int8, mobile, openvino, plain, tensorrt
from core.exports.format import Format

FORMATS: dict[str, Format] = {
    one.key: one for one in (*plain.FORMATS, int8.INT8, *openvino.FORMATS, *mobile.FORMATS, tensorrt.TENSORRT)
}


def open_format(key: str) -> Format:
    """The format of that key.

    Raises:
        InputError: there is none.
    """
    if key not in FORMATS:
        raise InputError(f"There is no export format {key!r}.", f"Choose one of: {', '.join(FORMATS)}.")
    return FORMATS[key]


def complete(chosen: Format, options: Mapping[str, Any]) -> dict[str, Any]:
    """The format's options, with the default where nothing is given; text is read as the kind of value it stands for.

    Raises:
        InputError: an option that the format does not have, or a value that it does not offer.
    """
    known = {choice.name: choice for choice in chosen.choices}
    if unknown := sorted(set(options) - set(known)):
        offered = f"It has: {', '.join(known)}." if known else "It has none."
        raise InputError(f"{chosen.name} has no option {', '.join(unknown)}.", offered)
    found: dict[str, Any] = {}
    for name, choice in known.items():
        given = options.get(name, choice.values[0])
        value = next((one for one in choice.values if str(one) == str(given)), None)
        if value is None:
            offered = ", ".join(map(str, choice.values))
            raise InputError(f"{name} of {chosen.name} cannot be {given!r}.", f"Choose one of: {offered}.")
        found[name] = value
    return found
