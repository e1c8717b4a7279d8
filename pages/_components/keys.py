"""What a session remembers and what stands in the address: every key once, with one way to choose by them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st

from core.data.filters import PARAMETERS, Filters

T = TypeVar("T")

PAGES = Path(__file__).resolve().parent.parent
OVERVIEW, EXPLORE, TRAIN, RUNS, EVALUATE, COMPARE, CLASSIFY = (
    PAGES / f"{name}.py" for name in ("overview", "explore", "train", "runs", "evaluate", "compare", "classify")
)
SWEEPS = PAGES / "sweeps.py"
EXPORT = PAGES / "export.py"
SERVE = PAGES / "serve.py"

# Query parameters: what a link, a bookmark or a second tab opens.
DATASET, RUN, IMAGE, PENDING = "dataset", "run", "image", "adding"
VIEW, CLASS, PAGE, TRUE, PREDICTED = "view", "class", "page", "true", "predicted"
PLAN = "plan"
SWEEP, FIGURE, AXIS = "sweep", "figure", "axis"  # of Sweeps
SETTING_UP, RESULTS = "Set up", "Results"  # its views
PLANNING, WATCHING = "Plan", "Runs"  # the views of Train
SORT, FALLING, PAGE_SIZE, CHARTS, AGAINST = "sort", "falling", "size", "charts", "against"
CLASSES_PAGE, REFUSED_PAGE = "classes-page", "refused-page"
CHECK, THRESHOLD = "check", "threshold"
PART = "part"  # of the test images
ORDER, BESIDE = "order", "beside"  # of Mistakes
BATCH, WITH = "batch", "with"  # of Classify: its images, and the second model
COLUMNS, CLONE = "columns", "clone"  # of Runs; on Train, the run whose settings to begin with
COMPARED, OF, PART, SERIES = "runs", "of", "part", "series"  # of Compare
METRIC, SMOOTHING, BY, FLIPS = "metric", "smoothing", "by", "flips"
FORMAT = "format"  # of Export

ADDING = "adding-left"  # session: whether an addition was begun and left
_CAME_FROM, _WRITTEN = "came-from", "written-address"
_AT, _LEFT = "page-at", "explore-left"  # the page drawn last; how Explore was left: (its address, the dataset)


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
        st.warning(
            f"There is no {key} with the id of this address to show here: it was removed, or has not come so far yet.",
            icon=":material/help:",
        )
    st.session_state[widget] = choice

    def picked() -> None:
        write(key, st.session_state[widget])
        _start_over(*PARAMETERS, IMAGE, PAGE, CLASSES_PAGE, REFUSED_PAGE, AGAINST, TRUE, PREDICTED)

    st.selectbox(label, ids, format_func=show, key=widget, on_change=picked, help=help)
    st.session_state[f"{key}-choice"] = choice
    return choice


def linked(key: str, read: Callable[[str], T | None], default: T) -> dict[str, Any]:
    """Arguments that tie a widget to the address: `st.pagination(9, **linked("page", page_number(9), 1))`.

    Streamlit's own `bind="query-params"` is not used, as no link within the page could set a parameter bound so.

    Args:
        key: the query parameter.
        read: from the parameter's text to a value of the widget, None where it is not one.
        default: the value without a parameter, which it takes out of the address again.
    """
    widget = f"{key}-linked"
    asked = st.query_params.get(key)
    value = None if asked is None else read(asked)
    st.session_state[widget] = default if value is None else value

    def changed() -> None:
        now = st.session_state[widget]
        write(key, None if now == default else str(now))
        if key != PAGE:
            _start_over(PAGE)

    return {"key": widget, "on_change": changed}


def filters() -> Filters:
    """The filters that the address asks for."""
    return Filters.from_query(st.query_params)


def change_filters(change: Callable[[Filters], Filters]) -> None:
    """From a callback: put the filters as changed into the address."""
    catch_up()
    write_filters(change(filters()))


def write_filters(wanted: Filters) -> None:
    """Put filters into the address in place of those it has; what is listed starts over at its first page."""
    query = wanted.to_query()
    for parameter in PARAMETERS:
        write(parameter, query.get(parameter))
    _start_over(PAGE, CLASSES_PAGE)


def show_images(change: Callable[[Filters], Filters]) -> None:
    """From a callback: change the filters and go to Explore's images."""
    change_filters(change)
    write(VIEW, None)


def _start_over(*parameters: str) -> None:
    """What is listed has changed, so these are no longer about it."""
    for parameter in parameters:
        write(parameter, None)


def write(parameter: str, value: str | None) -> None:
    """Put a parameter into the address, or take it out; in such a way that no click on its way can undo it."""
    st.session_state.setdefault(_WRITTEN, {})[parameter] = value
    catch_up()
    _note_address()


def catch_up() -> None:
    """Put back what earlier clicks wrote into the address; for callbacks, where `write` is not called anyway.

    With each click the browser sends the address it shows. A second click soon after the first comes with the address
    of before the first, which would undo it.
    """
    for parameter, value in st.session_state.get(_WRITTEN, {}).items():
        if value is None:
            st.query_params.pop(parameter, None)
        else:
            st.query_params[parameter] = value


def heed_address() -> None:
    """A visit's address says what to show: forget what earlier clicks wrote where it says otherwise."""
    written = st.session_state.get(_WRITTEN, {})
    st.session_state[_WRITTEN] = {
        parameter: value for parameter, value in written.items() if st.query_params.get(parameter) == value
    }


def arrive(page: str) -> None:
    """For the entry script, before it draws a page: Explore is shown as it was left, filters and view included.

    That is where a visit to another page ends by Explore's plain link. An address that says anything is heeded, and
    where another dataset was chosen meanwhile what was left says nothing about it.

    Args:
        page: its name in the address.
    """
    came_from, st.session_state[_AT] = st.session_state.get(_AT), page
    dataset = st.session_state.get(f"{DATASET}-choice")
    if page != EXPLORE.stem:
        if came_from == EXPLORE.stem:
            st.session_state[_LEFT] = (st.session_state.get(_LEFT, ({}, ""))[0], dataset)
        return
    address, of_dataset = st.session_state.get(_LEFT, ({}, ""))
    if came_from != page and of_dataset == dataset and not st.query_params:
        for parameter, value in address.items():
            write(parameter, value)
    _note_address()


def _note_address() -> None:
    """Where Explore is drawn: what its address says, but for an image that is looked at."""
    if st.session_state.get(_AT) == EXPLORE.stem:
        here = {name: value for name, value in st.query_params.to_dict().items() if name != IMAGE}
        st.session_state[_LEFT] = (here, "")


def one_of(options: Collection[str]) -> Callable[[str], str | None]:
    """Reader for `linked`: one of the options."""
    return lambda text: text if text in options else None


def page_number(num_pages: int) -> Callable[[str], int | None]:
    """Reader for `linked`: a page number from 1."""
    return lambda text: int(text) if text.isdecimal() and 1 <= int(text) <= num_pages else None


def page_of(num_rows: int, rows_a_page: int, key: str) -> int:
    """The page a long list is at, from 1; draws the pages to choose from where there are more than one."""
    num_pages = max(1, -(-num_rows // rows_a_page))
    return st.pagination(num_pages, **linked(key, page_number(num_pages), 1)) if num_pages > 1 else 1


def remember(key: str, value: str) -> None:
    """Make `value` the choice of `key` here and on the other pages."""
    prefer(key, value)
    write(key, value)


def prefer(key: str, value: str) -> None:
    """Make `value` the choice of `key` where the address names none."""
    st.session_state[f"{key}-choice"] = value


def open_image(dataset_id: str, image: str, page: Path) -> None:
    """Go to an image's own view, keeping what its Back button leads to: `page` as it stands now.

    Args:
        image: its path in the dataset, or the hash of its content.
    """
    here = st.query_params.to_dict()
    st.session_state[_CAME_FROM] = (image, str(page), here)
    kept = here if page == EXPLORE else {}
    st.switch_page(EXPLORE, query_params={**kept, DATASET: dataset_id, IMAGE: image})


def turn_to_image(shown: str, image: str) -> None:
    """From a callback in an image's view: show another one, with the same way back."""
    opened, page, query = st.session_state.get(_CAME_FROM, ("", "", {}))
    if opened == shown:
        st.session_state[_CAME_FROM] = (image, page, query)
    write(IMAGE, image)


def leave_image(dataset_id: str, image: str) -> None:
    """Go back to where the image was opened from; to the dataset's gallery where it was opened by its address."""
    opened, page, query = st.session_state.pop(_CAME_FROM, ("", "", {}))
    if opened == image:
        st.switch_page(page, query_params=query)
    here = {name: value for name, value in st.query_params.to_dict().items() if name != IMAGE}
    st.switch_page(EXPLORE, query_params={**here, DATASET: dataset_id})
