"""A frozen backbone as a function from images to features.

`features` computes them once, on the fastest of the `engines` that agrees with torch; `onnx_graph` makes the graph
those run, and `read_ahead` decodes images meanwhile. `frozen` is the offline backbone that the data room uses, without
torch once it was exported, `feature_store` keeps its features by content, and `kept_features` those of runs for later
runs.
"""
