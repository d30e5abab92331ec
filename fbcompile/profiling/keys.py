"""The latency keys that a search over a model's precisions can ask for."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

from fbcompile.annotation import SUPPORTED_BITS
from fbcompile.graph.qdq import quantized_tensors
from fbcompile.latency.key import LatencyKey
from fbcompile.latency.layer_choices import layer_choices
from fbcompile.profiling.topologies import model_file
from fbcompile.targets.target import Target


def keys_of_model(model: ir.Model, target: Target, bits: Sequence[int] = SUPPORTED_BITS) -> list[LatencyKey]:
    """Every distinct layer of a model at every combination of its tensors' widths.

    Args:
        model: A QDQ model; its signs are kept, its widths are not. Layers that read the network's input get
            keys of both signs, because that sign depends on the data's range, which a model does not say.
        target: The machine, with the cores and L1 bytes of the keys.
        bits: Widths of every tensor but the network's input, which keeps its own.

    Returns:
        Distinct keys, sorted.
    """
    tensors = quantized_tensors(model)
    fixed = {value.name for value in model.graph.inputs}
    keys = set()
    for layer in layer_choices(model, tensors):
        names = layer.tensors
        options = [[tensors[name].precision.bits] if name in fixed else list(bits) for name in names]
        for widths in itertools.product(*options):
            chosen = layer.bits(dict(zip(names, widths, strict=True)))
            signs = (False, True) if fixed & set(names) else (chosen.activation_signed,)
            for signed in signs:
                both = dataclasses.replace(chosen, activation_signed=signed)
                keys.add(LatencyKey(layer.shape, both, target.name, target.cores, target.l1_bytes))
    return sorted(keys)


def keys_of_models(
    models: Sequence[str], target: Target, bits: Sequence[int] = SUPPORTED_BITS
) -> dict[str, list[LatencyKey]]:
    """The keys of each model, given as a path or as the name of a network (``topologies``).

    Raises:
        UsageError: There is no such file, and no network of that name.
    """
    with tempfile.TemporaryDirectory(prefix="fbcompile-models-") as folder:
        return {
            name: keys_of_model(quantized_model(model_file(name, Path(folder))), target, bits)
            for name in models
        }


def quantized_model(path: Path) -> ir.Model:
    """Loads an ONNX model and quantizes it data-free: only shapes and signs matter here."""
    from fbcompile.graph.load import load_model
    from fbcompile.graph.qdq import quantized_tensors
    from fbcompile.passes.calibrate import CalibratePass
    from fbcompile.passes.insert_quantizers import InsertQuantizersPass
    from fbcompile.passes.normalize import normalize_passes

    model = load_model(path)
    for single in normalize_passes():
        model = single(model).model
    if not quantized_tensors(model):
        for single in (CalibratePass(), InsertQuantizersPass()):
            model = single(model).model
    return model
