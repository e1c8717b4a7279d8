"""Explore shows what is in a dataset, and every image by its own address."""

from __future__ import annotations

import shutil

from core.data.datasets import index_path
from core.data.edits import exclude, relabel
from core.data.manifest import usable
from core.workspace import Workspace
from tests.conftest import ImageFolder, write_images
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


def test_filters_combine_and_apply_to_charts_and_gallery_alike(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    folder = image_folder(counts={"cat": 5, "dog": 7})
    write_images(folder / "more", {"dog": 3}, "class folders", (80, 30), ".png", 1)
    dataset = index_path(workspace, folder)  # what is deeper is of the class `more`
    query = {"dataset": dataset.id, "class": "dog,more", "width": "24..80", "find": "000"}
    app = open_page("explore", **query)
    assert "7 of 15 images" in texts(app)
    assert {tile["caption"] for tile in component(app, "darkroom_gallery")["tiles"]} == {"dog"}
    charts = open_page("explore", view="Classes & statistics", **query)
    assert "7 of 15 images" in texts(charts) and "**dog** with 7 images, the smallest **more** with 0" in texts(charts)


def test_the_gallery_is_sorted_by_a_measure_that_stands_below_each_image(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    dataset = index_path(workspace, image_folder(counts={"cat": 4, "dog": 4}))
    app = open_page("explore", dataset=dataset.id, sort="num_bytes", falling="True")
    tiles = component(app, "darkroom_gallery")["tiles"]
    largest = usable(dataset.manifest()).sort_values("num_bytes", ascending=False)["path"].iloc[0]
    assert tiles[0]["id"] == largest and tiles[0]["note"].startswith("File size: ")


def test_excluded_images_are_shown_when_asked_and_marked(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    dataset = index_path(workspace, image_folder())
    exclude(workspace, dataset.id, ["cat/0001.png"], "A test")
    relabel(workspace, dataset.id, ["cat/0002.png"], "dog")
    app = open_page("explore", dataset=dataset.id)
    assert len(component(app, "darkroom_gallery")["tiles"]) == 15
    (tile,) = component(open_page("explore", dataset=dataset.id, excluded="only"), "darkroom_gallery")["tiles"]
    assert tile["id"] == "cat/0001.png" and tile["mark"] == "excluded"
    (tile,) = component(open_page("explore", dataset=dataset.id, edited="yes"), "darkroom_gallery")["tiles"]
    assert tile["caption"] == "dog, was cat"


def test_an_images_page_tells_its_history_and_its_copies_and_leads_on(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    folder = image_folder(counts={"cat": 3, "dog": 3})
    shutil.copy(folder / "cat" / "0001.png", folder / "dog" / "copy.png")
    dataset = index_path(workspace, folder)
    exclude(workspace, dataset.id, ["cat/0000.png"], "Too blue")
    app = open_page("explore", dataset=dataset.id, image="cat/0000.png", excluded="show")
    assert "excluded" in texts(app) and "Reason: Too blue" in texts(app) and "1 of 7" in texts(app)
    assert next(one for one in app.button if one.label == "Previous").disabled
    next(one for one in app.button if one.label == "Next").click().run()
    assert not app.exception and address(app, "image") == "cat/0001.png" and "2 of 7" in texts(app)
    (copy,) = component(app, "darkroom_gallery")["tiles"]
    assert copy["id"] == "dog/copy.png" and "Not all are of the same class: some are **dog**" in texts(app)
    app.button[0].click().run()
    assert address(app, "image") is None and address(app, "excluded") == "show"


def test_what_an_archive_or_table_named_in_vain_is_listed(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    folder = image_folder()
    table = ["path,label", *(f"{path.relative_to(folder)},{path.parent.name}" for path in folder.rglob("*.png"))]
    (folder / "labels.csv").write_text("\n".join([*table, "../outside.png,cat"]))
    dataset = index_path(workspace, folder / "labels.csv")
    app = open_page("explore", dataset=dataset.id, view="Unreadable files")
    assert "None: all 16 images that were taken in could be decoded" in texts(app)
    assert "1 entry of the archive or table was not taken in" in texts(app)
    assert (
        app.dataframe[0].value["Name"].tolist() == ["line 18: ../outside.png"]
        and app.dataframe[0].value["Reason"].all()
    )


def test_every_view_is_drawn(workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder) -> None:
    folder = image_folder()
    (folder / "cat" / "empty.png").touch()
    dataset = index_path(workspace, folder)
    for view in ("Classes", "Sizes"):  # as earlier versions called them
        assert open_page("explore", dataset=dataset.id, view=view).get("plotly_chart")
    for charts, number in (("Sizes", 6), ("Light & detail", 5), ("Formats", 1)):
        app = open_page("explore", dataset=dataset.id, view="Classes & statistics", charts=charts)
        assert len(app.get("plotly_chart")) == number
    app = open_page("explore", dataset=dataset.id, view="Classes & statistics", charts="Colours")
    assert [tile["id"] for tile in component(app, "darkroom_gallery")["tiles"]] == ["cat", "dog"]
    assert app.dataframe[0].value["channel"].tolist() == ["red", "green", "blue"]
    table = open_page("explore", dataset=dataset.id, view="Unreadable files").dataframe[0].value
    assert table["path"].tolist() == ["cat/empty.png"] and table["error"].tolist() == ["The file is empty."]
    assert "None: all 1,797 images could be decoded" in texts(
        open_page("explore", dataset="digits", view="Unreadable files")
    )
