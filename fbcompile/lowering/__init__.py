"""The lowering: integer ONNX → layers → tiles → memory plan → C project."""
