"""ONNX graphs as torch modules: the precision search, fine-tuning and an exact integer twin.

Nothing outside this folder holds a torch object; ``passes/`` import it inside their functions.
"""
