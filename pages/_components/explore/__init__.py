"""The views of Explore: one module each, with `draw(workspace, dataset)`; `registry` lists them."""
