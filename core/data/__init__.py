"""From a folder of files to a manifest: sources, index, splits, thumbnails."""
