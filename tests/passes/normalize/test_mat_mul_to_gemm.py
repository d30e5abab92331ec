"""Linear layers get one form, layers get a bias."""

from __future__ import annotations

import pytest

from fbcompile.passes.normalize.mat_mul_to_gemm import MatMulToGemmPass


def assert_normalised(gemm, outputs):
    assert {name: attribute.value for name, attribute in gemm.attributes.items()} == {"transB": 1}
    assert gemm.inputs[1].const_value.shape[0] == outputs
    assert tuple(gemm.inputs[2].const_value.shape) == (outputs,)


def test_mat_mul(build, check, rng):
    model = build(
        "g (float[2,5] x) => (float[2,3] y) { y = MatMul(x, w) }", w=rng.normal(size=(5, 3)).astype("f")
    )
    check.changes(MatMulToGemmPass(), model)
    assert_normalised(model.graph[0], 3)
    assert model.graph[0].inputs[1].name == "w"
    assert not model.graph[0].inputs[2].const_value.numpy().any()


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("bias_shape", [None, (), (1,), (3,), (1, 3)])
def test_gemm(build, check, rng, transposed, bias_shape):
    arrays = {"w": rng.normal(size=(3, 5) if transposed else (5, 3)).astype("f")}
    if bias_shape is not None:
        arrays["b"] = rng.normal(size=bias_shape).astype("f")
    inputs = "x, w" if bias_shape is None else "x, w, b"
    model = build(
        f"""g (float[2,5] x) => (float[2,3] y) {{
            y = Gemm<transB={transposed}, alpha=0.5, beta=3.0>({inputs})
        }}""",
        **arrays,
    )
    check.changes(MatMulToGemmPass(), model)
    assert_normalised(model.graph[0], 3)


def test_shared_weight_is_copied(build, check, rng):
    model = build(
        "g (float[2,3] x) => (float[2,3] y) { a = MatMul(x, w) y = MatMul(a, w) }",
        w=rng.normal(size=(3, 3)).astype("f"),
    )
    check.changes(MatMulToGemmPass(), model)
    first, second = (node.inputs[1] for node in model.graph)
    assert first is not second
    assert "w" in {first.name, second.name}


def test_conv_without_bias(build, check, rng):
    model = build(
        "g (float[2,2,4,4] x) => (float[2,3,2,2] y) { y = Conv<kernel_shape=[3,3]>(x, w) }",
        w=rng.normal(size=(3, 2, 3, 3)).astype("f"),
    )
    check.changes(MatMulToGemmPass(), model)
    assert model.graph[0].inputs[2].name == "y_bias"
    assert model.graph[0].inputs[2].const_value.shape == (3,)


def test_normal_form_is_left(build, check, rng):
    model = build(
        "g (float[2,5] x) => (float[2,3] y) { y = Gemm<transB=1>(x, w, b) }",
        w=rng.normal(size=(3, 5)).astype("f"),
        b=rng.normal(size=3).astype("f"),
    )
    assert check.leaves(MatMulToGemmPass(), model) == []


def test_product_of_two_activations_is_left(build, check):
    check.leaves(MatMulToGemmPass(), build("g (float[4,4] x) => (float[4,4] y) { y = MatMul(x, x) }"))
