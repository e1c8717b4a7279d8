"""predict.py alone does what Darkroom does, with numpy, pillow and one runtime."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from core.exports.registry import FORMATS
from core.exports.script import predict_script
from core.inference.classifier import open_classifier
from tests.exports.conftest import PLAIN, Made

MODULE_OF = {"pillow": "PIL"}


def _run(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(folder / "predict.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder.parent)


def test_it_answers_as_darkroom_does(made: Made, tmp_path: Path) -> None:
    with zipfile.ZipFile(made.package("onnx").with_name("onnx.zip")) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / f"{made.run.id}-onnx"
    images = sorted(made.images.rglob("*.png"))[::9]
    broken = tmp_path / "broken.png"
    broken.write_bytes(images[0].read_bytes()[:200])
    done = _run(folder, *images, broken, "--json", "--top", 3)
    found = json.loads(done.stdout.splitlines()[-1])["predictions"]
    wanted = open_classifier(made.run.bundle).classify([*images, broken], [str(path) for path in (*images, broken)])
    assert done.returncode == 1 and found[-1]["error"] == wanted[-1].error and found[-1]["label"] is None
    for row, answer in zip(found[:-1], wanted[:-1], strict=True):
        assert (row["path"], row["label"], row["sure"]) == (answer.name, answer.label, answer.sure)
        assert (row["familiar"], row["accepted"]) == (answer.familiar, answer.accepted)
        assert [name for name, _ in row["top"]] == [name for name, _ in answer.top]
        assert [share for _, share in row["top"]] == pytest.approx([share for _, share in answer.top], abs=1e-6)
    spoken = _run(folder, images[0], broken)
    assert spoken.returncode == 1 and found[0]["label"] in spoken.stdout and "broken.png" in spoken.stderr
    assert _run(folder, broken).returncode == 2 and _run(folder).returncode == 2


@pytest.mark.parametrize("key", FORMATS)
def test_the_program_needs_its_runtime_alone(key: str, tmp_path: Path) -> None:
    chosen = FORMATS[key]
    text = predict_script(chosen.runtime, chosen.packages)
    allowed = {"numpy", "PIL", "pillow_heif"} | {
        MODULE_OF.get(name, name).replace("-", "_") for name in chosen.packages
    }
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    assert found - set(sys.stdlib_module_names) <= allowed
    path = tmp_path / "predict.py"
    path.write_text(text)
    # No name that nothing defines: what was left out of a module may be what the rest of it uses.
    checked = subprocess.run(
        ["ruff", "check", "--isolated", "--select", "F,E9", str(path)], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("key", PLAIN)
def test_a_package_is_whole(made: Made, key: str) -> None:
    folder = made.package(key)
    names = {path.name for path in folder.iterdir()}
    whole = {"labels.json", "spec.json", "predict.py", "README.md", "requirements.txt", "parity.json"}
    assert names == whole | {FORMATS[key].model}
    lines = (folder / "requirements.txt").read_text().split()
    assert all("==" in line for line in lines) and {line.split("==")[0] for line in lines} >= {"numpy", "pillow"}
    readme = (folder / "README.md").read_text()
    assert "15 of 15 test images" in readme and "[0.485, 0.456, 0.406]" in readme and "1.7" in readme
