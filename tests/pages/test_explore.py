"""Explore shows what is in a dataset, and every image by its own address."""

from __future__ import annotations

from core.data.datasets import index_path
from core.data.manifest import usable
from core.workspace import Workspace
from tests.conftest import ImageFolder
from tests.pages.conftest import OpenPage
from tests.pages.reading import address, component, has_component, texts

HOSTILE = "](x) <script>alert(1)<script> *b*"


def test_the_answer_gives_counts_and_imbalance(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    dataset = index_path(workspace, image_folder(counts={"cat": 4, "dog": 10}))
    app = open_page("explore", dataset=dataset.id)
    assert "2 classes, 14 images, 0 unreadable" in texts(app)
    assert "the largest class has 2.5 times as many images as the smallest, cat (4)" in texts(app)


def test_the_gallery_pages_through_one_class(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    dataset = index_path(workspace, image_folder(counts={"cat": 70, HOSTILE: 5}))
    app = open_page("explore", dataset=dataset.id, **{"class": "cat", "page": "2"})
    tiles = component(app, "darkroom_gallery")["tiles"]
    assert len(tiles) == 10 and {tile["caption"] for tile in tiles} == {"cat"} and tiles[0]["pixel_art"]
    first = usable(dataset.manifest()).query("path == 'cat/0060.png'").iloc[0]
    assert tiles[0]["src"] == f"/thumb/160/{dataset.id}/{first['content_hash']}"
    assert tiles[0]["alt"] == "cat: cat/0060.png"

    app.multiselect(key="filter-classes").set_value([HOSTILE]).run()
    assert not app.exception
    assert address(app, "class") == HOSTILE and address(app, "page") is None
    assert {tile["caption"] for tile in component(app, "darkroom_gallery")["tiles"]} == {HOSTILE}


def test_a_click_that_comes_with_the_address_of_before_the_last_click_undoes_nothing(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    dataset = index_path(workspace, image_folder(counts={"cat": 8, "dog": 70}))
    app = open_page("explore", dataset=dataset.id)
    app.multiselect(key="filter-classes").set_value(["dog"]).run()
    del app.query_params["class"]  # as the browser sends it when the second click is quick
    app.get("pagination")[0].set_value(2).run()
    assert address(app, "class") == "dog" and address(app, "page") == "2"
    assert len(component(app, "darkroom_gallery")["tiles"]) == 10

    app.query_params["class"] = "cat"  # no click: the address itself is what was asked for
    app.run()
    assert app.multiselect(key="filter-classes").value == ["cat"]
    assert len(component(app, "darkroom_gallery")["tiles"]) == 8


def test_an_address_that_asks_for_what_is_not_there_falls_back(workspace: Workspace, open_page: OpenPage) -> None:
    nonsense = {"page": "9999", "view": "Nothing", "width": "wide..", "flag": "ugly", "sort": "beauty", "size": "7"}
    app = open_page("explore", dataset="digits", **nonsense)
    assert len(component(app, "darkroom_gallery")["tiles"]) == 60 and "1,797 of 1,797 images" in texts(app)
    app = open_page("explore", dataset="digits", **{"class": "eleven"})
    assert app.multiselect(key="filter-classes").value == [] and "0 of 1,797 images" in texts(app)
    app.button(key="chip-0").click().run()
    assert address(app, "class") is None and "1,797 of 1,797 images" in texts(app)
    assert "There is no dataset with the id of this address" in texts(open_page("explore", dataset="nope"))


def test_an_image_has_a_view_of_its_own(workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder) -> None:
    dataset = index_path(workspace, image_folder(counts={HOSTILE: 3, "dog": 3}))
    row = dataset.manifest().query("label == @HOSTILE").iloc[0]
    app = open_page("explore", dataset=dataset.id, image=row["content_hash"])
    shown = component(app, "darkroom_image")
    assert shown["src"] == f"/thumb/1024/{dataset.id}/{row['content_hash']}"
    assert ["Size", "24 x 18 pixels"] in shown["facts"] and ["File", row["path"]] in shown["facts"]
    assert row["path"] in texts(app)
    app.button[0].click().run()
    assert not app.exception and address(app, "image") is None and has_component(app, "darkroom_gallery")


def test_an_image_that_is_not_there_is_said_to_be_missing(workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("explore", dataset="digits", image="0123456789abcdef")
    assert "There is no image" in texts(app) and app.button[0].label == "Back"


def test_every_view_is_drawn(workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder) -> None:
    folder = image_folder()
    (folder / "cat" / "empty.png").touch()
    dataset = index_path(workspace, folder)
    for view in ("Classes", "Sizes"):
        assert open_page("explore", dataset=dataset.id, view=view).get("plotly_chart")
    table = open_page("explore", dataset=dataset.id, view="Unreadable files").dataframe[0].value
    assert table["path"].tolist() == ["cat/empty.png"] and table["error"].tolist() == ["The file is empty."]
    assert "None: all 1,797 images could be decoded" in texts(
        open_page("explore", dataset="digits", view="Unreadable files")
    )
