"""What a session remembers and what stands in the address: every key once, with one way to choose by them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

PAGES = Path(__file__).resolve().parent.parent
OVERVIEW, EXPLORE, TRAIN, EVALUATE, CLASSIFY = (
    PAGES / f"{name}.py" for name in ("overview", "explore", "train", "evaluate", "classify")
)

# Query parameters: what a link, a bookmark or a second tab opens.
DATASET, RUN, IMAGE, PENDING = "dataset", "run", "image", "adding"

_CAME_FROM = "came-from"


def choose(label: str, ids: Sequence[str], key: str, show: Callable[[str], str] = str, help: str | None = None) -> str:
    """A select box for a dataset or a run, the same choice on every page.

    The address wins, so that links, reloads and the browser's back button open what they say; without one the
    session's last choice stands, and before that the first id.

    Args:
        ids: at least one, in the order to list them.
        key: the query parameter, also the session's key for the choice.
        show: the label of an id; must differ between ids.
    """
    asked = st.query_params.get(key)
    widget = f"{key}-select"
    remembered = st.session_state.get(f"{key}-choice")
    choice = next((one for one in (asked, remembered) if one in ids), ids[0])
    if asked is not None and asked not in ids:
        st.warning(f"There is no {key} with the id of this address; it may have been removed.", icon=":material/help:")
    st.session_state[widget] = choice

    def picked() -> None:
        st.query_params[key] = st.session_state[widget]

    st.selectbox(label, ids, format_func=show, key=widget, on_change=picked, help=help)
    st.session_state[f"{key}-choice"] = choice
    return choice


def remember(key: str, value: str) -> None:
    """Make `value` the choice of `key` here and on the other pages."""
    st.session_state[f"{key}-choice"] = value
    st.query_params[key] = value


def open_image(dataset_id: str, content_hash: str, page: Path, **query: str) -> None:
    """Go to an image's own view, keeping where its Back button leads."""
    st.session_state[_CAME_FROM] = (str(page), query)
    st.switch_page(EXPLORE, query_params={DATASET: dataset_id, IMAGE: content_hash})


def leave_image(dataset_id: str) -> None:
    """Go back to where the image was opened from; to the dataset's gallery where it was opened by its address."""
    page, query = st.session_state.pop(_CAME_FROM, (str(EXPLORE), {DATASET: dataset_id}))
    st.switch_page(page, query_params=query)
