"""Starting weights from an earlier run or a file: what fits is taken over, the rest is listed, no code is run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from core.config import ModelConfig
from core.errors import InputError
from core.training.models import build_network
from core.training.models.blank import without_memory
from core.training.models.network import Network
from core.training.models.torchvision_nets import with_positions_for
from core.training.models.weights import read_tensors
from core.workspace import Workspace


def built(num_classes: int = 3, image_size: int = 32, ws: Workspace | None = None, **choice: object) -> Network:
    model = ModelConfig.model_validate({"architecture": "small_cnn", "weights": "random", "tune": "all"} | choice)
    return build_network(model, num_classes, image_size, ws)


def from_file(path: Path, **choice: object) -> Network:
    return built(weights="file", weights_from=str(path), **choice)


def test_an_earlier_run_is_gone_on_from(workspace: Workspace) -> None:
    earlier = built(num_classes=5)
    folder = workspace.run("2026-earlier") / "bundle"
    folder.mkdir(parents=True)
    state = earlier.state_dict()
    state["backbone.1.num_batches_tracked"] = torch.tensor([7])  # a list of one number, as early bundles hold it
    save_file(state, folder / "model.safetensors")
    (folder / "model.json").write_text(json.dumps({"architecture": "small_cnn"}))
    chosen = {"weights": "run", "weights_from": "2026-earlier", "ws": workspace}
    network = built(num_classes=3, **chosen)
    assert torch.equal(network.backbone[0].weight, earlier.backbone[0].weight)
    assert torch.equal(network.backbone[1].running_mean, earlier.backbone[1].running_mean)
    assert network.backbone[1].num_batches_tracked.item() == 7
    loaded = network.loaded
    assert loaded is not None and loaded.source == "run 2026-earlier" and loaded.matched == 18  # 3 x (1 + 5)
    assert loaded.missing == [] and loaded.unexpected == []
    assert loaded.mismatched == ["head.1.weight: 5 x 128 there, 3 x 128 here", "head.1.bias: 5 there, 3 here"]
    assert "18 of 20 tensors" in loaded.sentence()
    again = built(num_classes=5, **chosen)
    assert again.loaded is not None and again.loaded.matched == 20 and not again.loaded.mismatched
    with pytest.raises(InputError, match="fits resnet18.*model.architecture.*, small_cnn"):
        built(architecture="resnet18", **chosen)
    with pytest.raises(InputError, match="Run none has no model"):
        built(**chosen | {"weights_from": "none"})
    with pytest.raises(InputError, match="not the id of a run"):
        built(**chosen | {"weights_from": "../elsewhere"})


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: state,
        lambda state: {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {"model": {f"_orig_mod.{name}": value for name, value in state.items()}, "optimizer": {}},
    ],
    ids=["plain", "DataParallel in a checkpoint", "compiled"],
)
def test_a_state_dict_of_torchvision_fits_however_it_was_wrapped(
    tmp_path: Path, wrapped: Callable[[dict[str, torch.Tensor]], object]
) -> None:
    from torchvision.models import resnet18

    theirs = resnet18(num_classes=3)
    torch.save(wrapped(theirs.state_dict()), tmp_path / "theirs.pth")
    network = from_file(tmp_path / "theirs.pth", architecture="resnet18").eval()
    assert network.loaded is not None and network.loaded.matched == len(theirs.state_dict())
    images = torch.rand(2, 3, 32, 32)
    assert torch.allclose(network(images), theirs.eval()(images), atol=1e-6)  # last layer included


def test_what_does_not_fit_is_listed(tmp_path: Path) -> None:
    state = {f"backbone.{name}": value for name, value in built().backbone.state_dict().items()}
    state["backbone.0.weight"] = torch.rand(32, 1, 3, 3)  # of grey images
    state["backbone.extra"] = torch.rand(2)
    save_file(state, tmp_path / "other.safetensors")
    loaded = from_file(tmp_path / "other.safetensors").loaded
    assert loaded is not None and loaded.matched == 17 and loaded.unexpected == ["backbone.extra"]
    assert loaded.mismatched == ["backbone.0.weight: 32 x 1 x 3 x 3 there, 32 x 3 x 3 x 3 here"]
    assert loaded.missing == ["head.1.weight", "head.1.bias"]


def test_weights_that_fit_nothing_are_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(3, 3).state_dict(), tmp_path / "linear.pt")
    with pytest.raises(InputError, match="Nothing in .*linear.pt fits small_cnn"):
        from_file(tmp_path / "linear.pt")


def test_a_pickled_network_is_refused_and_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            import os

            return os.system, (f"touch {tmp_path / 'owned'}",)

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pt")
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pt")
    for name in ("evil.pt", "whole.pt"):
        with pytest.raises(InputError, match="would run code.*state_dict"):
            from_file(tmp_path / name)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("name", "content"), [("a.pt", b""), ("a.pt", b"no weights"), ("a.safetensors", b"no weights")]
)
def test_a_damaged_file_is_refused_in_words(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} (cannot be read as weights|holds more than tensors)"):
        read_tensors(tmp_path / name)


def test_a_file_without_names_or_none_at_all_is_refused(tmp_path: Path) -> None:
    torch.save([torch.rand(2)], tmp_path / "list.pt")
    with pytest.raises(InputError, match="no weights by name"):
        from_file(tmp_path / "list.pt")
    with pytest.raises(InputError, match="There is no file"):
        from_file(tmp_path / "none.pt")


def test_a_transformer_keeps_its_positions_at_another_size_of_images() -> None:
    """Embeddings equal at all positions stay so when they are resampled; at the same size nothing changes."""
    with without_memory():
        backbone = built(architecture="vit_b_32", image_size=96).backbone
    saved = {"backbone.encoder.pos_embedding": torch.arange(768.0).expand(1, 1 + 4, 768)}  # of 64 px
    grown = with_positions_for(saved, backbone, 96, "backbone.")["backbone.encoder.pos_embedding"]
    assert grown.shape == (1, 1 + 9, 768) and torch.allclose(grown, torch.arange(768.0), atol=1e-3)
    assert with_positions_for(saved, backbone, 64) is saved
    oblong = {"encoder.pos_embedding": torch.rand(1, 1 + 6, 768)}
    assert with_positions_for(oblong, backbone, 96) is oblong
