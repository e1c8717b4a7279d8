"""What stands in a report on where it comes from: speed, images, split, training, the way to repeat it, and hashes."""

from __future__ import annotations

from typing import Any

from core.data.leaks import SPLITS
from core.handover.markup import Section, Told, code, pairs, paragraph, plainly, table, text
from core.handover.results import MOST_CLASSES
from core.wording import bytes_size, count, duration, significant

_SIZES = {"width": ("Width (pixels)", count), "height": ("Height (pixels)", count), "num_bytes": ("File", bytes_size)}


def speed(told: Told, plots: dict[str, str]) -> Section | None:
    """How fast it answers, by each way to run it."""
    found = told.document["speed"]
    if found is None:
        return None
    rows = []
    for at, row in enumerate(found["engines"]):
        here = f"speed/engines/{at}"
        size = told.figure(f"{here}/num_bytes", bytes_size)
        if row["problem"]:
            rows.append([text(row["title"]), size, text(row["problem"]), "", "", ""])
            continue
        single, batch = f"{here}/speeds/0", f"{here}/speeds/1"
        figures = [(f"{single}/latency_ms_p50", significant), (f"{single}/latency_ms_p95", significant)]
        figures += [(f"{single}/images_per_s", significant), (f"{batch}/images_per_s", significant)]
        rows.append([text(row["title"]), size, *(told.figure(*one) for one in figures)])
    header = ["Run by", "Model file", "One image, ms (median)", "95 % within", "Images/s singly", "Images/s in batches"]
    batch = next((row["speeds"][1]["batch_size"] for row in found["engines"] if row["speeds"]), None)
    reading = "" if found["decode_ms"] is None else " Reading and fitting one image takes {} ms more."
    body = paragraph(text(found["sentence"])) + table(header, rows)
    body += paragraph(
        f"The network alone, on {told.figure('speed/threads', count)} threads of the machine it was measured on, "
        f"{told.figure('speed/load', significant)} other processes computing just before; batches of {text(batch)}."
        + reading.format(told.figure("speed/decode_ms", significant)),
        "note",
    )
    return Section("speed", "How fast does it answer?", body)


def exports(told: Told, plots: dict[str, str]) -> Section | None:
    """What it was exported to, and whether each export proved to be the same model."""
    found = told.document["exports"]
    if not found:
        return None
    rows = [
        [
            text(row["name"]),
            "ready" if row["ready"] else f"not ready: {text(row['problem'])}",
            told.figure(f"exports/{at}/agreement"),
            told.figure(f"exports/{at}/max_probability_gap", significant),
            told.figure(f"exports/{at}/accuracy_before"),
            told.figure(f"exports/{at}/accuracy_after"),
            told.figure(f"exports/{at}/size_bytes", bytes_size),
        ]
        for at, row in enumerate(found)
    ]
    header = ["Format", "State", "Same class", "Largest gap", "Right before", "Right after", "Model file"]
    body = table(header, rows, words=2)
    body += paragraph(
        "Each export has answered all test images by its own program; largest gap is the largest difference of any "
        "class's probability on any image from PyTorch's.",
        "note",
    )
    return Section("exports", "Does what was exported do the same?", body)


def images(told: Told, plots: dict[str, str]) -> Section:
    """The data card."""
    card = told.document["data"]
    since = "" if card["version"] == card["version_now"] else f" (today {text(plainly(card['version_now']))})"
    body = pairs(
        [
            ("Dataset", text(plainly(card["name"] or card["dataset"]))),
            ("Read from", text(plainly(card["source"]))),
            ("Read as", text(plainly(card["layout"]))),
            ("Version", text(plainly(card["version"])) + since),
            ("Corrections in force", told.figure("data/corrections", count)),
            ("Images", told.figure("data/images", count)),
            ("Classes", told.figure("data/classes", count)),
            ("Unreadable files", told.figure("data/unreadable", count)),
            ("Excluded by hand", told.figure("data/excluded", count)),
            ("In all", told.figure("data/total_bytes", bytes_size)),
            ("File formats", _counts(told, "data/formats")),
            ("Colour modes", _counts(told, "data/modes")),
            ("Flagged by checks", _counts(told, "data/checks") or "none"),
        ]
    )
    sizes = [
        [text(title), *(told.figure(f"data/sizes/{name}/{which}", show) for which in ("least", "median", "most"))]
        for name, (title, show) in _SIZES.items()
        if name in card["sizes"]
    ]
    body += table(["Size", "Least", "Median", "Most"], sizes)
    body += "".join(paragraph(text(note), "note") for note in card["notes"])
    return Section("images", "Which images is it made from?", body)


def split(told: Told, plots: dict[str, str]) -> Section:
    """The split and what leaks."""
    found = told.document["split"]
    every = found["by_class"]
    places = sorted(range(len(every)), key=lambda at: every[at]["train"])[:MOST_CLASSES]
    rows = [
        [text(every[at]["label"]), *(told.figure(f"split/by_class/{at}/{name}", count) for name in SPLITS)]
        for at in (places if len(every) > MOST_CLASSES else range(len(every)))
    ]
    rows.append(["<b>In all</b>", *(told.figure(f"split/totals/{name}", count) for name in SPLITS)])
    body = paragraph(text(found["sentence"])) + table(["Class", "Training", "Validation", "Test"], rows)
    if len(every) > MOST_CLASSES:
        body += paragraph(f"The {MOST_CLASSES} classes with the fewest training images.", "note")
    leaks = [
        ("Groups of duplicates", "num_groups"),
        ("of these on both sides", "num_straddling"),
        ("Groups by their source", "num_source_groups"),
        ("of these on both sides ", "num_source_straddling"),
        ("Test images with company in training or validation", "num_test_affected"),
        ("Set aside for that", "num_set_aside"),
    ]
    body += pairs([(title, told.figure(f"split/leaks/{name}", count)) for title, name in leaks])
    return Section("split", "How were they divided, and does anything leak?", body)


def training(told: Told, plots: dict[str, str]) -> Section:
    """How it was trained, and the command that does it again."""
    found, model = told.document["training"], told.document["model"]
    body = plots.get("loss", "") + plots.get("accuracy", "")
    took = found["seconds"]
    if took:
        body += paragraph("It took " + text(", ".join(f"{duration(took[name])} {name}" for name in took)) + ".")
    spec = model["preprocess"]
    shape = f"{spec['size']} x {spec['size']} pixels, {spec['resize']}, {spec['interpolation']}"
    body += pairs(
        [
            ("Network", text(model["architecture"])),
            ("Weights", told.figure("model/num_bytes", bytes_size)),
            ("Images are fitted to", text(shape)),
            ("Mean and standard deviation", text(f"{plainly(spec['mean'])} and {plainly(spec['std'])}")),
            ("Hash of the preprocessing", f"<code>{text(model['preprocess_hash'])}</code>"),
            ("Seed", told.figure("training/seed", str)),
            ("Seed of the split", told.figure("training/split_seed", str)),
            *(_parity(told) if model["parity"] else ()),
        ]
    )
    return Section("training", "How was it trained?", body)


def again(told: Told, plots: dict[str, str]) -> Section:
    """The command, the software, and all settings."""
    found = told.document["training"]
    body = paragraph("This command repeats the run on the same dataset:") + code(found["command"])
    around = found["environment"]
    if around is None:
        body += paragraph("Which software it was trained with was not noted then.")
    else:
        changed = " with changes" if around["modified"] else ""
        device = around["device"]
        rows = [("Darkroom", text(plainly(around["darkroom"]) + changed)), ("Python", text(around["python"]))]
        rows += [("System", text(around["platform"])), ("Trained on", text(f"{device['name']}, {device['kind']}"))]
        rows += [(name, text(plainly(version))) for name, version in around["packages"].items()]
        body += pairs(rows)
    marked = found["changed"]
    settings = [
        [f"<code>{text(name)}</code>", text(plainly(value)) + (" *" if name in marked else "")]
        for name, value in found["config"].items()
    ]
    body += f'<div class="settings">{table(["Setting", "Value"], settings, words=2)}</div>'
    body += paragraph(f"Settings with a star differ from the preset {text(found['preset'])}.", "note")
    return Section("again", "How can it be repeated?", body)


def files(told: Told, plots: dict[str, str]) -> Section:
    """The hashes, and how to work the figures out again."""
    run = told.document["run"]["id"]
    rows = [
        [f"<code>{text(row['file'])}</code>", f"<code>{text(row['sha256'])}</code>", bytes_size(row["num_bytes"])]
        for row in told.document["hashes"]
    ]
    body = paragraph(
        "Figures on the test images are worked out from the run's <code>predictions.parquet</code>, those on images "
        "and split from its <code>manifest.parquet</code>. Who has the run's folder can have this file "
        "checked against it:"
    )
    body += code(f"python -m core report {run} --check THIS_FILE")
    return Section("files", "What can be checked?", body + table(["File", "SHA-256", "Size"], rows, words=2))


def _counts(told: Told, place: str) -> str:
    found: dict[str, Any] = told.at(place)
    return ", ".join(f"{text(name)} ({text(count(number))})" for name, number in found.items())


def _parity(told: Told) -> list[tuple[str, str]]:
    parity = told.document["model"]["parity"]
    if not parity.get("agrees"):
        return [("ONNX graph", text(f"withheld: {parity.get('reason', 'not compared')}"))]
    worst, images = told.figure("model/parity/worst_gap", significant), told.figure("model/parity/num_images", count)
    return [("ONNX graph", f"agrees with the weights on {images} images, worst gap {worst}")]
