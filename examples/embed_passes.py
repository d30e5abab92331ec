"""Two fbcompile passes between the passes of onnx_ir, in a pipeline of your own.

python examples/embed_passes.py QUANTIZED.onnx INTEGER.onnx
"""

import sys

import onnx_ir as ir
from onnx_ir.passes import Sequential
from onnx_ir.passes.common import CheckerPass, IdentityEliminationPass, ShapeInferencePass

from fbcompile.latency.table import LatencyTable
from fbcompile.passes.free_bits import FreeBitsPass
from fbcompile.passes.integerize import IntegerizePass
from fbcompile.targets import load_target

target = load_target("xpulpnn")
free_bits = FreeBitsPass(table=LatencyTable.load(target.name), target=target)
pipeline = Sequential(
    IdentityEliminationPass(), ShapeInferencePass(), free_bits, IntegerizePass(), CheckerPass()
)
ir.save(pipeline(ir.load(sys.argv[1])).model, sys.argv[2])
