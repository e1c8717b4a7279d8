"""Evaluate's views of where a model is worse, on spoiled images, and of where it looks."""

from __future__ import annotations

from tests.conftest import Trained
from tests.pages.conftest import OpenPage
from tests.pages.reading import has_component, texts


def test_the_parts_of_the_test_images_are_those_of_the_report(with_run: Trained, open_page: OpenPage) -> None:
    report = with_run.run.report()
    assert report is not None
    app = open_page("evaluate", view="Where it is worse")
    assert report["slices"]["sentence"] in texts(app)
    if report["slices"]["rows"]:
        assert len(app.get("plotly_chart")) == 1


def test_without_an_answer_each_look_offers_to_start(with_run: Trained, open_page: OpenPage) -> None:
    for view, button in (("Spoiled images", "Test it"), ("Where it looks", "Make maps")):
        app = open_page("evaluate", view=view)
        assert button in [one.label for one in app.button]
        assert not has_component(app, "darkroom_gallery")
