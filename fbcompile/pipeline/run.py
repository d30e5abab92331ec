"""Runs the stages of a compilation and leaves a complete output folder, or none."""

from __future__ import annotations

import logging
from pathlib import Path

import onnx_ir as ir

from fbcompile.errors import FbcompileError, InterruptedRunError
from fbcompile.pipeline.options import STAGE_NAMES, CompileOptions
from fbcompile.pipeline.output import OutputFolder
from fbcompile.pipeline.reporter import LoggingReporter, Reporter
from fbcompile.pipeline.stages import STAGES, Stage
from fbcompile.pipeline.state import RunState
from fbcompile.reports.write import write_reports

MODEL_FILES = {"integerize": "model.integer.onnx"}
ANNOTATED_FILE = "model.annotated.onnx"


def prepare(options: CompileOptions, reporter: Reporter | None = None) -> RunState:
    """Checks all that can be checked before the first stage: target, output folder, model, data, tools.

    Raises:
        FbcompileError: Something is missing or wrong; nothing was written.
    """
    from fbcompile.graph.load import load_model
    from fbcompile.latency.table import LatencyTable
    from fbcompile.targets import load_target

    _seed(options)
    target = load_target(
        options.target, cores=options.cores, l1_bytes=options.l1_bytes, l2_bytes=options.l2_bytes
    )
    folder = OutputFolder(options.out)
    model = load_model(options.model)
    data = None
    if options.data is not None:
        from fbcompile.data import load_data

        shape = model.graph.inputs[0].shape
        data = load_data(options.data, tuple(size for size in list(shape or ())[1:] if isinstance(size, int)))
    if "verify" in options.stages:
        from fbcompile.verification.build import check_tools

        check_tools(gvsoc=options.gvsoc is not None)
    table = LatencyTable.load(target.name)
    reporter = reporter or LoggingReporter()
    if unusable := table.unusable(target):
        reporter.warning(f"latency table of {target.name}: {unusable}")
    return RunState(options, target, model, data, folder, reporter, table)


def compile_model(options: CompileOptions, reporter: Reporter | None = None) -> RunState:
    """Runs the stages that ``options`` ask for and writes the output folder.

    Returns:
        The final state, with all reports.

    Raises:
        FbcompileError: With the exit code of the command line; nothing is left under the output's final name.
        InterruptedRunError: Ctrl-C; the last finished stage's model is kept as ``<out>.interrupted.onnx``.
    """
    state = prepare(options, reporter)
    with state.folder as folder:
        log = _open_log(folder.partial)
        try:
            for stage in STAGES:
                if stage.name in options.stages:
                    _run_stage(stage, state)
            _save_final_models(state)
            write_reports(state)
        except KeyboardInterrupt as error:
            raise _interrupted(state) from error
        finally:
            _close_log(log)
    return state


def _run_stage(stage: Stage, state: RunState) -> None:
    reason = stage.skip_reason(state)
    if reason is not None:
        state.reporter.stage_skipped(stage.name, reason)
        return
    state.reporter.stage_started(stage.name, stage.description)
    try:
        summary = stage.run(state)
    except FbcompileError as error:
        if not error.where:
            error.where = f"stage {stage.name}"
        raise
    except (ir.passes.PassError, ir.passes.InvariantError) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, FbcompileError):
            cause = cause.__cause__
        if isinstance(cause, FbcompileError):
            cause.where = cause.where or f"stage {stage.name}"
            raise cause from error
        raise
    if STAGE_NAMES.index(stage.name) <= STAGE_NAMES.index("integerize"):
        save_model(state.model, state.folder.partial / "stages" / f"{stage.name}.onnx")
    state.reporter.stage_finished(stage.name, summary)


def save_model(model: ir.Model, path: Path) -> None:
    """Writes a model so that the file is complete or absent."""
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    ir.save(model, unfinished)
    unfinished.rename(path)


def _save_final_models(state: RunState) -> None:
    folder = state.folder.partial
    if state.annotated is not None:
        save_model(state.annotated, folder / ANNOTATED_FILE)
        save_model(state.model, folder / MODEL_FILES["integerize"])
    elif state.network is not None:
        save_model(state.model, folder / MODEL_FILES["integerize"])
    else:
        save_model(state.model, folder / ANNOTATED_FILE)


def _interrupted(state: RunState) -> InterruptedRunError:
    stages = state.folder.partial / "stages"
    done = [name for name in STAGE_NAMES if (stages / f"{name}.onnx").exists()]
    if not done:
        return InterruptedRunError(
            "interrupted before the first stage was done", hint="run the command again"
        )
    kept = state.folder.final.with_name(state.folder.final.name + ".interrupted.onnx")
    (stages / f"{done[-1]}.onnx").rename(kept)
    following = STAGE_NAMES[STAGE_NAMES.index(done[-1]) + 1]
    return InterruptedRunError(
        f"interrupted in stage {following}; the model after {done[-1]} is kept in {kept}",
        hint=f"resume with: fbcompile {kept} --start-from {following} and the same other options",
    )


def _seed(options: CompileOptions) -> None:
    import random

    import numpy as np

    random.seed(options.seed)
    np.random.seed(options.seed)
    if options.threads is not None and options.data is not None:
        import torch

        torch.set_num_threads(options.threads)


def _open_log(folder: Path) -> logging.Handler:
    handler = logging.FileHandler(folder / "run.log")
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("fbcompile")
    logger.addHandler(handler)
    logger.setLevel(min(logger.level or logging.INFO, logging.INFO))
    return handler


def _close_log(handler: logging.Handler) -> None:
    logging.getLogger("fbcompile").removeHandler(handler)
    handler.close()
