"""From a manifest and a TrainConfig to a run folder.

A guide for newcomers, in the order one run meets these modules; the rooms have guides of their own.

**1. A process of its own.** `worker` is the program that `core.runs.launch` starts; it says who it is before anything
slow is imported and turns every outcome into a status. `reporting` is what it tells of itself, `distributed` who it is
among several.

**2. The whole run on one page.** `job` goes through the phases in order. `setup` is what all of them start from:
device, classes, images, network, recipe. `watch` lets slow preparations tell what they do and learn that they should
end; `stopwatch` notes what each phase took; `memory` turns running out of it into an error one can handle.

**3. What it learns from.** `early` decodes images while torch is still loading. `materials` makes ready what is learned
from: batches of images (room `batching`), changed at random (room `augmentation`), or, where the head alone learns,
features of a frozen network (room `backbone`).

**4. What learns.** The room `models`: networks by name, their starting weights, which of their parts learn.

**5. How it learns.** The room `loop` is the engine, which knows neither files nor pages. `session` stands around it
in a run: checkpoints, smaller batches where memory runs out. `tensorboard` writes event files.

**6. What it leaves.** `finishing` turns trained weights into a bundle whose ONNX graph is compared with them, and the
job evaluates it.

Besides, the room `trials` holds what can be tried before a run is started, `describe` counts parameters for a page that
must not import torch, and `embed` is the program behind the map of a dataset.
"""
