"""Evaluate's view of the parts of the test images: where the model is worse than elsewhere, and those images."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core.charts_conditions import slices_chart
from core.evaluation.slices import FEWEST, compare, members
from core.runs.store import Run
from core.wording import count, percent
from pages._components import keys, readers
from pages._components.evaluate.view import Report
from pages._components.figures import show_figure
from pages._components.guard import fragment
from pages._components.predicted_images import predicted_images
from pages._components.text import escape

_HELP = {
    "expected": "What one would expect of images of these classes, from the model's accuracy on each class.",
    "p": "Chance of a difference this large, or larger, if there were none, corrected for how many parts there are "
    "(Fisher's exact test, Holm).",
}


def has_test_images(report: Report) -> bool:
    """Whether there is anything to look at."""
    return bool(report["num_test"])


@fragment
def draw(run: Run, report: Report) -> None:
    """The parts, the worst first, and the images of the one that is chosen."""
    found = report.get("slices") or _anew(run)
    if found is None:
        st.markdown("No predictions are stored with this run.")
        return
    st.markdown(escape(found["sentence"]))
    rows = found["rows"]
    if not rows:
        return
    names = [_name(row) for row in rows]
    figure = slices_chart(rows, report["test_accuracy"])
    table = pd.DataFrame(rows)
    alt = "Accuracy of each part of the test images with its interval, the worst first"
    show_figure(figure, table, "slices", alt, lambda at: _pick(names[at[0]]))
    st.caption(
        f"Parts of at least {FEWEST} images, with as many left to compare with. Comparing many parts finds bad ones by "
        "chance; only those that stay apart after Holm's correction for that are called worse. Parts overlap, and one "
        "may be worse because of another: small images are often blurred ones."
    )
    with st.expander("All of them as a table"):
        _table(table)
    chosen = st.selectbox(
        "Images of",
        names,
        index=None,
        placeholder="Click a point, or choose a part",
        **keys.linked(keys.PART, keys.one_of(names), None),
    )
    if chosen is not None:
        row = rows[names.index(chosen)]
        images = members(readers.test_rows(run), row["by"], row["value"])
        num_wrong = count(row["images"] - row["right"])
        st.subheader(f"{escape(chosen)}: {num_wrong} of {count(row['images'], 'test image')} wrong")
        st.caption(
            f"{percent(row['accuracy'])} right, all others {percent(row['rest'])}; its classes alone would give "
            f"{percent(row['expected'])}. The wrong ones come first, the most confident of them ahead."
        )
        predicted_images(run, images, key="part")


def _anew(run: Run) -> dict[str, Any] | None:
    """For runs that were evaluated before parts were compared."""
    rows = readers.test_rows(run)
    return None if rows is None else compare(rows)


def _name(row: dict[str, Any]) -> str:
    return f"{row['by']}: {row['value']}"


def _pick(name: str) -> None:
    keys.write(keys.PART, name)
    keys.write(keys.PAGE, None)


def _table(table: pd.DataFrame) -> None:
    shares = ("accuracy", "low", "high", "rest", "expected")
    columns = {
        "by": st.column_config.TextColumn("By"),
        "value": st.column_config.TextColumn("Part"),
        "images": st.column_config.NumberColumn("Test images", format="localized"),
        **{
            name: st.column_config.NumberColumn(title, format="%.1f %%", help=_HELP.get(name))
            for name, title in zip(shares, ("Right", "At least", "At most", "All others", "Expected"), strict=True)
        },
        "p": st.column_config.NumberColumn("p, corrected", format="%.3g", help=_HELP["p"]),
        "conspicuous": st.column_config.CheckboxColumn("Worse beyond chance"),
    }
    shown = table.assign(**{name: 100 * table[name] for name in shares})
    st.dataframe(shown, hide_index=True, column_order=list(columns), column_config=columns)
