"""What an export's predict.py is made of: these modules' source goes into it, so they import nothing of ours.

`answering` is the program itself. The others open a model in their runtime, each with
`open_model(path, threads) -> Callable` from float32 images (N, 3, H, W) to float32 logits (N, classes), on the CPU, for
any N: `onnx_model`, `torchscript_model`, `torch_export_model`, `openvino_model`, `executorch_model` and `litert_model`;
`tensorrt_model` does so on a GPU.
"""
