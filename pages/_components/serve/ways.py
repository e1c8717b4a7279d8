"""The commands and programs of Serve, made for the address this visitor sees."""

from __future__ import annotations

from dataclasses import fields
from urllib.parse import urlsplit

import streamlit as st

from core.runs.store import Run
from core.serving import snippets
from core.serving.clients import is_loopback
from core.serving.limits import Limits
from pages._components import keys

WAYS = ("curl", "Python", "On its own", "Prometheus")
_HERE = "http://127.0.0.1:8501"  # where no browser says


def address() -> str:
    """The address of this server as the visitor's browser has it, without a slash at its end."""
    seen = urlsplit(st.context.url or _HERE)
    return f"{seen.scheme}://{seen.netloc}{seen.path.rpartition('/')[0]}"


def draw_warning(url: str, with_key: bool) -> None:
    """Say so where keys could be read on their way."""
    seen = urlsplit(url)
    if with_key and seen.scheme == "http" and not is_loopback(seen.hostname or ""):
        st.warning(
            "This address is plain HTTP: whoever is on the way can read the images and the key. Put a proxy with a "
            "certificate before it.",
            icon=":material/lock_open:",
        )


def draw_ways(run: Run, url: str, with_key: bool) -> None:
    """One of them, ready to paste."""
    way = st.segmented_control("Ask by", WAYS, required=True, **keys.linked(keys.VIEW, keys.one_of(WAYS), WAYS[0]))
    if way == "curl":
        st.code(snippets.curl(url, run.id, with_key), language="bash", wrap_lines=True)
    elif way == "Python":
        st.code(snippets.python(url, run.id, with_key), language="python")
    elif way == "Prometheus":
        st.code(snippets.prometheus(url, with_key), language="yaml")
    else:
        st.caption("A server with this model and no dashboard, which starts in seconds; Ctrl-C ends it.")
        st.code(snippets.alone(run.id), language="bash", wrap_lines=True)
    if with_key and way in ("curl", "Python"):
        st.caption("The key is read from the environment: `export DARKROOM_API_KEY=...`")


def draw_limits() -> None:
    """What one server takes."""
    usual = Limits()
    with st.expander("What is taken, at most", icon=":material/speed:"):
        st.dataframe(
            [{"Limit": limit.metadata["help"], "At most": getattr(usual, limit.name)} for limit in fields(Limits)],
            hide_index=True,
            height="content",
        )
        st.caption(
            "Beyond what can wait, requests are answered 429 with the seconds after which to come again. "
            "`python -m core serve` takes other limits as flags."
        )
