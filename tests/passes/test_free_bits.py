"""Free Bits raises exactly where the table says that it is faster, and nowhere else."""

import functools
import itertools
import zlib

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbcompile.annotation import Decider, Precision, annotation_of
from fbcompile.errors import UnsupportedModelError
from fbcompile.graph.qdq import quantized_tensors
from fbcompile.latency.table import Latency, LatencyTable, Source
from fbcompile.passes.calibrate import CalibratePass
from fbcompile.passes.free_bits import FreeBitsPass
from fbcompile.passes.insert_quantizers import InsertQuantizersPass
from fbcompile.targets import load_target

TARGET = load_target("xpulpnn")

CHAIN = """
<ir_version: 10, opset_import: ["": 25]>
chain (float[N,3,6,6] image) => (float[N,5] scores)
<float[4,3,3,3] first_weight, float[4] first_bias, float[5,4,1,1] second_weight, float[5] second_bias,
 float[5,180] last_weight, float[5] last_bias>
{
  [first] first_sum = Conv <kernel_shape = [3,3], strides = [1,1], pads = [1,1,1,1], group = 1>
          (image, first_weight, first_bias)
  [first_relu] first_out = Relu (first_sum)
  [second] second_sum = Conv <kernel_shape = [1,1], strides = [1,1], pads = [0,0,0,0], group = 1>
           (first_out, second_weight, second_bias)
  [second_relu] second_out = Relu (second_sum)
  [flatten] flat = Flatten <axis = 1> (second_out)
  [last] scores = Gemm <transA = 0, transB = 1> (flat, last_weight, last_bias)
}
"""

RESIDUAL = """
<ir_version: 10, opset_import: ["": 25]>
residual (float[N,3,6,6] image) => (float[N,4,6,6] result)
<float[4,3,1,1] first_weight, float[4] first_bias, float[4,4,3,3] left_weight, float[4] left_bias,
 float[4,4,1,1] last_weight, float[4] last_bias>
{
  [first] first_sum = Conv <kernel_shape = [1,1], strides = [1,1], pads = [0,0,0,0], group = 1>
          (image, first_weight, first_bias)
  [first_relu] shared = Relu (first_sum)
  [left] left_out = Conv <kernel_shape = [3,3], strides = [1,1], pads = [1,1,1,1], group = 1>
         (shared, left_weight, left_bias)
  [join] joined = Add (shared, left_out)
  [last] result = Conv <kernel_shape = [1,1], strides = [1,1], pads = [0,0,0,0], group = 1>
         (joined, last_weight, last_bias)
}
"""


EMPTY = """
<ir_version: 10, opset_import: ["": 25]>
floating (float[N,3] x) => (float[N,3] y) { [relu] y = Relu (x) }
"""


class FunctionTable(LatencyTable):
    """A table with a measured row for every key."""

    def __init__(self, function):
        super().__init__({})
        self.function = function

    def lookup(self, key):
        cycles = self.function(key)
        return Latency(cycles, cycles, 0, 0, Source.MEASURED, 0.0)


@functools.cache
def built(text, bits):
    proto = onnx.parser.parse_model(text)
    generator = np.random.default_rng(0)
    for info in proto.graph.value_info:
        shape = [size.dim_value for size in info.type.tensor_type.shape.dim]
        values = generator.normal(0, 0.4, size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(values, info.name))
    del proto.graph.value_info[:]
    for node in proto.graph.node:
        node.name = node.name or node.output[0]
    onnx.checker.check_model(proto, full_check=True)
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    CalibratePass()(model)
    InsertQuantizersPass(activation_bits=bits, weight_bits=bits)(model)
    return model


def model_of(text, bits=4):
    return built(text, bits).clone()


def text_of(model):
    return ir.to_proto(model).SerializeToString(deterministic=True)


def bits_of(model):
    return {name: tensor.precision.bits for name, tensor in quantized_tensors(model).items()}


def set_bits(model, bits):
    for name, tensor in quantized_tensors(model).items():
        if name in bits:
            tensor.set_precision(Precision(bits[name], tensor.precision.signed, Decider.BAYESIAN_BITS))


def monotone(key):
    bits = key.bits
    return 100 * (bits.activation_bits + bits.weight_bits + bits.output_bits)


def equal_widths_are_faster(key):
    """Unequal operands must be unpacked; narrow ones save a little traffic."""
    bits = key.bits
    unpack = 0 if bits.activation_bits == bits.weight_bits else 900
    return 1000 + unpack + 10 * max(bits.activation_bits, bits.weight_bits)


def eight_is_faster(key):
    return 1000 - 50 * (key.bits.activation_bits + key.bits.weight_bits)


def pass_of(function, **options):
    return FreeBitsPass(table=FunctionTable(function), target=TARGET, **options)


def random_table(seed):
    return lambda key: 1000 + zlib.crc32(repr((seed, key.shape, key.bits)).encode()) % 700


@pytest.mark.parametrize("text", [CHAIN, RESIDUAL])
def test_monotone_table_changes_nothing(text):
    model = model_of(text, bits=2)
    before = text_of(model)
    result = pass_of(monotone)(model)
    assert not result.modified
    assert text_of(model) == before
    assert {change.subject for change in result.changes} == set(bits_of(model))
    assert all("slower" in change.reason or "input" in change.reason for change in result.changes)


@pytest.mark.parametrize("text", [CHAIN, RESIDUAL])
def test_all_is_raised_where_more_bits_are_faster(text):
    model = model_of(text, bits=2)
    result = pass_of(eight_is_faster)(model)
    assert result.modified
    assert set(bits_of(model).values()) == {8}
    for name, tensor in quantized_tensors(model).items():
        noted = annotation_of(tensor.source)
        if name != "image":
            assert noted.decided_by is Decider.FREE_BITS
            assert "faster than 2 bit" in noted.reason
            assert "measured" in noted.reason
    onnx.checker.check_model(ir.to_proto(model), full_check=True)


def test_only_the_narrow_side_of_an_unequal_pair_is_raised():
    model = model_of(CHAIN, bits=4)
    set_bits(model, {"first_out": 8, "second_weight": 4, "second_out": 4, "last_weight": 4})
    pass_of(equal_widths_are_faster)(model)
    after = bits_of(model)
    assert after["first_weight"] == 8  # the network's input has 8 bit
    assert (after["first_out"], after["second_weight"]) == (8, 8)
    assert (after["second_out"], after["last_weight"]) == (4, 4)


def test_network_input_keeps_its_precision():
    model = model_of(CHAIN, bits=2)
    before = quantized_tensors(model)["image"].precision
    pass_of(eight_is_faster)(model)
    assert quantized_tensors(model)["image"].precision == before


def test_ties_are_left_alone_unless_asked_for():
    model = model_of(CHAIN, bits=4)
    assert not pass_of(lambda key: 1000)(model).modified
    assert pass_of(lambda key: 1000, ties="more_bits")(model).modified
    assert set(bits_of(model).values()) == {8}


def test_shared_tensor_is_decided_by_the_sum_of_its_layers():
    def only_left_gains(gain):
        def cycles(key):
            wide = key.bits.activation_bits == 8
            if key.shape.op == "add":
                return 1000 + (100 if wide else 0)
            return 1000 - (gain if wide and key.shape.kernel_height == 3 else 0)

        return cycles

    keeps, raises = model_of(RESIDUAL), model_of(RESIDUAL)
    pass_of(only_left_gains(90))(keeps)
    pass_of(only_left_gains(110))(raises)
    assert bits_of(keeps)["shared"] == 4
    assert bits_of(raises)["shared"] == 8


def test_producer_is_charged_for_wider_outputs_unless_collapsed_to_eight():
    def cycles(key):
        return 1000 + 30 * key.bits.output_bits - 20 * key.bits.activation_bits

    charged, free = model_of(CHAIN), model_of(CHAIN)
    pass_of(cycles)(charged)
    pass_of(cycles, output_bits="eight")(free)
    assert bits_of(charged)["first_out"] == 4
    assert bits_of(free)["first_out"] == 8


def brute_force(free_bits, model, text):
    """Least cycles over all widths that are nowhere lower, by trying them all on the table itself."""
    names = [name for name, bits in bits_of(model).items() if name != "image" and bits < 8]
    best = None
    for choice in itertools.product(*([b for b in (2, 4, 8) if b >= bits_of(model)[name]] for name in names)):
        trial = model_of(text)
        set_bits(trial, {**bits_of(model), **dict(zip(names, choice, strict=True))})
        cycles = free_bits.plan(trial).cycles_before
        best = cycles if best is None else min(best, cycles)
    return best


@settings(deadline=None, max_examples=4)
@given(st.integers(0, 10**6), st.sampled_from(["actual", "eight"]), st.sampled_from([CHAIN, RESIDUAL]))
def test_equals_brute_force(seed, output_bits, text):
    model = model_of(text)
    free_bits = pass_of(random_table(seed), output_bits=output_bits)
    expected = brute_force(free_bits, model, text)
    assert free_bits.plan(model).cycles_after == expected


@settings(deadline=None, max_examples=12)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["actual", "eight"]),
    st.sampled_from(["strict", "more_bits"]),
    st.sampled_from([2, 4]),
)
def test_never_slower_never_lower_idempotent_and_scale_free(seed, output_bits, ties, bits):
    table = random_table(seed)
    options = {"output_bits": output_bits, "ties": ties}
    model, scaled = model_of(RESIDUAL, bits), model_of(RESIDUAL, bits)
    before = bits_of(model)
    plan = pass_of(table, **options).plan(model)
    assert plan.cycles_after <= plan.cycles_before
    pass_of(table, **options)(model)
    after = bits_of(model)
    assert after == plan.bits_after
    assert all(after[name] >= before[name] for name in before)
    assert pass_of(table, **options).plan(model).cycles_before == plan.cycles_after
    pass_of(lambda key: 7 * table(key), **options)(scaled)
    assert bits_of(scaled) == after
    frozen = text_of(model)
    assert not pass_of(table, **options)(model).modified
    assert text_of(model) == frozen


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 10**6))
def test_published_rule_where_nothing_is_shared(seed):
    """Layer by layer: the strictly fastest pair that is nowhere narrower."""
    table = random_table(seed)
    model = model_of(CHAIN)
    free_bits = pass_of(table, output_bits="eight")
    plan = free_bits.plan(model)
    pairs = [("image", "first_weight"), ("first_out", "second_weight"), ("second_out", "last_weight")]
    for activation, weight in pairs:
        changed = {**plan.bits_before}
        choices = {}
        for ba, bw in itertools.product((4, 8), (4, 8)):
            if activation == "image" and ba != 8:
                continue
            trial = model_of(CHAIN)
            set_bits(trial, {**changed, activation: ba, weight: bw})
            choices[ba, bw] = free_bits.plan(trial).cycles_before
        present = (plan.bits_before[activation], plan.bits_before[weight])
        best = min(choices, key=choices.get)
        expected = best if choices[best] < choices[present] else present
        assert (plan.bits_after[activation], plan.bits_after[weight]) == expected


def test_order_of_the_nodes_does_not_matter():
    table = random_table(5)
    plain, turned = model_of(RESIDUAL), model_of(RESIDUAL)
    weights = [
        node for node in turned.graph if node.op_type == "QuantizeLinear" and node.inputs[0].is_initializer()
    ]
    last = turned.graph[-1]
    for node in weights:
        pair = next(iter(node.outputs[0].uses()))[0]
        turned.graph.remove([node, pair])
        turned.graph.insert_before(
            last if last in pair.outputs[0].consumers() else turned.graph[0], [node, pair]
        )
    pass_of(table)(plain)
    pass_of(table)(turned)
    assert [node.name for node in plain.graph] != [node.name for node in turned.graph]
    assert bits_of(plain) == bits_of(turned)


def test_modelled_rows_are_named_in_the_reason():
    model = model_of(CHAIN)
    changes = FreeBitsPass(table=LatencyTable({}), target=TARGET)(model).changes
    assert any("modelled, never calibrated" in change.reason for change in changes)


def test_float_model_is_refused():
    proto = onnx.parser.parse_model(EMPTY)
    with pytest.raises(UnsupportedModelError, match="no quantized tensors"):
        pass_of(monotone)(ir.from_proto(proto))
