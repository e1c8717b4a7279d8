"""A region drawn on the map becomes a gallery; what is ticked there can be corrected; the analysis runs in between."""

from __future__ import annotations

from core.data.analysis import read_summary
from core.data.datasets import index_path, open_dataset
from core.data.manifest import usable
from core.training.embed import spec_for
from core.workspace import Workspace
from tests.analysing import place_tiny_backbone, write_made_up_analysis
from tests.browser.conftest import Visit
from tests.browser.dashboard import Server, Visitor, expect
from tests.conftest import ImageFolder
from tests.waiting import wait_until


def draw_around(visitor: Visitor, left: float, right: float) -> None:
    """Draw a closed line around a part of the map, given in shares of its width."""
    area = visitor.tab.locator(".nsewdrag").first
    box = visitor.place_of(area)
    corners = [(left, 0.02), (right, 0.02), (right, 0.98), (left, 0.98), (left, 0.05)]
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    visitor.tab.mouse.move(*points[0])
    visitor.tab.mouse.down()
    for point in points[1:]:
        visitor.tab.mouse.move(*point, steps=8)
    with visitor.redrawn():
        visitor.tab.mouse.up()


def test_select_on_the_map_and_correct(server: Server, visit: Visit, image_folder: ImageFolder) -> None:
    workspace = Workspace(server.home)
    dataset = index_path(workspace, image_folder(name="mapped", counts={"cat": 20, "dog": 30}))
    write_made_up_analysis(workspace, dataset, {"cat/0001.png": "dog"})
    visitor = visit(server)
    visitor.open("explore", dataset=dataset.id, view="Map")
    visitor.sees("Draw around points")
    draw_around(visitor, 0.0, 0.5)  # cats are heaped on the left, dogs on the right
    visitor.sees("20 images on the map selected")
    tiles = visitor.tab.locator("[class*=st-key-map-images] .grid .cell")
    expect(tiles).to_have_count(20)
    expect(tiles.filter(has_text="cat")).to_have_count(20)
    visitor.photographs("map")

    visitor.pick("PCA")
    visitor.sees("two directions")
    expect(visitor.tab.locator(".xtitle")).to_have_text("First component")  # not the map that stood there before
    draw_around(visitor, 0.5, 1.0)
    visitor.sees("30 images on the map selected")

    visitor.open("explore", dataset=dataset.id, view="Label issues")
    visitor.sees("rather dog, 90.0 %")
    visitor.settles()
    with visitor.redrawn():
        visitor.tab.get_by_label("Select cat: cat/0001.png").check()
    visitor.press("Relabel 1 image as suggested")
    visitor.sees("No label is suspicious enough")
    visitor.sees("have changed since this analysis")
    rows = open_dataset(workspace, dataset.id).manifest().set_index("path")
    assert rows.loc["cat/0001.png", "label"] == "dog"

    place_tiny_backbone(workspace, spec_for(usable(dataset.manifest())))
    visitor.press("Analyse again")
    wait_until(
        lambda: (summary := read_summary(workspace, dataset.id)) is not None and summary.num_computed == 50,
        "the analysis",
        90,
    )
    visitor.sees("1 label is suspicious")  # the tiny network sees colours alone, and the cat it was is one
    visitor.finds_no_fault()
