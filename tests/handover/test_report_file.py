"""The report as others get it: every figure in it worked out anew, nothing fetched, no name taken for HTML."""

from __future__ import annotations

import json
import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as oracle

from core import jobs
from core.errors import DarkroomError, InputError
from core.evaluation.predictions import PREDICTIONS
from core.files import write_json
from core.handover.checked import again, differences
from core.handover.document import document
from core.handover.job import CSV, HTML, JSON, REPORT, is_current, made, main
from core.handover.markup import Told
from core.handover.page import document_in, page, sections_of
from core.handover.plots import drawn, plots
from core.handover.tables import figures
from core.inference.bundle import note_trust
from core.runs.store import MANIFEST, Run
from core.workspace import Workspace
from tests.handover.conftest import NAMES, HandedOver
from tests.running import in_process

# Sections whose figures come from the run's answers and images. The others are settings, files and tests of their own.
RECOMPUTED = ("summary", "metrics", "per_class", "confusion", "pairs", "failures", "calibration", "abstention")
RECOMPUTED += ("threshold", "unknown", "slices", "split")
CHOSEN_ON_VALIDATION = re.compile(
    r"calibration/(temperature|fitted_on)|abstention/(promise|targets/\d+/(target|threshold))|threshold/(threshold|target)"
)


class _Reader(HTMLParser):
    """What a browser would make of the file: its figures, its text by section, and what it would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.figures: list[tuple[str, str, str]] = []  # place, exact value, text
        self.outside: dict[str, str] = {}  # text that is no figure
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self._section, self._open = "", list[str]()
        self._place: tuple[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.fetched += [known[name] for name in ("src", "href", "srcset", "action", "data") if name in known]
        if tag == "section":
            self._section = known["id"]
        if tag == "data":
            self._place = known["data-of"], known["value"]
        if tag in ("script", "style"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "data":
            self._place = None
        if self._open and tag == self._open[-1]:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open:
            return
        if self._place is not None:
            self.figures.append((*self._place, data))
        else:
            self.outside[self._section] = self.outside.get(self._section, "") + f" {data}"


@pytest.fixture(scope="module")
def reader(handed_over: HandedOver) -> _Reader:
    found = _Reader()
    found.feed(handed_over.html)
    return found


def test_every_figure_comes_out_of_the_answers_again(at_home: HandedOver, reader: _Reader) -> None:
    anew = Told(again(at_home.run, at_home.told))
    seen = {section: 0 for section in RECOMPUTED}
    for place, value, text in reader.figures:
        exact = float(value)
        wanted = anew if place.split("/")[0] in RECOMPUTED else Told(at_home.told)
        if CHOSEN_ON_VALIDATION.fullmatch(place) or place.startswith("split/leaks"):
            wanted = Told(at_home.told)
        assert wanted.at(place) == pytest.approx(exact, rel=1e-12), place
        assert _reads_as(text, exact), f"{place}: {text!r} is not {exact}"
        seen[place.split("/")[0]] = seen.get(place.split("/")[0], 0) + 1
    assert all(seen.values()), f"sections without a figure: {seen}"


def test_scikit_learn_and_scipy_find_the_same_in_the_table_of_answers(handed_over: HandedOver) -> None:
    rows = pd.read_parquet(handed_over.run.folder / PREDICTIONS)
    test = rows[rows["split"] == "test"]
    classes = list(NAMES.values())
    columns = [f"p:{name}" for name in classes]
    probabilities, truth, answers = test[columns].to_numpy(float), test["label"], test["predicted"]
    right = (truth == answers).to_numpy()
    told = Told(handed_over.told)

    def is_told(place: str, value: float) -> None:
        assert told.at(place) == pytest.approx(value, abs=1e-9), place

    assert 5 < (~right).sum() < 40, "a report without mistakes would prove little"
    interval = stats.binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    for place, value in (("test_accuracy", right.mean()), ("low", interval.low), ("high", interval.high)):
        assert told.at(f"summary/{place}") == pytest.approx(value, abs=1e-6)
    is_told("summary/num_wrong", (~right).sum())
    is_told("summary/majority_baseline", truth.value_counts().iloc[0] / len(test))
    is_told("metrics/balanced_accuracy/value", oracle.balanced_accuracy_score(truth, answers))
    is_told("metrics/kappa/value", oracle.cohen_kappa_score(truth, answers))
    is_told("metrics/mcc/value", oracle.matthews_corrcoef(truth, answers))
    onehot = (truth.to_numpy()[:, None] == np.array(classes, object)).astype(float)
    of_truth = (probabilities * onehot).sum(axis=1)
    assert told.at("metrics/log_loss/value") == pytest.approx(-np.log(of_truth).mean(), rel=1e-6)
    is_told("metrics/brier/value", ((probabilities - onehot) ** 2).sum(axis=1).mean())
    is_told("metrics/top_2_accuracy/value", oracle.top_k_accuracy_score(onehot.argmax(1), probabilities, k=2))
    for average in ("macro", "weighted"):
        scores = oracle.precision_recall_fscore_support(truth, answers, average=average)
        for name, value in zip(("precision", "recall", "f1"), scores, strict=False):
            is_told(f"metrics/{average}_{name}/value", value)
    each = oracle.precision_recall_fscore_support(truth, answers, labels=classes)
    for at in range(len(classes)):
        for name, values in zip(("precision", "recall", "f1", "support"), each, strict=True):
            is_told(f"per_class/{at}/{name}", values[at])
        is_told(f"per_class/{at}/auc", oracle.roc_auc_score(onehot[:, at], probabilities[:, at]))
        average = oracle.average_precision_score(onehot[:, at], probabilities[:, at])
        is_told(f"per_class/{at}/average_precision", average)
    counts = oracle.confusion_matrix(truth, answers, labels=classes)
    cells = [[true, said, counts[true, said]] for true, said in zip(*np.nonzero(counts), strict=True)]
    assert handed_over.told["confusion"]["cells"] == cells
    confidence, bins = probabilities.max(axis=1), 15
    ece = 0.0
    for low in np.arange(bins) / bins:
        here = (confidence > low) & (confidence <= low + 1 / bins)
        ece += abs(right[here].sum() - confidence[here].sum()) / len(test)
    is_told("calibration/test/before/ece", ece)
    temperature = told.at("calibration/temperature")
    sharpened = probabilities ** (1 / temperature)
    after = sharpened / sharpened.sum(axis=1, keepdims=True)
    is_told("calibration/test/after/mean_confidence", after.max(axis=1).mean())
    given = after.max(axis=1) >= 0.6
    is_told("threshold/answered", given.sum())
    exact = stats.binomtest(int((~right & given).sum()), int(given.sum())).proportion_ci(method="exact")
    is_told("threshold/error_high", exact.high)
    for row in handed_over.told["slices"]["rows"]:
        rest = right.sum() - row["right"], len(test) - row["images"] - (right.sum() - row["right"])
        p = stats.fisher_exact([[row["right"], row["images"] - row["right"]], rest]).pvalue
        assert row["p"] >= p * (1 - 1e-9), "corrected for many comparisons it can only be larger"
    wrong = test[~right].sort_values(["confidence", "path"], ascending=[False, True])
    assert [row["path"] for row in handed_over.told["failures"]["rows"]] == wrong["path"].tolist()
    manifest = pd.read_parquet(handed_over.run.folder / MANIFEST)
    assert handed_over.told["split"]["totals"] == manifest["split"].value_counts().to_dict()
    assert handed_over.told["data"]["total_bytes"] == manifest["num_bytes"].sum()


def test_what_is_drawn_is_drawn_of_these_figures(at_home: HandedOver) -> None:
    anew = at_home.told | again(at_home.run, at_home.told)
    for name in ("calibration", "threshold"):
        anew[name] = at_home.told[name] | anew[name]
    found = plots(at_home.run, anew)
    assert {"scores", "confusion", "classes", "roc", "precision", "reliability", "coverage", "slices"} <= set(found)
    assert {"loss", "accuracy"} <= set(found)
    for name, figure in found.items():
        if name != "confusion":  # of few classes its cells are told one by one
            assert drawn(name, *figure) in at_home.html, name


def test_numbers_in_sentences_are_those_of_the_figures(at_home: HandedOver, reader: _Reader) -> None:
    anew = again(at_home.run, at_home.told)
    assert anew["headline"] in reader.outside["summary"]
    assert anew["slices"]["sentence"] in reader.outside["parts"]
    loose = reader.outside["numbers"] + reader.outside["classes"] + reader.outside["confusion"]
    bare = re.sub(r"95 %|Top-\d|among the \d|in 15 bins|2 the worst|1 full|\b0\b|F1", "", loose)
    assert not re.findall(r"\d", bare), "a number that cannot be traced"


def test_it_fetches_nothing_and_no_name_becomes_html(handed_over: HandedOver, reader: _Reader) -> None:
    assert all(address.startswith(("data:image/", "#")) for address in reader.fetched), reader.fetched
    assert any(address.startswith("data:image/") for address in reader.fetched), "failures have pictures"
    assert "default-src 'none'" in handed_over.html
    # Plotly, what prints, the document, and for each figure one: no class brought a script of its own.
    num_plots = handed_over.html.count('<figure role="img"')
    assert num_plots == 9 and reader.tags.count("script") == 3 + num_plots
    assert "b" in reader.tags and "&lt;b&gt;them&lt;/b&gt;" in handed_over.html
    assert "<script>alert" not in handed_over.html and reader.tags.count("main") == 1
    assert len(handed_over.html) < 10_000_000
    assert document_in(handed_over.html) == json.loads(json.dumps(handed_over.told))


def test_checked_by_the_command_line_every_forgery_is_found(own: Run, handed_over: HandedOver, tmp_path: Path) -> None:
    html, data, table = tmp_path / "r.html", tmp_path / "r.json", tmp_path / "r.csv"
    done = in_process("report", own.id, "--html", html, "--csv", table)
    assert done.status == 0 and done.result["written"] == {"html": str(html), "csv": str(table)}, done.errors
    write_json(data, handed_over.told)
    assert in_process("report", own.id, "--check", html).result["differences"] == []
    told = json.loads(data.read_text())
    told["metrics"]["kappa"]["value"] += 0.01
    data.write_text(json.dumps(told))
    forged = in_process("report", own.id, "--check", data)
    assert forged.status == 1 and forged.result["differences"][0].startswith("metrics/kappa/value is")
    content = html.read_text()
    shown = re.search(r'<data [^>]*"summary/test_accuracy">([^<]*)<', content)
    assert shown is not None
    html.write_text(content.replace(shown[0], shown[0].replace(shown[1], "99.9 %")))
    (said,) = in_process("report", own.id, "--check", html).result["differences"]
    assert said.startswith("The part 'summary' does not say")
    rows = pd.read_parquet(own.folder / PREDICTIONS)
    at = rows.index[(rows["split"] == "test") & (rows["label"] == rows["predicted"])][0]
    rows.loc[at, "predicted"] = next(name for name in NAMES.values() if name != rows.loc[at, "label"])
    rows.to_parquet(own.folder / PREDICTIONS, index=False)
    found = differences(own, handed_over.told)
    assert any(line.startswith("summary/num_wrong") for line in found)
    assert any(line.startswith("predictions.parquet has changed since") for line in found)
    with pytest.raises(DarkroomError, match="not of the answers"):
        document(own)
    assert in_process("report", own.id, "--check", tmp_path / "none.html").status == 2


def test_as_json_alone_and_with_a_file(own: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    from core.__main__ import main as command

    assert command(["report", own.id, "--json", "all.json"]) == 0
    told = json.loads((tmp_path / "all.json").read_text())
    assert told["run"]["name"] == "Foxes & co" and len(told["hashes"]) >= 6
    assert told["training"]["command"].startswith("python -m core train --data ")
    assert [path.name for path in tmp_path.glob("*.html")] == []
    assert in_process("report", own.id).result["written"] == {"html": f"report-{own.id}.html"}
    (own.folder / "report.json").unlink()
    refused = in_process("report", own.id)
    assert refused.status == 2 and "has not been evaluated" in refused.errors
    with pytest.raises(InputError):
        document(own)


def test_every_row_of_the_table_is_a_figure_of_the_document(handed_over: HandedOver) -> None:
    table = figures(handed_over.told)
    accuracy = table[(table["section"] == "metrics") & (table["figure"] == "accuracy")].iloc[0]
    summary = handed_over.told["summary"]
    assert accuracy[["value", "low", "high"]].tolist() == [summary[n] for n in ("test_accuracy", "low", "high")]
    assert table[table["section"] == "confusion"]["value"].sum() == summary["num_test"]
    assert (table["section"] == "failures").sum() == summary["num_wrong"]


def test_made_as_a_job_it_is_current_until_something_changes(own: Run) -> None:
    folder = REPORT.folder(own)
    folder.mkdir(parents=True)
    write_json(folder / "request.json", {})
    jobs.prepare(folder)
    assert main(own.folder) == 0
    answer = REPORT.answer(own)
    assert answer is not None and is_current(own, answer)
    assert [made(own, name).stat().st_size for name in (HTML, JSON, CSV)] == list(answer["bytes"].values())
    note_trust(own.bundle, abstention_threshold=0.5)
    assert not is_current(own, answer)


def test_a_picture_that_is_not_the_image_is_not_shown(own: Run, tmp_path: Path) -> None:
    told = document(own)
    images = tmp_path / "photos"
    description = Workspace.default().dataset(own.config.data.dataset) / "dataset.json"
    raw = json.loads(description.read_text())
    shutil.copytree(raw["root"], images)
    description.write_text(json.dumps(raw | {"root": str(images)}))
    first, second, *_ = [row["path"] for row in told["failures"]["rows"]]
    (images / first).unlink()
    (images / second).write_bytes((images / told["failures"]["rows"][2]["path"]).read_bytes())
    assert page(own, told).count('<span class="gone">no picture</span>') == 2


def test_what_other_tests_found_is_told_too_and_nothing_of_it_becomes_html(handed_over: HandedOver) -> None:
    bad = "<i>bad</i>"
    share = {"accuracy": 0.5, "low": 0.25, "high": 0.75}
    engine = {"key": "torch", "title": "PyTorch", "num_bytes": 1000, "problem": ""}
    of_calls = {"images_per_s": 100.0, "latency_ms_p50": 10.0, "latency_ms_p95": 12.0, "threads": 2, "calls": 20}
    engine["speeds"] = [of_calls | {"batch_size": size} for size in (1, 32)]
    broken = engine | {"speeds": [], "problem": bad}
    corruption = {"corruption": "blur", "title": "Blur", "severity": 1, "amount": "1 %", "right": 5} | share
    other = {"dataset": "zoo", "name": bad, "version": "1", "mapping": {bad: "fox", "cow": None}, "asked": 9}
    found = {"key": "onnx", "name": "ONNX", "ready": False, "problem": bad, "agreement": 0.98, "size_bytes": 2000}
    remark = {"title": "Leak", "finding": bad, "advice": "Divide anew.", "kind": "leak", "figures": {}}
    more = {
        "robustness": {"sentence": bad, "images": 10, "rows": [corruption]},
        "saliency": {"fault": "", "way": bad, "gain": 0.2, "gain_low": 0.1, "maps": 4, "believed": 3, "likeness": 0.1},
        "speed": {"sentence": "s", "threads": 2, "load": 0.5, "decode_ms": 1.0, "engines": [engine, broken]},
        "other_data": [other | share | {"balanced_accuracy": 0.4, "num_images": 8, "left_out": "1 left out"}],
        "exports": [found | {"max_probability_gap": 0.2, "accuracy_before": 0.9, "accuracy_after": 0.8}],
        "diagnosis": {"sentence": "1 remark.", "remarks": [remark], "asked": []},
        "skipped": [{"path": bad, "error": bad}],
    }
    sections = {one.anchor: one.body for one in sections_of(handed_over.told | more, {}, {})}
    assert all(bad not in body for body in sections.values())
    assert (
        "&lt;i&gt;bad&lt;/i&gt; \N{RIGHTWARDS ARROW} fox" in sections["elsewhere"]
        and "cow" not in sections["elsewhere"]
    )
    assert "not ready: &lt;i&gt;bad&lt;/i&gt;" in sections["exports"] and "98.0 %" in sections["exports"]
    for name in ("summary", "spoiled", "maps", "speed", "diagnosis"):
        assert "bad&lt;/i&gt;" in sections[name], name
    table = figures(handed_over.told | more)
    assert {"robustness", "speed", "other data"} <= set(table["section"])


def _reads_as(text: str, exact: float) -> bool:
    """Whether the text is that number as people read it: rounded, in percent, with thousands or a unit."""
    match = re.match(r"-?[\d,]+(\.\d+)?(e-?\d+)?", text)
    if match is None:
        return text in ("yes", "no")
    number = float(match[0].replace(",", ""))
    scale = next((factor for unit, factor in _UNITS.items() if text.endswith(f" {unit}")), 1.0)
    rest = text[match.end() :].strip()
    assert rest in ("", *_UNITS), text
    return math.isclose(number * scale, exact, rel_tol=6e-3, abs_tol=5.1e-4)


_UNITS: dict[str, Any] = {"%": 0.01, "byte": 1, "bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}
