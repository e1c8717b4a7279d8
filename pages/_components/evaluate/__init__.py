"""The views of Evaluate, one module each with `draw(run, report) -> None`; the page lists them."""
