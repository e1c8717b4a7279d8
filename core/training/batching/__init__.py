"""Batches of images for the engine.

`images` is one split: paths, classes and how an image becomes pixels. `pixel_sources` decides where pixels are kept
while a run lasts: `pixels` in memory or straight from the files, `pixel_cache` on disk for what does not fit.
`sampling` says which images come when, the same for the same seed. `batches` is what the engine asks for, `loaders`
makes it of pixels. `contact_sheet` turns batches back into pictures one can look at.
"""
