"""BatchNormalization is folded into the layer that only it reads."""

from __future__ import annotations

import numpy as np
import pytest

from fbcompile.passes.normalize.fold_batch_normalization import FoldBatchNormalizationPass
from fbcompile.passes.normalize.mat_mul_to_gemm import MatMulToGemmPass


def statistics(rng, channels=3):
    drawn = {name: rng.normal(size=channels).astype("f") for name in ("g", "h", "m")}
    return drawn | {"v": rng.uniform(0.1, 2, channels).astype("f")}


LAYERS = {
    "Conv": ("float[2,2,4,4] x", "float[2,3,2,2] y", "Conv<kernel_shape=[3,3]>(x, w)", (3, 2, 3, 3)),
    "group": (
        "float[2,3,4,4] x",
        "float[2,3,2,2] y",
        "Conv<group=3, kernel_shape=[3,3]>(x, w)",
        (3, 1, 3, 3),
    ),
    "Gemm": ("float[2,5] x", "float[2,3] y", "Gemm<transB=1>(x, w)", (3, 5)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_layers(build, check, rng, kind):
    source, target, layer, shape = LAYERS[kind]
    model = build(
        f"f ({source}) => ({target}) {{ c = {layer} y = BatchNormalization<epsilon=0.01>(c, g, h, m, v) }}",
        w=rng.normal(size=shape).astype("f"),
        **statistics(rng),
    )
    MatMulToGemmPass()(model)
    (change,) = check.changes(FoldBatchNormalizationPass(), model)
    assert change.applied
    assert len(list(model.graph)) == 1
    assert model.graph.outputs[0].name == "y"


def test_name_of_the_normalised_tensor_is_kept(build, rng):
    model = build(
        """f (float[2,2,4,4] x) => (float[2,3,2,2] y) {
            c = Conv<kernel_shape=[3,3]>(x, w) n = BatchNormalization(c, g, h, m, v) y = Relu(n)
        }""",
        w=rng.normal(size=(3, 2, 3, 3)).astype("f"),
        **statistics(rng),
    )
    model.graph[0].outputs[0].metadata_props["of"] = "c"
    model.graph[1].outputs[0].metadata_props["of"] = "n"
    MatMulToGemmPass()(model)
    FoldBatchNormalizationPass()(model)
    assert model.graph[0].outputs[0].name == "n"
    assert model.graph[0].outputs[0].metadata_props["of"] == "n"


SHARED = """f (float[2,3,4,4] x) => (float[2,3,4,4] y) {
    c = Conv<kernel_shape=[1,1]>(x, w)
    n = BatchNormalization(c, g, h, m, v)
    y = Add(c, n)
}"""


def test_layer_with_another_reader_keeps_it(build, check, rng):
    model = build(SHARED, w=rng.normal(size=(3, 3, 1, 1)).astype("f"), **statistics(rng))
    MatMulToGemmPass()(model)
    (change,) = check.leaves(FoldBatchNormalizationPass(), model)
    assert not change.applied
    assert "BatchNormalization 'n'" in change.subject


def test_nothing_to_fold(build, check):
    text = "g (float[2,4] x) => (float[2,4] y) { y = Relu(x) }"
    assert check.leaves(FoldBatchNormalizationPass(), build(text)) == []


def test_shared_weight_is_copied(build, check, rng):
    model = build(
        """f (float[2,3,4,4] x) => (float[2,3,4,4] y) {
            a = Conv<kernel_shape=[1,1]>(x, w, b)
            n = BatchNormalization(a, g, h, m, v)
            y = Conv<kernel_shape=[1,1]>(n, w, b)
        }""",
        w=rng.normal(size=(3, 3, 1, 1)).astype("f"),
        b=np.zeros(3, "f"),
        **statistics(rng),
    )
    check.changes(FoldBatchNormalizationPass(), model)
    assert model.graph[0].inputs[1] is not model.graph[1].inputs[1]
