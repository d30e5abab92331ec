"""Views of an ONNX graph that several stages share: quantized tensors, layers."""
