"""What tests of the analysis share: a backbone small enough to be instant, and analyses written without one."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

from core.data.analysis import Summary, write_analysis
from core.data.datasets import Dataset
from core.data.label_issues import THRESHOLD
from core.data.manifest import usable
from core.data.neighbours import write_neighbours
from core.preprocess import PreprocessSpec
from core.workspace import Workspace


def place_tiny_backbone(ws: Workspace, spec: PreprocessSpec) -> None:
    """Put a graph that gives the mean of each channel where the job looks for the exported network."""
    from onnx import TensorProto, helper

    from core.training.backbone.frozen import remember_graph

    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, "h", "w"])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 3])
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
    ]
    graph = helper.make_graph(nodes, "means", [images], [features])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    (ws.backbones / "tiny.onnx").write_bytes(model.SerializeToString())
    remember_graph(ws, spec, "tiny.onnx", "ONNX Runtime")


def write_made_up_analysis(ws: Workspace, dataset: Dataset, wrong: dict[str, str]) -> Summary:
    """An analysis as the job leaves it: each class a heap of its own on the map, some labels wrong.

    Args:
        wrong: path -> class it is said to be; all other labels fit.
    """
    rows = usable(dataset.manifest()).reset_index(drop=True)
    codes, _ = pd.factorize(rows["label"], sort=True)
    generator = np.random.default_rng(0)
    spots = np.stack([10.0 * codes, np.zeros(len(rows))], axis=1) + generator.uniform(-1, 1, (len(rows), 2))
    table = rows[["path", "content_hash", "label"]].copy()
    is_wrong = table["path"].isin(list(wrong)).to_numpy()
    rank = np.cumsum(is_wrong) / 100
    table["label_issue_score"] = np.where(is_wrong, rank, 0.95).astype(np.float32)
    table["is_label_issue"] = table["label_issue_score"] < THRESHOLD
    table["suggested_label"] = [wrong.get(row.path, row.label) for row in table.itertuples()]
    table["suggested_probability"] = np.float32(0.9)
    for name in ("map", "pca"):
        table[f"{name}_x"], table[f"{name}_y"] = spots.astype(np.float32).T
    summary = Summary(
        fingerprint=dataset.fingerprint,
        at=time.time(),
        num_images=len(table),
        num_left_out=0,
        num_computed=len(table),
        seconds=1.0,
        image_size=128,
        num_arranged=len(table),
        accuracy=0.95,
        noise=0.01,
        num_label_issues=int(table["is_label_issue"].sum()),
        no_labels_because="",
        versions={},
    )
    folder = ws.analysis(dataset.id)
    folder.mkdir(parents=True)
    hashes = np.array([int(text, 16) for text in rows["content_hash"]], np.uint64)
    unique, first = np.unique(hashes, return_index=True)
    write_neighbours(folder, unique, np.column_stack([spots[first], np.ones(len(unique))]))
    write_analysis(folder, table, summary)
    return summary
