"""From a model bundle and any image to ranked classes, without torch where ONNX Runtime will do."""
