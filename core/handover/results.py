"""What stands in a report on how good the model is: headline, scores, classes, mistakes."""

from __future__ import annotations

from functools import partial

from core.evaluation.metrics import normalise_rows
from core.evaluation.scores import TITLES, shown
from core.handover.document import matrix
from core.handover.failures import MOST_SHOWN
from core.handover.markup import Section, Told, paragraph, table, text
from core.wording import count

MOST_SKIPPED = 10  # unreadable images that are named
MOST_CLASSES = 200  # told in a table: those of a thousand would fill forty sheets
MOST_IN_A_MATRIX = 12  # classes, up to which its cells are told one by one; beyond, they are drawn


def summary(told: Told, plots: dict[str, str]) -> Section:
    """The result in one sentence, and what it has to be measured by."""
    low, high = "summary/low", "summary/high"
    figures = [
        ("Test accuracy, 95 % interval", told.interval("summary/test_accuracy", low, high)),
        ("Validation accuracy", told.figure("summary/val_accuracy")),
        ("Always the commonest class", told.figure("summary/majority_baseline")),
        ("Test images", told.figure("summary/num_test", count)),
        ("of these wrong", told.figure("summary/num_wrong", count)),
    ]
    tiles = "".join(f'<div class="tile"><span>{text(name)}</span><b>{value}</b></div>' for name, value in figures)
    body = paragraph(text(told.document["headline"]), "lead") + f'<div class="tiles">{tiles}</div>'
    body += paragraph(text(told.document["split"]["sentence"]))
    if note := told.document["run"]["note"]:
        body += paragraph(text(note))
    if skipped := told.document["skipped"]:
        named = "; ".join(f"{row['path']} ({row['error']})" for row in skipped[:MOST_SKIPPED])
        rest = f"; and {len(skipped) - MOST_SKIPPED} more" if len(skipped) > MOST_SKIPPED else ""
        body += paragraph(text(f"Left out, as they could not be read: {named}{rest}."), "note")
    return Section("summary", "How good is this model?", body)


def numbers(told: Told, plots: dict[str, str]) -> Section:
    """Every score with its interval, beside what no skill would get."""
    rows = []
    for name in (name for name in TITLES if name in told.document["metrics"]):
        at, show = f"metrics/{name}", partial(shown, name)
        title, meaning = TITLES[name]
        rows.append(
            [
                f"{text(title)}<br><small>{text(meaning)}</small>",
                told.interval(f"{at}/value", f"{at}/low", f"{at}/high", show),
                told.figure(f"{at}/majority", show),
                told.figure(f"{at}/chance", show),
            ]
        )
    body = plots.get("scores", "") + table(["Measure", "This model (95 %)", "Commonest class", "Guessing"], rows)
    body += paragraph(
        "Intervals say where a figure plausibly lies for endless images like these; they know nothing of images of "
        "another kind.",
        "note",
    )
    return Section("numbers", "All numbers", body)


def confusion(told: Told, plots: dict[str, str]) -> Section:
    """What is taken for what."""
    classes, pairs = told.document["confusion"]["classes"], told.document["pairs"]
    body = _matrix(told, classes) if len(classes) <= MOST_IN_A_MATRIX else plots.get("confusion", "")
    rows = [
        [
            text(row["true"]),
            text(row["predicted"]),
            told.figure(f"pairs/{at}/images", count),
            told.figure(f"pairs/{at}/share"),
        ]
        for at, row in enumerate(pairs)
    ]
    if rows:
        body += "<h3>Commonest mistakes</h3>"
        body += table(["True class", "Taken for", "Test images", "Of the true class"], rows, words=2)
    else:
        body += paragraph("Not one test image was answered wrongly.")
    return Section("confusion", "What is taken for what?", body)


def classes(told: Told, plots: dict[str, str]) -> Section:
    """Each class on its own."""
    every = told.document["per_class"]
    places = sorted(range(len(every)), key=lambda at: every[at]["f1"])[:MOST_CLASSES]
    rows = []
    for at in places if len(every) > MOST_CLASSES else range(len(every)):
        row = every[at]
        here = f"per_class/{at}"
        cells = [
            told.interval(f"{here}/{name}", f"{here}/{name}_low", f"{here}/{name}_high")
            for name in ("precision", "recall", "f1", "auc")
        ]
        average, support = told.figure(f"{here}/average_precision"), told.figure(f"{here}/support", count)
        rows.append([text(row["label"]), *cells, average, support])
    header = ["Class", "Precision", "Recall", "F1", "ROC area", "Average precision", "Test images"]
    note = f"The {MOST_CLASSES} with the lowest F1; all of them are in the JSON and CSV files."
    shown_of = paragraph(note, "note") if len(every) > MOST_CLASSES else ""
    body = plots.get("classes", "") + shown_of + table(header, rows) + plots.get("roc", "") + plots.get("precision", "")
    return Section("classes", "Which classes are hard?", body)


def failures(told: Told, plots: dict[str, str], pictures: dict[str, str]) -> Section:
    """The mistakes themselves, with their images."""
    found = told.document["failures"]
    if not found["num"]:
        return Section("failures", "What did it get wrong?", paragraph("Not one test image was answered wrongly."))
    pictured = found["rows"][:MOST_SHOWN]
    tiles = []
    for at, row in enumerate(pictured):
        source = pictures.get(row["path"])
        words = f"{row['path']}: {row['label']} taken for {row['predicted']}"
        image = f'<img src="{source}" alt="{text(words)}">' if source else '<span class="gone">no picture</span>'
        tiles.append(
            f'<div class="failure"><div class="square">{image}</div><div>true <b>{text(row["label"])}</b></div>'
            f"<div>predicted <b>{text(row['predicted'])}</b>, {told.figure(f'failures/rows/{at}/confidence')}</div>"
            f'<div class="path">{text(row["path"])}</div></div>'
        )
    rest = "" if len(pictured) == found["num"] else f"; the first {len(pictured)} are shown"
    body = paragraph(
        f"{told.figure('failures/num', count)} of {told.figure('summary/num_test', count)} test images, the most "
        f"confident mistake first{rest}. What a "
        "model is sure of and wrong about is often a wrong label. Confidences are those before any temperature."
    )
    return Section("failures", "What did it get wrong?", body + f'<div class="failures">{"".join(tiles)}</div>')


def _matrix(told: Told, classes: list[str]) -> str:
    """All cells as a table, the darker the larger the share of the true class."""
    places = {(true, answered): at for at, (true, answered, _) in enumerate(told.document["confusion"]["cells"])}
    counts = matrix(told.document)
    shares = normalise_rows(counts)
    rows = []
    for true, name in enumerate(classes):
        cells = [
            f'<span class="cell" style="background: rgb(0 114 178 / {0.45 * shares[true, answered]:.2f})">'
            + (told.figure(f"confusion/cells/{places[true, answered]}/2", count) if counts[true, answered] else "0")
            + "</span>"
            for answered in range(len(classes))
        ]
        rows.append([text(name), *cells])
    return table(["True \\ answered", *classes], rows)
