"""Fixtures of the importer's tests: small models from ONNX text, and what every pass must stand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from fbcompile.passes.base import Change, ReportedPassResult, ReportingPass

Build = Callable[..., ir.Model]


def run(model: ir.Model, seed: int = 0) -> np.ndarray:
    """The model's output for a random batch, by onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString(), options)
    spec = session.get_inputs()[0]
    shape = [size if isinstance(size, int) else 3 for size in spec.shape]
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return session.run(None, {spec.name: x})[0]


def build_model(text: str, **initializers: np.ndarray) -> ir.Model:
    """A model from a graph in ONNX text, with default header, plus initializers; shapes are inferred."""
    header = "" if text.lstrip().startswith("<") else '<ir_version: 10, opset_import: ["": 18]>'
    proto = onnx.parser.parse_model(header + text)
    for name, array in initializers.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    onnx.checker.check_model(proto)
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto, data_prop=True))


class PassChecks:
    """What every pass must stand."""

    def changes(self, single: ReportingPass, model: ir.Model, *, tolerance: float = 1e-5) -> list[Change]:
        """Runs a pass that has something to do: same numbers, valid model, nothing to do afterwards."""
        before = run(model)
        result = single(model)
        assert isinstance(result, ReportedPassResult)
        assert result.modified
        onnx.checker.check_model(ir.to_proto(model))
        np.testing.assert_allclose(run(model), before, rtol=tolerance, atol=tolerance)
        self.leaves(single, model)
        return list(result.changes)

    def leaves(self, single: ReportingPass, model: ir.Model) -> list[Change]:
        """Runs a pass that has nothing to do."""
        before = ir.to_proto(model).SerializeToString(deterministic=True)
        result = single(model)
        assert isinstance(result, ReportedPassResult)
        assert not result.modified
        assert ir.to_proto(model).SerializeToString(deterministic=True) == before
        return list(result.changes)


@pytest.fixture
def build() -> Build:
    return build_model


@pytest.fixture
def check() -> PassChecks:
    return PassChecks()


@pytest.fixture
def execute() -> Callable[..., np.ndarray]:
    return run


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
