"""Profiling: cycles of single tiled layers, measured on GVSOC with the lowering that compiles networks."""
