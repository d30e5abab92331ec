"""Machines that fbcompile compiles for: descriptions in TOML, one file each."""

from fbcompile.targets.loader import load_target, target_names
from fbcompile.targets.target import Dma, External, Target

__all__ = ["Dma", "External", "Target", "load_target", "target_names"]
