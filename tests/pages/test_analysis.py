"""What Explore shows of an analysis: its start, the list of suspicious labels, the map, similar images."""

from __future__ import annotations

from core.data import analysis
from core.data.datasets import Dataset, index_path, open_dataset
from core.data.edits import history, relabel
from core.workspace import Workspace
from pages._components import keys
from tests.analysing import write_made_up_analysis
from tests.conftest import ImageFolder
from tests.pages.conftest import OpenPage
from tests.pages.reading import component, has_component, texts

WRONG = {"cat/0001.png": "dog", "dog/0002.png": "cat"}
HOSTILE = "](x) <script>alert(1)<script> *b*"


def analysed(workspace: Workspace, image_folder: ImageFolder) -> Dataset:
    """A dataset with an analysis that finds two wrong labels."""
    dataset = index_path(workspace, image_folder())
    write_made_up_analysis(workspace, dataset, WRONG)
    return dataset


def test_without_an_analysis_both_views_offer_one(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    dataset = index_path(workspace, image_folder())
    for view in ("Label issues", "Map"):
        app = open_page("explore", dataset=dataset.id, view=view)
        assert "likely wrong labels, a map of the images" in texts(app)
        assert app.button(key="start-analysis").label == "Analyse the images"
    dataset.root.rename(dataset.root.with_name("elsewhere"))
    app.button(key="start-analysis").click().run()
    assert not app.exception and "no longer there" in app.error[0].value


def test_suspicious_labels_are_listed_worst_first_with_what_is_suggested(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    dataset = analysed(workspace, image_folder)
    app = open_page("explore", dataset=dataset.id, view="Label issues")
    tiles = component(app, "darkroom_gallery")["tiles"]
    assert [(tile["id"], tile["note"]) for tile in tiles] == [
        ("cat/0001.png", "rather dog, 90.0 %"),
        ("dog/0002.png", "rather cat, 90.0 %"),
    ]
    assert "2 labels are suspicious" in texts(app) and "95.0 % of the classes (cross-validated)" in texts(app)
    app = open_page("explore", dataset=dataset.id, view="Label issues", labels="All, worst first")
    tiles = component(app, "darkroom_gallery")["tiles"]
    assert len(tiles) == 16 and tiles[0]["id"] == "cat/0001.png" and tiles[2]["note"] == "fits, 90.0 %"
    app = open_page("explore", dataset=dataset.id, view="Label issues", **{"class": "dog"})
    assert [tile["id"] for tile in component(app, "darkroom_gallery")["tiles"]] == ["dog/0002.png"]


def test_a_correction_takes_it_off_the_list_and_asks_for_a_new_analysis(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    dataset = analysed(workspace, image_folder)
    relabel(workspace, dataset.id, ["cat/0001.png"], "dog")
    app = open_page("explore", dataset=dataset.id, view="Label issues")
    assert [tile["id"] for tile in component(app, "darkroom_gallery")["tiles"]] == ["dog/0002.png"]
    assert "have changed since" in texts(app) and app.button(key="start-analysis").label == "Analyse again"


def test_suggestions_are_accepted_for_what_is_ticked(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    dataset = analysed(workspace, image_folder)
    app = open_page("explore", dataset=dataset.id, view="Label issues")
    app.session_state[f"label-issues-{dataset.id}-{dataset.fingerprint}"] = {"selected": ["cat/0001.png"]}
    app.run()
    assert app.button(key="accept-suggestions").label == "Relabel 1 image as suggested"
    app.button(key="accept-suggestions").click().run()
    assert not app.exception
    (edit,) = history(workspace, dataset.id)
    assert (edit.action, list(edit.paths), edit.label) == ("relabel", ["cat/0001.png"], "dog")
    assert "suggested by the other images" in edit.reason


def test_what_could_not_be_judged_says_why(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    dataset = index_path(workspace, image_folder())
    summary = write_made_up_analysis(workspace, dataset, {})
    frame = analysis.read_analysis(workspace, dataset.id)
    assert frame is not None
    blank = {**vars(summary), "accuracy": None, "no_labels_because": f"Too few of {HOSTILE}."}
    analysis.write_analysis(workspace.analysis(dataset.id), frame, analysis.Summary(**blank))
    app = open_page("explore", dataset=dataset.id, view="Label issues")
    assert HOSTILE in texts(app) and not has_component(app, "darkroom_gallery")


def test_the_map_is_drawn_in_both_projections(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    dataset = analysed(workspace, image_folder)
    for query, words in (({}, "Neighbours on the map look alike"), ({"projection": "pca"}, "two directions")):
        app = open_page("explore", dataset=dataset.id, view="Map", colour="split", **query)
        assert words in texts(app) and "Draw around points" in texts(app)
    app = open_page("explore", dataset=dataset.id, view="Map", find="nothing is called so")
    assert "None of these images is on the map" in texts(app)


def test_an_image_shows_those_most_like_it(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    dataset = index_path(workspace, image_folder())
    app = open_page("explore", dataset=dataset.id, image="cat/0001.png")
    assert "Known once the images are analysed" in texts(app)
    write_made_up_analysis(workspace, open_dataset(workspace, dataset.id), {})
    app = open_page("explore", dataset=dataset.id, image="cat/0001.png")
    tiles = component(app, "darkroom_gallery")["tiles"]
    assert len(tiles) == 12 and "cat/0001.png" not in {tile["id"] for tile in tiles}
    distances = [float(tile["note"].removeprefix("distance ")) for tile in tiles]
    assert distances == sorted(distances) and {tile["caption"] for tile in tiles[:5]} == {"cat"}
    assert keys.IMAGE in app.query_params
