"""The standard mixed configuration: narrow in the middle, wide where it hurts."""

from fbcompile.graph.layers import graph_layers, layer_bits
from fbcompile.graph.mixed_bits import mixed_bits
from fbcompile.graph.qdq import quantized_tensors
from fbcompile.passes.force_bits import ForceBitsPass
from fbcompile.profiling.keys import quantized_model
from fbcompile.profiling.topologies import model_file


def layers_of(name, folder):
    model = quantized_model(model_file(name, folder))
    ForceBitsPass.from_argument("mixed")(model)
    tensors = quantized_tensors(model)
    assert {name: one.precision.bits for name, one in tensors.items()} == mixed_bits(model)
    return [(layer.shape, layer_bits(layer, tensors)) for layer in graph_layers(model)]


def test_pointwise_is_narrow_and_depthwise_wide(tmp_path):
    first, *middle, pool, last = layers_of("mobilenet_v1_0.25_96_2", tmp_path)
    assert (first[1].activation_bits, first[1].weight_bits, first[1].output_bits) == (8, 8, 8)
    assert (last[1].activation_bits, last[1].weight_bits, last[1].output_bits) == (8, 8, 32)
    assert pool[1].output_bits == 8
    for shape, bits in middle:
        width = 8 if shape.op == "depthwise" else 4
        assert (bits.activation_bits, bits.weight_bits) == (width, width)


def test_residual_networks_mix_within_additions(tmp_path):
    layers = layers_of("resnet8", tmp_path)
    additions = [bits for shape, bits in layers if shape.op == "add"]
    assert {(bits.activation_bits, bits.weight_bits) for bits in additions} == {(4, 8), (8, 8)}
    inner = [bits for shape, bits in layers if shape.op == "conv"][1:]
    assert {(bits.activation_bits, bits.weight_bits) for bits in inner} == {(4, 4)}
