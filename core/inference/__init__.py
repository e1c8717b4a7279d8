"""From a model bundle and any image to ranked classes, without torch where ONNX Runtime will do.

A guide for newcomers, in the order an image meets these modules.

**1. The model.** `bundle` is a trained model as files that run no code; `export` puts its ONNX graph there once
`parity` finds that it answers as the weights do. `familiar` is what it knows of the images it learned from.

**2. One image.** `classifier` is the one path from bytes to an answer, for page, camera, command line and evaluation;
`live` answers a camera's frames, `speed` says how fast a network is.

**3. Many.** `many` decodes the next images while the network works on these. `batches` keeps what somebody brought for
a day, `batch_job` unpacks, lists and classifies it where that takes long, `answered` makes one table of what models
said, to filter, order and take away.
"""
