"""The options of a run: flags of the command line, keys of ``fbcompile.toml``, ``options`` of the report."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from pathlib import Path
from typing import Any, Literal

from fbcompile.errors import UsageError

STAGE_NAMES = (
    "normalize",
    "quantize",
    "bayesian_bits",
    "free_bits",
    "finetune",
    "integerize",
    "lower",
    "verify",
)
"""Stages in order."""


@dataclasses.dataclass(frozen=True)
class CompileOptions:
    """Everything that decides what a run computes.

    Attributes:
        model: ONNX file; with ``start_from`` the model that the stage before it wrote.
        target: Target name, or path of a TOML file.
        out: Output folder.
        data: npz file or ``package.module:function``; None for data-free calibration.
        bits: ``8``, ``4``, ``2``, ``mixed`` (``graph/mixed_bits.py``) or a bits.json; skips the search.
        stop_after: Last stage to run.
        start_from: First stage to run.
        seed: Seed of every random choice.
        cores: Cluster cores; None for the target's number.
        l1_bytes: L1 budget; None for the target's.
        l2_bytes: L2 budget; None for the target's.
        fuse: Compute depthwise and pointwise layers together where that is predicted to be faster.
        layouts: Lay tensors between layers channel-first where that is predicted to be faster; else HWC.
        calibration_images: Images of the training set used for calibration.
        input_range: ``low,high`` of the model's input, for data-free calibration.
        search_variant: ``paper`` or ``free_bits``: the two published forms of Bayesian Bits.
        search_strength: Weight of the bit-operations regulariser.
        search_epochs: Epochs of the search.
        ties: ``strict`` (as published) or ``more_bits`` (equally fast wider precisions are taken).
        finetune_epochs: Epochs of quantization-aware training; 0 skips it.
        verify_inputs: Inputs on which every layer is compared.
        gvsoc: Install folder of GVSOC; verification then runs there too.
        threads: Threads of torch and onnxruntime; None for all cores.
    """

    model: Path
    target: str
    out: Path
    data: str | None = None
    bits: str | None = None
    stop_after: str | None = None
    start_from: str | None = None
    seed: int = 0
    cores: int | None = None
    l1_bytes: int | None = None
    l2_bytes: int | None = None
    fuse: bool = True
    layouts: bool = True
    calibration_images: int = 256
    input_range: str | None = None
    search_variant: str = "free_bits"
    search_strength: float = 0.2
    search_epochs: int = 12
    ties: Literal["strict", "more_bits"] = "strict"
    finetune_epochs: int = 12
    verify_inputs: int = 16
    gvsoc: Path | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        for flag in ("stop_after", "start_from"):
            name = getattr(self, flag)
            if name is not None and name not in STAGE_NAMES:
                raise UsageError(
                    f"--{flag.replace('_', '-')} {name}: no such stage{_nearest(name, STAGE_NAMES)}",
                    hint=f"one of {', '.join(STAGE_NAMES)}",
                )
        if self.start_from and self.stop_after:
            first, last = STAGE_NAMES.index(self.start_from), STAGE_NAMES.index(self.stop_after)
            if first > last:
                raise UsageError(f"--start-from {self.start_from} comes after --stop-after {self.stop_after}")
        for flag, choices in (("search_variant", ("paper", "free_bits")), ("ties", ("strict", "more_bits"))):
            if getattr(self, flag) not in choices:
                raise UsageError(
                    f"--{flag.replace('_', '-')} {getattr(self, flag)}: one of {', '.join(choices)}"
                )
        if self.verify_inputs < 1:
            raise UsageError(f"--verify-inputs {self.verify_inputs}: at least 1 input must be compared")
        for flag in ("search_epochs", "finetune_epochs"):
            if getattr(self, flag) < 0:
                raise UsageError(f"--{flag.replace('_', '-')} {getattr(self, flag)}: cannot be negative")

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages that the user asked for, in order."""
        first = STAGE_NAMES.index(self.start_from) if self.start_from else 0
        last = STAGE_NAMES.index(self.stop_after) if self.stop_after else len(STAGE_NAMES) - 1
        return STAGE_NAMES[first : last + 1]

    def input_bounds(self) -> tuple[float, float] | None:
        """``input_range`` as two numbers.

        Raises:
            UsageError: It is not ``low,high`` with low < high.
        """
        if self.input_range is None:
            return None
        try:
            low, high = (float(part) for part in self.input_range.split(","))
        except ValueError as error:
            raise UsageError(f"--input-range {self.input_range}: two numbers, as in -1,1") from error
        if not low < high:
            raise UsageError(f"--input-range {self.input_range}: the first must be below the second")
        return low, high


def read_config(path: Path) -> dict[str, Any]:
    """Reads ``fbcompile.toml``: keys are the flags' names with underscores or hyphens.

    Raises:
        UsageError: The file cannot be read, is not TOML, or holds an unknown key.
    """
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"configuration file {path} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"configuration file {path} is not TOML: {error}") from error
    fields = {field.name for field in dataclasses.fields(CompileOptions)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in fields:
            raise UsageError(f"configuration file {path}: unknown key '{key}'{_nearest(name, fields)}")
        values[name] = Path(value) if name in ("model", "out", "gvsoc") else value
    return values


def _nearest(word: str, choices: Any) -> str:
    match = difflib.get_close_matches(word, list(choices), n=1)
    return f" (did you mean {match[0]}?)" if match else ""
