"""The stages: each takes the state of a run, does its work and says in one line what it did."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import onnx_ir as ir

from fbcompile.errors import UsageError
from fbcompile.passes.base import Change, ReportedPassResult
from fbcompile.pipeline.state import RunState


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage of the pipeline.

    Attributes:
        name: Name on the command line.
        description: What it does, for people.
        run: Does it; returns a summary line.
        skip_reason: Why it does not apply to this run, or None.
    """

    name: str
    description: str
    run: Callable[[RunState], str]
    skip_reason: Callable[[RunState], str | None] = lambda _: None


def apply_passes(state: RunState, stage: str, *passes: ir.passes.PassBase) -> list[Change]:
    """Runs passes on the state's model and records their changes under the stage's name."""
    changes: list[Change] = []
    for number, single in enumerate(passes):
        state.reporter.stage_progress(number / len(passes), type(single).__name__)
        result = single(state.model)
        state.model = result.model
        if isinstance(result, ReportedPassResult):
            changes.extend(result.changes)
    state.changes[stage] = state.changes.get(stage, ()) + tuple(changes)
    return changes


def _normalize(state: RunState) -> str:
    from fbcompile.graph.layers import graph_layers
    from fbcompile.passes.normalize import normalize_passes

    apply_passes(state, "normalize", *normalize_passes())
    moved = state.model.metadata_props.get("pkg.fbcompile.host_postprocess")
    if moved:
        state.reporter.warning(
            f"{moved} at the end of the model is left to the host: the C returns its input"
        )
    measure_accuracy(state, "normalize")
    layers = graph_layers(state.model)
    return f"{len(layers)} layers, {sum(layer.shape.macs for layer in layers) / 1e6:.2f} MMAC"


def _quantize(state: RunState) -> str:
    from fbcompile.passes.calibrate import CalibratePass
    from fbcompile.passes.insert_quantizers import InsertQuantizersPass

    options = state.options
    if state.data is None:
        state.reporter.warning(
            "no --data: activation ranges come from data-free calibration and the accuracy is unknown"
        )
        calibrate = CalibratePass(input_range=options.input_bounds(), seed=options.seed)
    else:
        calibrate = CalibratePass(images=state.data.x_train[: options.calibration_images])
    apply_passes(state, "quantize", calibrate, InsertQuantizersPass())
    if options.bits is not None:
        from fbcompile.passes.force_bits import ForceBitsPass

        apply_passes(state, "quantize", ForceBitsPass.from_argument(options.bits))
    measure_accuracy(state, "quantize")
    return _bits_summary(state)


def _no_search(state: RunState) -> str | None:
    if state.options.bits is not None:
        return f"--bits {state.options.bits} sets the precisions"
    if state.data is None:
        return "it needs --data; all tensors stay at 8 bit"
    return None


def _bayesian_bits(state: RunState) -> str:
    from fbcompile.passes.bayesian_bits import BayesianBitsPass

    options = state.options
    search = BayesianBitsPass(
        data=state.data,
        variant=options.search_variant,
        mu=options.search_strength,
        epochs=options.search_epochs,
        seed=options.seed,
        progress=state.reporter.stage_progress,
    )
    apply_passes(state, "bayesian_bits", search)
    measure_accuracy(state, "bayesian_bits")
    return _bits_summary(state)


def _free_bits(state: RunState) -> str:
    from fbcompile.graph.qdq import quantized_tensors
    from fbcompile.latency.estimate import estimate
    from fbcompile.passes.free_bits import FreeBitsPass

    state.bits_before_raising = {
        name: tensor.precision.bits for name, tensor in quantized_tensors(state.model).items()
    }
    before = estimate(state.model, state.table, state.target)
    changes = apply_passes(
        state, "free_bits", FreeBitsPass(table=state.table, target=state.target, ties=state.options.ties)
    )
    after = estimate(state.model, state.table, state.target)
    raised = sum(change.applied for change in changes)
    return f"{raised} tensors raised, predicted {before.cycles:,.0f} -> {after.cycles:,.0f} cycles"


def _no_finetuning(state: RunState) -> str | None:
    from fbcompile.graph.qdq import quantized_tensors

    if state.data is None:
        return "it needs --data"
    if state.options.finetune_epochs == 0:
        return "--finetune-epochs 0"
    tensors = quantized_tensors(state.model).values()
    if tensors and all(tensor.precision.bits == 8 for tensor in tensors):
        return "every tensor has 8 bit"
    return None


def _finetune(state: RunState) -> str:
    from fbcompile.passes.finetune import FinetunePass

    finetune = FinetunePass(
        data=state.data,
        epochs=state.options.finetune_epochs,
        seed=state.options.seed,
        progress=state.reporter.stage_progress,
    )
    apply_passes(state, "finetune", finetune)
    measure_accuracy(state, "finetune")
    return f"{state.options.finetune_epochs} epochs"


def _integerize(state: RunState) -> str:
    from fbcompile.lowering.network import WeightedLayer
    from fbcompile.lowering.read_integer_model import read_integer_model
    from fbcompile.passes.integerize import IntegerizePass

    state.annotated = state.model.clone()
    apply_passes(state, "integerize", IntegerizePass())
    state.network = read_integer_model(state.model)
    measure_accuracy(state, "integerize")
    wide = [
        layer.name
        for layer in state.network.layers
        if isinstance(layer, WeightedLayer) and layer.requantization.wide
    ]
    return f"{len(state.network.layers)} integer layers, {len(wide)} need 64-bit requantization"


def _lower(state: RunState) -> str:
    from fbcompile.lowering.lower import lower
    from fbcompile.lowering.read_integer_model import read_integer_model

    if state.network is None:
        state.network = read_integer_model(state.model)
    state.lowering = lower(
        state.network,
        state.target,
        state.folder.partial / "c",
        fuse=state.options.fuse,
        layouts=state.options.layouts,
    )
    report = state.lowering
    return f"L2 peak {report.l2_bytes:,} B, weights {report.l3_bytes:,} B in L3"


def _verify(state: RunState) -> str:
    from fbcompile.verification.inputs import verification_inputs
    from fbcompile.verification.verify import verify

    if state.network is None or state.lowering is None:
        raise UsageError("verify needs the lowered network", hint="start from an earlier stage, e.g. lower")
    images = None if state.data is None else state.data.x_val
    inputs = verification_inputs(state.network.input, state.options.verify_inputs, images, state.options.seed)
    state.verification = verify(
        state.network,
        state.model,
        state.folder.partial / "c",
        inputs,
        gvsoc=state.options.gvsoc,
        target=state.target,
        progress=state.reporter.stage_progress,
    )
    return state.verification.summary()


STAGES: tuple[Stage, ...] = (
    Stage("normalize", "import the model into the normal form", _normalize),
    Stage("quantize", "insert and calibrate quantizers", _quantize),
    Stage("bayesian_bits", "search precisions by Bayesian Bits", _bayesian_bits, _no_search),
    Stage("free_bits", "raise precisions where more bits are faster", _free_bits, _no_search),
    Stage("finetune", "train with the precisions fixed", _finetune, _no_finetuning),
    Stage("integerize", "make the integer model", _integerize),
    Stage("lower", "tile, plan memory, write C", _lower),
    Stage("verify", "compare every element of every layer", _verify),
)
"""All stages, in order."""


def measure_accuracy(state: RunState, stage: str) -> None:
    """Records the validation accuracy of the model after a stage, if there is data."""
    if state.data is None:
        return
    from fbcompile.reference.accuracy import evaluate

    state.accuracy[stage] = evaluate(state.model, state.data.x_val, state.data.y_val)
    state.reporter.information(f"accuracy after {stage}: {100 * state.accuracy[stage]:.2f} %")


def _bits_summary(state: RunState) -> str:
    from fbcompile.graph.qdq import quantized_tensors

    counts: dict[int, int] = {}
    for tensor in quantized_tensors(state.model).values():
        counts[tensor.precision.bits] = counts.get(tensor.precision.bits, 0) + 1
    return ", ".join(f"{counts[bits]} tensors at {bits} bit" for bits in sorted(counts, reverse=True))
