"""What a run was made from: its settings, its data and split, and what it takes to repeat it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.config import flatten
from core.data.datasets import open_dataset
from core.data.leaks import Leaks
from core.data.splits import class_table, membership
from core.errors import DarkroomError
from core.files import csv_bytes, read_json
from core.runs.repeat import ENVIRONMENT, command_line, nearest_preset
from core.runs.store import Run
from core.wording import bytes_size, count
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.labels import trained_on
from pages._components.provenance import leak_line, version_line
from pages._components.text import escape

_MOST_CLASSES = 200


def draw_settings(run: Run) -> None:
    """What differs from the nearest preset, and all settings."""
    config = run.config
    preset, changed = nearest_preset(config)
    if changed:
        told = "; ".join(f"{path} = {value}" for path, value in changed.items())
        st.markdown(f"As the preset **{escape(preset)}**, but {escape(told)}.")
    else:
        st.markdown(f"As the preset **{escape(preset)}**.")
    values = flatten(config)
    table = pd.DataFrame(
        {"setting": list(values), "value": [str(value) for value in values.values()]},
    ).assign(changed=[path in changed for path in values])
    only = st.toggle("Only what differs from the preset", value=False, key=f"settings-changed-{run.id}")
    shown = table[table["changed"]] if only else table
    st.dataframe(
        shown[["setting", "value"]],
        hide_index=True,
        column_config={"setting": "Setting", "value": "Value"},
        height="content" if len(shown) <= 12 else 420,
    )
    st.download_button(
        "Settings as CSV",
        lambda: csv_bytes(table),
        f"{run.id}-settings.csv",
        "text/csv",
        key=f"settings-csv-{run.id}",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )


def draw_data(run: Run) -> None:
    """Which version of which dataset, how it was divided, and the images themselves to take along."""
    config, data, rows = run.config, run.data(), readers.run_rows(run)
    split = config.split
    st.markdown(
        f"Dataset **{escape(trained_on(run))}**, divided by seed {count(split.seed)}, keeping together: "
        f"{escape(split.keep_together)}, groups by: {escape(split.group_by)}."
    )
    if version := data.get("dataset_fingerprint"):
        version_line(run, version, data.get("num_edits"))
        if excluded := data.get("num_excluded"):
            st.caption(f"{count(excluded, 'image')} had been excluded by hand.")
    if data.get("leaks"):
        leak_line(Leaks(**data["leaks"]))
    classes = class_table(rows)
    totals = classes.drop(columns="label").sum()
    st.markdown(", ".join(f"{count(int(number))} {escape(name)}" for name, number in totals.items()) + " images.")
    st.dataframe(classes.head(_MOST_CLASSES), hide_index=True, column_config={"label": "Class"})
    if len(classes) > _MOST_CLASSES:
        st.caption(f"The first {count(_MOST_CLASSES)} of {count(len(classes))} classes.")
    st.download_button(
        "Images and their split as CSV",
        lambda: csv_bytes(membership(rows, split)),
        f"{run.id}-split.csv",
        "text/csv",
        key=f"split-csv-{run.id}",
        on_click="ignore",
        icon=":material/download:",
    )
    if _is_there(config.data.dataset):
        query = {keys.DATASET: config.data.dataset}
        st.page_link(keys.EXPLORE, label="Look at the dataset", icon=":material/photo_library:", query_params=query)


def draw_repeat(run: Run) -> None:
    """The command line, and the software and machine it was started with."""
    st.markdown("This command repeats the run on the same dataset:")
    st.code(command_line(run), language="bash", wrap_lines=True)
    version = run.data().get("dataset_fingerprint")
    if version and _is_there(run.config.data.dataset):
        version_line(run, version, run.data().get("num_edits"))
    noted = read_json(run.folder / ENVIRONMENT)
    if not noted:
        st.caption("Its software and machine were not noted: it is of an earlier version of Darkroom.")
        return
    commit = noted.get("darkroom") or "not known, as it did not run from a git repository"
    changed = " with changes that were not committed" if noted.get("modified") else ""
    device = noted.get("device") or {}
    facts = {
        "Darkroom's commit": f"{commit}{changed}",
        "Python": noted.get("python"),
        "System": noted.get("platform"),
        "Device": f"{device.get('name')}, {bytes_size(device.get('memory_bytes'))} of memory, "
        f"{count(device.get('num_cores'), 'core')}",
        **{name: version or "not installed" for name, version in (noted.get("packages") or {}).items()},
    }
    table = pd.DataFrame({"what": list(facts), "version": [str(value) for value in facts.values()]})
    st.dataframe(table, hide_index=True, column_config={"what": "What", "version": "As it was"}, height="content")


def _is_there(dataset_id: str) -> bool:
    try:
        open_dataset(Workspace.default(), dataset_id)
    except DarkroomError:
        return False
    return True
