"""From a trained model to a folder that runs without Darkroom, let out only once it has proved to be the same.

A guide for newcomers, in the order an export meets these modules.

**1. What can be made.** `registry` lists the formats; `format` says what one is and what it is made from. `plain` holds
those with the very weights, `openvino`, `mobile` and `tensorrt` those of other runtimes, `int8` the one of 8-bit
numbers: `quantising` makes it from a graph that `graphs` has made plain.

**2. The folder.** `package` writes it: model, labels, preprocessing, predict.py. `script` puts predict.py together
from the source of `core.preprocess`, of the module in `shipped` that runs the model and of the program around it.

**3. The gate.** `reference` is what PyTorch says of every test image. `gate` has predict.py, as a process of its own,
answer the same images, and compares.

**4. A smaller network.** `pruning` starts runs that begin with a part of a trained network taken out.

**5. Around it.** `job` is the program that does all this for a page; `exported` reads back what it has made,
and `shown` lists it for people.
"""
