"""Verification: onnxruntime, host C and GVSOC must agree, layer by layer, element by element."""
