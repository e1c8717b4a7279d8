"""What stands in a report on when to believe the model: its confidence, where it is worse, and what was tried on it."""

from __future__ import annotations

from core.handover.markup import Section, Told, paragraph, table, text
from core.wording import count, percent, significant

MOST_PARTS = 25
_FIGURES = (
    ("nll", "Log-loss (nats)", significant),
    ("ece", "Calibration error (ECE)", percent),
    ("brier", "Brier score", significant),
    ("mean_confidence", "Mean confidence", percent),
    ("accuracy", "Right", percent),
)


def confidence(told: Told, plots: dict[str, str]) -> Section | None:
    """Calibration, abstention and images unlike its own."""
    found = told.document.get("calibration")
    if found is None or "test" not in found:
        return None
    body = plots.get("reliability", "")
    if found["reason"] is None:
        body += paragraph(
            f"The logits are divided by a temperature of {told.figure('calibration/temperature', significant)}, fitted "
            f"on {told.figure('calibration/fitted_on', count)} validation images. It changes no answer, only how sure "
            "the model says it is."
        )
    else:
        body += paragraph(f"No temperature was fitted: {text(found['reason'])}.")
    rows = [
        [text(title), *(told.figure(f"calibration/test/{when}/{name}", show) for when in ("before", "after"))]
        for name, title, show in _FIGURES
    ]
    body += table(["Of the test images", "As trained", "With the temperature"], rows)
    body += _abstention(told, plots) + _unknown(told)
    return Section("confidence", "When can its confidence be trusted?", body)


def parts(told: Told, plots: dict[str, str]) -> Section | None:
    """Parts of the test images, the worst first."""
    found = told.document.get("slices")
    if not found or not found["rows"]:
        return None
    rows = [
        [
            text(row["by"]),
            text(row["value"]) + (" <b>worse beyond chance</b>" if row["conspicuous"] else ""),
            told.interval(f"slices/rows/{at}/accuracy", f"slices/rows/{at}/low", f"slices/rows/{at}/high"),
            told.figure(f"slices/rows/{at}/rest"),
            told.figure(f"slices/rows/{at}/images", count),
            told.figure(f"slices/rows/{at}/p", significant),
        ]
        for at, row in enumerate(found["rows"][:MOST_PARTS])
    ]
    header = ["By", "Part", "Right (95 %)", "All others", "Test images", "p, corrected"]
    body = paragraph(text(found["sentence"])) + plots.get("slices", "") + table(header, rows, words=2)
    body += paragraph(
        "p is the chance of a difference this large if there were none, corrected for how many parts were compared "
        "(Fisher's exact test, Holm).",
        "note",
    )
    return Section("parts", "On which images is it worse?", body)


def spoiled(told: Told, plots: dict[str, str]) -> Section | None:
    """Accuracy on images that something went wrong with."""
    found = told.document["robustness"]
    if found is None:
        return None
    rows = [
        [
            text(row["title"]),
            text(f"{row['severity']}: {row['amount']}" if row["severity"] else "as they are"),
            told.interval(f"robustness/rows/{at}/accuracy", f"robustness/rows/{at}/low", f"robustness/rows/{at}/high"),
        ]
        for at, row in enumerate(found["rows"])
    ]
    body = paragraph(text(found["sentence"])) + plots.get("robustness", "")
    body += table(["Corruption", "Severity", "Right (95 %)"], rows, words=2)
    body += paragraph(
        f"Of {told.figure('robustness/images', count)} test images, classified anew for this; not from the answers "
        "above.",
        "note",
    )
    return Section("spoiled", "How much can go wrong with an image?", body)


def maps(told: Told, plots: dict[str, str]) -> Section | None:
    """Whether its maps of where it looks can be believed."""
    found = told.document["saliency"]
    if found is None:
        return None
    if found["fault"]:
        body = paragraph(f"None of the maps can be believed. {text(found['fault'])}")
    else:
        body = paragraph(
            f"{told.figure('saliency/believed', count)} of {told.figure('saliency/maps', count)} maps passed their "
            f"checks: hiding and showing what they mark moves the answer by "
            f"{told.figure('saliency/gain', percent)} of probability more than the same map moved elsewhere (at least "
            f"{told.figure('saliency/gain_low', percent)}, 95 % sure)."
        )
    body += paragraph(f"Made from {text(found['way'])} of the network.", "note")
    return Section("maps", "Can maps of where it looks be believed?", body)


def elsewhere(told: Told, plots: dict[str, str]) -> Section | None:
    """What it did on other labelled images."""
    found = told.document["other_data"]
    if not found:
        return None
    rows = [
        [
            text(row["name"]),
            told.interval(f"other_data/{at}/accuracy", f"other_data/{at}/low", f"other_data/{at}/high"),
            told.figure(f"other_data/{at}/balanced_accuracy"),
            told.figure(f"other_data/{at}/num_images", count),
            text(row["left_out"]),
        ]
        for at, row in enumerate(found)
    ]
    body = table(["Dataset", "Right (95 %)", "Balanced accuracy", "Images", "Left out"], rows)
    body += "".join(
        paragraph(
            f"{text(row['name'])}: labels taken for classes: "
            + text(", ".join(f"{label} \N{RIGHTWARDS ARROW} {name}" for label, name in row["mapping"].items() if name))
            + ".",
            "note",
        )
        for row in found
    )
    return Section("elsewhere", "How good is it on other data?", body)


def diagnosis(told: Told, plots: dict[str, str]) -> Section | None:
    """What seems wrong with its training or its data."""
    found = told.document.get("diagnosis")
    if not found:
        return None
    remarks = found.get("remarks", [])
    if not remarks:
        return Section("diagnosis", "Is something wrong with it?", paragraph(text(found.get("sentence", ""))))
    body = "".join(
        f"<li><b>{text(remark.get('title', ''))}</b> {text(remark.get('finding', ''))} {text(remark.get('advice', ''))}"
        "</li>"
        for remark in remarks
    )
    return Section("diagnosis", "Is something wrong with it?", f"<ul>{body}</ul>")


def _abstention(told: Told, plots: dict[str, str]) -> str:
    found = told.document.get("abstention")
    if found is None:
        return ""
    body = "<h3>When it should say that it is not sure</h3>" + plots.get("coverage", "")
    rows = []
    for at, row in enumerate(found["targets"]):
        here = f"abstention/targets/{at}"
        if row["test"] is None:
            effect = ["too few validation images to promise it", "", ""]
        else:
            error = told.interval(f"{here}/test/error", f"{here}/test/error_low", f"{here}/test/error_high")
            effect = [told.figure(f"{here}/threshold"), told.figure(f"{here}/test/coverage"), error]
        rows.append([told.figure(f"{here}/target"), *effect])
    header = ["Wrong answers at most", "Answer from a confidence of", "Test images answered", "Wrong of those (95 %)"]
    body += table(header, rows, words=0)
    body += paragraph(
        f"Thresholds are chosen on the validation images so that the target holds for images like these, "
        f"{told.figure('abstention/promise')} sure; the test images had no part in it.",
        "note",
    )
    if told.document["threshold"] is not None:
        body += paragraph(
            f"Stored with the model: below {told.figure('threshold/threshold')} it is not sure. Of the test images "
            f"{told.figure('threshold/answered', count)} of {told.figure('threshold/images', count)} get an answer and "
            f"{told.figure('threshold/wrong', count)} of those are wrong: "
            f"{told.interval('threshold/error', 'threshold/error_low', 'threshold/error_high')}."
        )
    else:
        body += paragraph("No threshold is stored with the model: it answers everything.")
    return body


def _unknown(told: Told) -> str:
    found = told.document.get("unknown")
    if not found or found["measure"] is None or not found["test"]["images"]:
        return ""
    ends = "unknown/test/low", "unknown/test/high"
    return "<h3>Images unlike its own</h3>" + paragraph(
        f"By the {text(found['measure'])} of its {'features' if found['measure'] == 'distance' else 'logits'}, "
        f"{told.interval('unknown/test/share', *ends)} of its own {told.figure('unknown/test/images', count)} test "
        "images are called strange; that is the price of noticing others."
    )
