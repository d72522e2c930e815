"""The networks as ONNX graphs for other programs."""
