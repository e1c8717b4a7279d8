"""Charts are clicked to see the images behind them; filters combine, stay in the address and are taken off again."""

from __future__ import annotations

from core.data.datasets import index_path
from core.workspace import Workspace
from tests.browser.conftest import Visit
from tests.browser.dashboard import Server, Visitor, expect
from tests.conftest import ImageFolder, write_images

BARS = ".st-key-figure-{} .bars .point path"
STATISTICS = "Classes & statistics"


def click_bar(visitor: Visitor, figure: str, number: int) -> None:
    bar = visitor.tab.locator(BARS.format(figure)).nth(number)
    box = visitor.place_of(bar)
    visitor.tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def mark_stretch(visitor: Visitor, figure: str, first: int, last: int) -> None:
    """Drag over the bars from one to another."""
    bars = visitor.tab.locator(BARS.format(figure))
    begin, end = visitor.place_of(bars.nth(first)), bars.nth(last).bounding_box()
    assert end is not None
    height = begin["y"] + begin["height"] - 3
    visitor.tab.mouse.move(begin["x"] - 4, height)
    visitor.tab.mouse.down()
    visitor.tab.mouse.move(end["x"] + end["width"] + 4, height, steps=8)
    visitor.tab.mouse.up()


def test_a_bar_that_is_clicked_filters_the_images(server: Server, visit: Visit, image_folder: ImageFolder) -> None:
    folder = image_folder(name="to filter", counts={"cat": 6, "dog": 9})
    write_images(folder / "more", {"dog": 4}, "class folders", (80, 30), ".png", 1)
    for file in sorted((folder / "more" / "dog").iterdir()):
        file.rename(folder / "dog" / f"wide-{file.name}")
    (folder / "more" / "dog").rmdir()
    (folder / "more").rmdir()
    dataset = index_path(Workspace(server.home), folder)
    visitor = visit(server)
    visitor.open("explore", dataset=dataset.id, view=STATISTICS)
    visitor.sees("imbalance ratio 2.17")
    visitor.photographs("explore-classes")
    click_bar(visitor, "images-per-class", 0)
    visitor.tab.wait_for_url("**class=dog*")
    visitor.sees("13 of 19 images")
    expect(visitor.gallery("gallery")).to_have_count(13)

    visitor.pick(STATISTICS)
    visitor.pick("Sizes")
    mark_stretch(visitor, "histogram-width", -1, -1)
    visitor.sees("4 of 19 images")
    visitor.sees("Width: at least")
    expect(visitor.gallery("gallery")).to_have_count(4)
    visitor.photographs("explore-filtered")

    visitor.tab.reload()
    visitor.arrives("explore")
    expect(visitor.gallery("gallery")).to_have_count(4)
    visitor.tab.get_by_role("button", name="Width: at least").click()
    visitor.sees("13 of 19 images")
    expect(visitor.gallery("gallery")).to_have_count(13)
    visitor.press("Clear filters")
    visitor.sees("19 of 19 images")
    expect(visitor.gallery("gallery")).to_have_count(19)

    visitor.pick(STATISTICS)
    click_bar(visitor, "image-sizes", -1)  # the cell of the widest
    visitor.sees("4 of 19 images")
    visitor.sees("Height: ")
    expect(visitor.gallery("gallery")).to_have_count(4)
    visitor.press("Clear filters")
    visitor.sees("19 of 19 images")
    expect(visitor.gallery("gallery")).to_have_count(19)

    visitor.press("Add filter")
    visitor.choose("Filter by", "Path")
    visitor.tab.get_by_role("textbox", name="Path contains").fill("WIDE")
    with visitor.redrawn():
        visitor.tab.keyboard.press("Enter")
    expect(visitor.gallery("gallery")).to_have_count(4)
    visitor.tab.keyboard.press("Escape")
    expect(visitor.tab.get_by_role("textbox", name="Path contains")).to_be_hidden()  # it lay over the images
    visitor.opens(visitor.gallery("gallery").nth(1))
    visitor.sees("2 of 4")
    visitor.press("Next")
    visitor.sees("3 of 4")
    visitor.sees("wide-0002.png")
    visitor.press("Back")
    expect(visitor.gallery("gallery")).to_have_count(4)
    visitor.finds_no_fault()


def test_images_are_selected_by_box_by_stretch_and_by_page(
    server: Server, visit: Visit, image_folder: ImageFolder
) -> None:
    dataset = index_path(Workspace(server.home), image_folder(name="to select", counts={"cat": 8, "dog": 64}))
    visitor = visit(server)
    visitor.open("explore", dataset=dataset.id)
    boxes = visitor.tab.locator(".st-key-gallery .tick input")
    tile = visitor.place_of(visitor.gallery("gallery").first)
    assert tile["width"] > 100  # small images fill their square too
    boxes.nth(1).click()
    visitor.sees("1 selected")
    boxes.nth(5).click(modifiers=["Shift"])
    visitor.sees("5 selected")
    boxes.nth(2).focus()
    visitor.tab.keyboard.press("Space")
    visitor.sees("4 selected")
    visitor.sees("4 images selected")  # what can be done with them
    visitor.photographs("explore-selected")
    with visitor.redrawn():
        visitor.tab.get_by_role("button", name="Page 2").click()
    expect(visitor.gallery("gallery")).to_have_count(12)
    visitor.press("Select page")
    visitor.sees("16 selected, 4 of them not shown here")
    visitor.sees("16 images selected")
    visitor.press("Clear selection")
    visitor.sees("None selected")
    expect(visitor.tab.get_by_text("16 images selected")).to_have_count(0)
    visitor.finds_no_fault()


def test_filters_are_there_again_after_a_visit_to_another_page(
    server: Server, visit: Visit, image_folder: ImageFolder
) -> None:
    dataset = index_path(Workspace(server.home), image_folder(name="to leave", counts={"cat": 8, "dog": 5}))
    other = index_path(Workspace(server.home), image_folder(name="elsewhere", counts={"cat": 4, "dog": 7}))
    visitor = visit(server)
    visitor.open("explore", dataset=dataset.id, view=STATISTICS)
    click_bar(visitor, "images-per-class", 0)
    visitor.sees("8 of 13 images")
    _go(visitor, "Train")
    _go(visitor, "Explore")
    visitor.sees("8 of 13 images")
    visitor.tab.wait_for_url("**class=cat*")
    visitor.press("Clear filters")
    visitor.sees("13 of 13 images")
    _go(visitor, "Evaluate")
    _go(visitor, "Explore")
    visitor.sees("13 of 13 images")
    visitor.pick(STATISTICS)
    click_bar(visitor, "images-per-class", 0)
    visitor.sees("8 of 13 images")
    _go(visitor, "Train")
    visitor.choose("Dataset", other.name)
    _go(visitor, "Explore")  # of what is looked at now; filters of another dataset say nothing about it
    visitor.sees("11 of 11 images")
    visitor.finds_no_fault()


def _go(visitor: Visitor, page: str) -> None:
    """By the page's link beside all pages."""
    visitor.rests()
    visitor.tab.get_by_test_id("stSidebarNavLink").filter(has_text=page).click()
    visitor.arrives(page.lower())
