"""Evaluate's view of other labelled images: how good the run is on any dataset, without training."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core.charts_evaluation import per_class_chart
from core.data import thumbnails
from core.data.datasets import Dataset, list_datasets
from core.evaluation.label_mapping import guess_mapping
from core.evaluation.on_dataset import SIZES, answers_on, commonest_mistakes, on_dataset_job, results
from core.evaluation.predictions import mistakes
from core.runs.store import Run
from core.wording import count, percent, percent_interval
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.evaluate.view import Report
from pages._components.figures import show_figure
from pages._components.gallery import PIXEL_ART_BELOW, Tile, gallery
from pages._components.guard import fragment
from pages._components.side_job import side_job
from pages._components.text import escape

LEFT_OUT = "(left out)"
_A_PAGE = 48
_NAMES = {0: "All"}


def draw(run: Run, report: Report) -> None:
    """What was found on other datasets, and the way to ask about one."""
    st.markdown(
        "How good is it on images from elsewhere? Those it has learned from, their copies and what looks like them are "
        "left out and counted."
    )
    found = results(run)
    if found:
        _summary(found, report)
    known = {one.id: one for one in list_datasets(Workspace.default())}
    if not known:
        return
    chosen = st.selectbox(
        "Dataset",
        list(known),
        format_func=lambda name: known[name].name,
        key=f"other-data-{run.id}",
        help="Any dataset with labels; its own is possible too, for images that were added since.",
    )
    _ask(run, known[chosen], report["classes"])
    answer = next((one for one in found if one["dataset"] == chosen), None)
    if answer is not None:
        _one(run, known[chosen], answer)


def _summary(found: list[dict[str, Any]], report: Report) -> None:
    rows = [("its own test images", report, "")] + [(one["name"], one["report"], one["left_out"]) for one in found]
    table = [
        {
            "name": name,
            "accuracy": percent_interval(of["test_accuracy"], *(of["test_accuracy_interval"] or (None, None))),
            "balanced": percent((of["metrics"].get("balanced_accuracy") or {}).get("value")),
            "images": of["num_test"],
            "left_out": left,
        }
        for name, of, left in rows
    ]
    column = st.column_config
    st.dataframe(
        pd.DataFrame(table),
        hide_index=True,
        column_config={
            "name": column.TextColumn("Images of", pinned=True),
            "accuracy": column.TextColumn("Right (95 % interval)"),
            "balanced": column.TextColumn("Balanced accuracy", help="Every class counts the same."),
            "images": column.NumberColumn("Images", format="localized"),
            "left_out": column.TextColumn("Left out"),
        },
    )


def _ask(run: Run, dataset: Dataset, classes: list[str]) -> None:
    """Which class each label means, and the button."""
    counts = readers.class_counts(dataset)
    guessed = guess_mapping(counts["label"].astype(str).tolist(), classes)
    open_ones = [label for label, name in guessed.items() if name is None]
    title = "Which class does each label mean?"
    if open_ones:
        title += f" {count(len(open_ones), 'label')} without a class of that name"
    with st.expander(title, expanded=bool(open_ones), key=f"mapping-of-{dataset.id}"):
        rows = pd.DataFrame(
            {
                "label": list(guessed),
                "images": counts["images"].tolist(),
                "counts_as": [name or LEFT_OUT for name in guessed.values()],
            }
        )
        edited = st.data_editor(
            rows,
            hide_index=True,
            key=f"mapping-{run.id}-{dataset.id}",
            disabled=["label", "images"],
            column_config={
                "label": st.column_config.TextColumn("Label in the dataset"),
                "images": st.column_config.NumberColumn("Images", format="localized"),
                "counts_as": st.column_config.SelectboxColumn(
                    "Counts as", options=[LEFT_OUT, *classes], required=True, help="A class of the model."
                ),
            },
        )
        st.caption("Guessed where the names agree, whatever their case or plural. Choose another by a double click.")
    given = {
        label: None if name == LEFT_OUT else name
        for label, name in zip(edited["label"], edited["counts_as"], strict=True)
    }

    def choose() -> dict[str, Any]:
        most = st.segmented_control(
            "Images at most",
            SIZES,
            format_func=lambda size: _NAMES.get(size, count(size)),
            default=SIZES[0],
            required=True,
            key="other-data-most",
            help="Spread evenly over the dataset. More images give narrower intervals and take longer.",
        )
        return {"mapping": given, "most": most}

    side_job(run, on_dataset_job(dataset.id), f"Evaluate on {escape(dataset.name)}", choose)


@fragment
def _one(run: Run, dataset: Dataset, found: dict[str, Any]) -> None:
    """All there is on one dataset."""
    report = found["report"]
    st.subheader(f"On {escape(found['name'])}")
    st.markdown(escape(report["headline"].replace("test image", "image")))
    renamed = [f"{label} as {name}" for label, name in found["mapping"].items() if name and name != label]
    st.caption(
        f"Of {count(found['asked'], 'image')}: {escape(found['left_out'])}."
        + (f" Labels counted: {escape(', '.join(renamed))}." if renamed else "")
        + ("" if found["version"] == dataset.fingerprint else " The dataset has changed since.")
    )
    if report["skipped"]:
        st.caption(f"{count(len(report['skipped']), 'image')} could not be read.")
    table = pd.DataFrame(report["per_class"])
    alt = f"Precision, recall and F1 of each class on {found['name']}"
    show_figure(per_class_chart(table), table, f"per-class-on-{found['dataset']}", alt)
    pairs = commonest_mistakes(found)
    if not pairs.empty:
        with st.expander(f"The {count(len(pairs), 'commonest mistake')}"):
            shown = pairs.assign(share=100 * pairs["share"])
            st.dataframe(
                shown,
                hide_index=True,
                column_config={
                    "true": "True class",
                    "predicted": "Taken for",
                    "images": st.column_config.NumberColumn("Images", format="localized"),
                    "share": st.column_config.NumberColumn("Of the true class", format="%.1f %%"),
                },
            )
    _mistakes(run, dataset)


def _mistakes(run: Run, dataset: Dataset) -> None:
    answers = answers_on(run, dataset.id)
    wrong = None if answers is None else mistakes(answers)
    if wrong is None or wrong.empty:
        st.markdown("Not one of these images is wrong." if wrong is not None else "Its answers are gone.")
        return
    st.markdown(f"{count(len(wrong), 'mistake')}, the most confident first.")
    page = keys.page_of(len(wrong), _A_PAGE, keys.PAGE)
    shown = wrong.iloc[(page - 1) * _A_PAGE : page * _A_PAGE]
    rows = readers.dataset_rows(dataset)
    here = rows.loc[rows["path"].isin(shown["path"].tolist()), ["path", "content_hash", "width", "height"]]
    known = {row.path: row for row in here.itertuples()}
    tiles = [
        Tile(
            id=row.path,
            src=thumbnails.url(dataset.id, known[row.path].content_hash),
            alt=f"true {row.label}, predicted {row.predicted}: {row.path}",
            caption=f"true {row.label}",
            note=f"predicted {row.predicted}, {percent(row.confidence)}",
            wrong=True,
            pixel_art=max(known[row.path].width, known[row.path].height) < PIXEL_ART_BELOW,
        )
        for row in shown.itertuples()
        if row.path in known  # not of those that left the dataset since
    ]
    picked = gallery(tiles, "Mistakes on this dataset", key=f"on-{dataset.id}-tiles")
    if picked:
        keys.open_image(dataset.id, picked, keys.EVALUATE)
