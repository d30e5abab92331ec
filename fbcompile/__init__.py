"""fbcompile: mixed-precision ONNX networks as verified tiled C for RISC-V microcontrollers."""

from fbcompile.version import __version__

__all__ = ["__version__"]
