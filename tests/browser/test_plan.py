"""Before a run is started: the form by keyboard alone, and what the page can tell of the plan."""

from __future__ import annotations

import re

from core.config import PRESETS, knobs
from tests.browser.conftest import Visit
from tests.browser.dashboard import RUN_S, Server, Visitor, expect

# What has the focus: what kind it is, how it is called, and whether the bar with Start lies over it.
FOCUSED = """() => {
  const at = document.activeElement, bar = document.querySelector(".st-key-start-bar");
  const hidden = !bar.contains(at) && at.getBoundingClientRect().bottom > bar.getBoundingClientRect().top + 1;
  return [at.tagName, at.getAttribute("aria-label") || at.innerText, hidden];
}"""
# Done once all that moves has arrived; what turns for ever, such as a spinner, is not waited for.
MOVED = """() => Promise.allSettled(document.getAnimations()
  .filter((one) => one.effect.getComputedTiming().endTime !== Infinity).map((one) => one.finished))"""


def test_every_field_and_its_help_is_reached_by_keyboard(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    visitor.open("train", dataset="digits")
    expect(visitor.tab.get_by_text("Counting parameters")).to_have_count(0)
    # With transfer as it comes these and no others have an effect; the rest is covered by the page's own test.
    helps = {knob.label: knob.help for knob in knobs()}
    labels = visitor.tab.locator("[class*=st-key-group-] [data-testid=stWidgetLabel] p").all_text_contents()
    assert {"Architecture", "Learning rate", "Val fraction", "Views", "Optimizer", "Kind", "Patience"} <= set(labels)
    reached, told = _walk(visitor)
    assert [label for label in labels if label not in reached] == []
    assert set(told) == set(labels)
    # Label names such as Seed stand in two groups, each with its own help.
    wrong = [label for label in labels if labels.count(label) == 1 and not told[label].startswith(helps[label])]
    assert wrong == []
    visitor.finds_no_fault()


def test_a_plan_is_tried_before_it_is_started(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    visitor.open("train", dataset="digits", view="Plan")
    visitor.choose("Preset", "from-scratch")
    visitor.sees(PRESETS["from-scratch"][0])
    visitor.sees("Planned: small_cnn on Digits")
    visitor.settles()
    visitor.press("Try a few steps")
    expect(visitor.figure("Total time")).to_be_visible(timeout=1000 * RUN_S)
    visitor.sees("images/s could be loaded")
    visitor.photographs("train-preflight")
    visitor.pick("What the network sees")
    visitor.sees("every image is square")
    visitor.press("Draw them on my images")
    visitor.sees("All changes together", RUN_S)
    sheets = visitor.tab.get_by_role("img", name=re.compile("^Examples: "))
    expect(sheets).to_have_count(4)  # shift, zoom and rotation, and all of them
    visitor.photographs("train-previews")
    visitor.pick("Learning rate")
    visitor.sees("over 25 epochs of 20 steps")
    expect(visitor.tab.locator(".js-plotly-plot .scatterlayer path.js-line")).to_be_attached()
    visitor.finds_no_fault()


def _walk(visitor: Visitor) -> tuple[set[str], dict[str, str]]:
    """Go from Preset to Start with Tab, opening every group with Enter; (names of fields, help by name of field)."""
    reached, told = set[str](), dict[str, str]()
    help_shown = visitor.tab.get_by_test_id("stTooltipContent").filter(visible=True)
    visitor.tab.get_by_role("combobox", name="Preset", exact=True).focus()
    for _ in range(300):
        visitor.tab.keyboard.press("Tab")
        tag, name, hidden = visitor.tab.evaluate(FOCUSED)
        if tag == "SUMMARY":
            visitor.tab.keyboard.press("Enter")
            expect(visitor.tab.locator("summary:focus + *")).to_be_visible()
            visitor.tab.evaluate(MOVED)  # while it opens, what is below it moves under the bar
            continue
        if "Start" in name:
            return reached, told
        if hidden:  # the page was still drawn, and moved what had the focus: only then is it gone on a second visit
            visitor.rests()
            visitor.tab.evaluate(MOVED)
            visitor.tab.keyboard.press("Shift+Tab")
            visitor.tab.keyboard.press("Tab")
            tag, name, hidden = visitor.tab.evaluate(FOCUSED)
        assert not hidden, f"{name} is under the bar with Start"
        if name.startswith("Help for "):
            expect(help_shown).to_have_count(1)
            told[name.removeprefix("Help for ")] = help_shown.inner_text()
        else:
            expect(help_shown).to_have_count(0)  # else the next one may be read off this
            reached.add(name)
    raise AssertionError("Tab does not lead to Start")
