"""The walls of the house: who may know whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from core.workspace import REPOSITORY

CORE = sorted((REPOSITORY / "core").rglob("*.py"))
PAGES = sorted((REPOSITORY / "pages").rglob("*.py"))
SOURCES = [REPOSITORY / "app.py", *PAGES, *CORE]
# The worker is where the rooms meet; no module imports it, so it closes no circle.
PROGRAMS = {
    "core.training.worker",
    "core.training.job",
    "core.training.finishing",
    "core.training.trials.lr_finder",
    "core.training.trials.preflight",
    "core.training.trials.previews",
    "core.training.trials.trial",
    "core.training.trials.trial_finish",
    "core.runs.turn",
    "core.runs.ending",
    "core.__main__",
    "core.verbs_training",
    "core.verbs_runs",
    "core.verbs_sweeps",
    "core.verbs_compare",
    "core.verbs_serving",
    "core.verbs_report",
    "core.verbs_exports",
    "core.verbs_pruning",
    "core.verbs_predict",
    "core.sweeps.work",
    "core.evaluation.saliency_job",
    "core.exports.job",
    "core.evaluation.explainer_helper",
    "core.inference.batch_job",
    "core.docs",
}
FOUNDATION = {
    "core.architectures",
    "core.schedule",
    "core.preprocess",
    "core.workspace",
    "core.config",
    "core.errors",
    "core.files",
    "core.jobs",
    "core.listening",
    "core.processes",
    "core.onnx_runtime",
    "core.wording",
}
MAY_IMPORT = {
    "core.data": {"core.data"},
    "core.runs": {"core.runs"},
    "core.sweeps": {"core.sweeps", "core.runs", "core.evaluation"},
    "core.training": {"core.training", "core.data"},
    "core.inference": {"core.inference", "core.training", "core.data"},
    "core.evaluation": {"core.evaluation", "core.inference", "core.training", "core.data", "core.runs"},
    "core.serving": {"core.serving", "core.evaluation", "core.inference", "core.runs"},
    "core.exports": {"core.exports", "core.evaluation", "core.inference", "core.training", "core.data", "core.runs"},
    "core.handover": {
        *("core.handover", "core.evaluation", "core.inference", "core.data", "core.runs", "core.exports"),
        *("core.charts", "core.charts_conditions", "core.charts_evaluation", "core.charts_trust"),
    },
}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path, at_top: bool = False) -> set[str]:
    """Modules a file imports, anywhere in it or only when it is itself imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    nodes = list(tree.body) if at_top else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _room(module: str) -> str:
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("path", CORE, ids=_name)
def test_core_knows_no_streamlit_and_no_pages(path: Path) -> None:
    assert not {module for module in _imports(path) if module.split(".")[0] in ("streamlit", "pages", "app")}


@pytest.mark.parametrize("path", [path for path in CORE if _name(path) not in PROGRAMS], ids=_name)
def test_rooms_of_core_import_only_downwards(path: Path) -> None:
    name = _name(path)
    allowed = MAY_IMPORT.get(_room(name), set()) | FOUNDATION | {"core"}
    if name == "core.charts":
        allowed = {"core.wording", "core"}
    elif name == "core.charts_evaluation":
        allowed = {"core.wording", "core.charts", "core.evaluation", "core"}  # arithmetic, no files
    elif name == "core.charts_data":
        allowed = {"core.wording", "core.charts", "core"}
    elif name in ("core.charts_sweeps", "core.charts_compare", "core.charts_trust", "core.charts_conditions"):
        allowed = {"core.wording", "core.charts", "core"}
    elif name == "core.charts_training":
        allowed = {"core.wording", "core.charts", "core.config", "core.schedule", "core"}
    elif name in FOUNDATION:
        allowed = FOUNDATION | {"core"}
    used = {_room(module) for module in _imports(path) if module.split(".")[0] == "core"}
    inside = {_room(f"core.{part.stem}") for part in (REPOSITORY / "core").iterdir()}
    assert used & inside <= allowed, f"{name} reaches into {sorted(used & inside - allowed)}"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_nobody_imports_a_program(path: Path) -> None:
    imported = _imports(path) & PROGRAMS
    # The worker says who it is before it imports the slow rest; the README is made from the command line's own help.
    allowed = {
        "core.training.worker": {"core.training.job"},
        "core.training.job": {"core.training.finishing"},
        "core.training.trials.trial_finish": {"core.training.finishing"},
        "core.training.trials.preflight": {"core.training.trials.trial", "core.training.trials.trial_finish"},
        "core.training.trials.lr_finder": {"core.training.trials.trial"},
        "core.training.trials.previews": {"core.training.trials.trial"},
        "core.__main__": {
            "core.verbs_training",
            "core.verbs_runs",
            "core.verbs_sweeps",
            "core.verbs_compare",
            "core.verbs_serving",
            "core.verbs_exports",
            "core.verbs_pruning",
            "core.verbs_predict",
            "core.verbs_report",
        },
        "core.verbs_sweeps": {"core.verbs_training"},
        "core.verbs_compare": {"core.verbs_training"},
        "core.verbs_report": {"core.verbs_training"},
        "core.verbs_exports": {"core.verbs_training"},
        "core.verbs_pruning": {"core.verbs_training"},
        "core.docs": {"core.__main__"},
    }
    assert imported <= allowed.get(_name(path), set())


@pytest.mark.parametrize("name", ["engine", "fitting", "stepping", "progress", "totals", "optimizers", "numerics"])
def test_the_engine_knows_neither_files_nor_pages(name: str) -> None:
    used = _imports(REPOSITORY / f"core/training/loop/{name}.py")
    assert not used & {"pathlib", "core.files", "core.workspace", "core.jobs", "core.runs.store", "json"}


@pytest.mark.parametrize("path", [path for path in PAGES if path.parent.name == "pages"], ids=_name)
def test_no_page_imports_a_page_and_none_is_long(path: Path) -> None:
    others = {_name(page) for page in PAGES if page.parent.name == "pages" and page.stem != "__init__"}
    assert not _imports(path) & others
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("path", [path for path in PAGES if path.parent.name == "_components"], ids=_name)
def test_components_do_not_reach_up_to_pages(path: Path) -> None:
    used = {module for module in _imports(path) if module.startswith("pages")}
    assert all(module == "pages" or module.startswith("pages._components") for module in used)


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_every_module_says_what_it_is_and_every_function_is_typed(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) or not tree.body
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            plain = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            untyped = [arg.arg for arg in plain if arg.annotation is None and arg.arg not in ("self", "cls")]
            assert node.returns is not None and not untyped, f"{path.name}:{node.lineno} {node.name} {untyped}"


@pytest.mark.parametrize("path", [path for path in CORE if _name(path) != "core.workspace"], ids=_name)
def test_only_the_workspace_knows_the_environment_variable(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Subscript | ast.Call)}
    assert not any("environ" in text and "DARKROOM_HOME" in text for text in used)


def test_what_pages_import_comes_without_torch() -> None:
    wanted = {module for path in PAGES for module in _imports(path) if module.startswith("core")}
    real = sorted(module for module in wanted if (REPOSITORY / (module.replace(".", "/") + ".py")).is_file())
    assert "core.inference.classifier" in real
    code = f"import sys, importlib; [importlib.import_module(m) for m in {real!r}]; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


def test_nothing_is_unpickled() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                call = ast.unparse(node.func)
                assert call not in ("pickle.load", "pickle.loads", "joblib.load", "eval", "exec"), path
                if call == "torch.load":
                    assert any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords), path
