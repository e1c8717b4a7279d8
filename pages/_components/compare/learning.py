"""Would more images help? The same settings on parts of the training images, and how the curve would go on."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
import streamlit as st

from core import charts_compare
from core.data.splits import take_share
from core.runs.listing import run_table
from core.runs.more_images import MIN_SIZES, forecast
from core.runs.series import SHARES, Series, by_share, learning_curve, measured, members, still_to_come
from core.runs.store import open_run
from core.wording import count, percent, significant
from core.workspace import Workspace
from pages._components import keys
from pages._components.asking import ask, asked
from pages._components.compare import reading
from pages._components.compare.group import FOLLOW_S, about_time, choose_group, member_table, progress_line
from pages._components.figures import show_figure
from pages._components.guard import fragment, guarded
from pages._components.text import escape

_START = "start-curve"
_OFFERED = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)


def draw(workspace: Workspace, table: pd.DataFrame, run_id: str) -> None:
    """The sidebar's button that starts it, and what came of the one started before."""
    with st.sidebar:
        series = choose_group(table, "curve", run_id)
        _form(workspace, table, run_id)
    if series is None:
        st.markdown(
            "Would more images help? The run is trained again with parts of its training images and tested on the same "
            "test images each time. This run has no learning curve yet: start one in the sidebar."
        )
        return
    at_work = still_to_come(members(table, series)) > 0
    fragment(_results, run_every=FOLLOW_S if at_work else None)(workspace, series, at_work)


def _form(workspace: Workspace, table: pd.DataFrame, run_id: str) -> None:
    shares = st.multiselect(
        "Parts of the training images",
        list(_OFFERED),
        list(SHARES),
        format_func=_part,
        help="A smaller part is contained in every larger one, class by class. Three or more allow an extrapolation.",
    )
    repeats = int(
        st.number_input(
            "Repeats", 1, 5, 1, help="Runs of each part, each with another seed, which draws other images too."
        )
    )
    num_runs = max(0, len(shares) * repeats - (1.0 in shares))
    seconds = float(table.loc[table["id"] == run_id, "seconds"].iloc[0])
    st.caption(about_time(seconds, sum(shares) * repeats - (1.0 in shares)))
    if asked(_START):
        with guarded():
            begun = learning_curve(workspace, open_run(workspace, run_id), take_share, shares, repeats)
            keys.write(keys.SERIES, begun.id)
            st.rerun()
    st.button(
        f"Start {count(num_runs, 'run')}",
        type="primary",
        width="stretch",
        icon=":material/trending_up:",
        disabled=len(shares) < 2,
        on_click=ask,
        args=(_START,),
    )


def _results(workspace: Workspace, series: Series, was_at_work: bool) -> None:
    rows = members(run_table(workspace), series)
    if was_at_work and not still_to_come(rows):
        st.rerun()
    rows = rows.assign(images=[reading.num_train(workspace, run_id) for run_id in rows["id"]])
    done = measured(rows)
    found = forecast(done["images"].tolist(), done["test_accuracy"].tolist(), done["num_test"].tolist())
    if found is not None:
        st.markdown(escape(found.sentence()))
    else:
        st.markdown(f"An answer needs tested runs with {MIN_SIZES} different numbers of training images.")
    progress_line(rows)
    if len(done):
        columns = ["id", "share", "seed", "images", "test_accuracy", "test_accuracy_low", "test_accuracy_high"]
        figure = charts_compare.learning_curve_chart(done, found and found.curve)
        show_figure(figure, done[columns], "learning-curve", "Test accuracy by the number of training images")
    points = by_share(done)
    if len(points) and points["runs"].max() > 1:
        _points(points)
    member_table(
        rows, pd.DataFrame({"Part": _parts(rows["share"]), "Training images": rows["images"], "Seed": rows["seed"]})
    )


def _points(points: pd.DataFrame) -> None:
    """Mean and spread of each part."""
    st.dataframe(
        pd.DataFrame(
            {
                "Part": _parts(points["share"]),
                "Training images": points["images"],
                "Runs": points["runs"],
                "Mean test accuracy": [percent(mean) for mean in points["mean"]],
                "Standard deviation (points)": [significant(100 * std) for std in points["std"]],
            }
        ),
        hide_index=True,
        key="curve-points",
    )


def _parts(shares: Iterable[float]) -> list[str]:
    return [_part(share) for share in shares]


def _part(share: float) -> str:
    return f"{share * 100:g} %"
