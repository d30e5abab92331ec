"""Reference execution: the same integers by onnxruntime and by numpy, and the accuracy of a model."""
