"""A program's files are read strictly."""

import numpy as np
import pytest

from fbcompile.errors import NumericsError, UsageError
from fbcompile.reference.numpy_interpreter import run_numpy
from fbcompile.verification.inputs import verification_inputs
from fbcompile.verification.run import pack_inputs, run_on_host, trace_bytes


@pytest.fixture
def inputs(compiled):
    return verification_inputs(compiled.network.input, 2, None, 0)


def run(compiled, tmp_path, pretended_tool, inputs, script, **options):
    program = pretended_tool(tmp_path / "program", script)
    return run_on_host(program, compiled.project, compiled.network, inputs, tmp_path / "work", **options)


def files(compiled, images, trace=0, profile=0):
    layers = len(compiled.network.layers)
    sizes = (images * trace_bytes(compiled.network) + trace, images * layers * 16 + profile)
    return f"head -c {sizes[0]} /dev/zero > trace.bin; head -c {sizes[1]} /dev/zero > profile.bin"


def test_files_of_the_right_size_are_read(compiled, tmp_path, pretended_tool, inputs):
    result = run(compiled, tmp_path, pretended_tool, inputs, files(compiled, 2) + "; echo fine")
    assert result.stdout == "fine\n"
    assert result.cycles.shape == (2, len(compiled.network.layers), 4)
    for layer in compiled.network.layers:
        shape = (1, layer.output.channels, layer.output.height, layer.output.width)
        assert result.tensors(1)[layer.output.name].shape == shape


@pytest.mark.parametrize(
    ("trace", "profile", "message"),
    [
        (-1, 0, "trace.bin has"),
        (1, 0, "trace.bin has"),
        (0, -4, "profile.bin has"),
        (0, 16, "profile.bin has"),
    ],
)
def test_wrong_size_is_a_failure(compiled, tmp_path, pretended_tool, inputs, trace, profile, message):
    with pytest.raises(NumericsError, match=message):
        run(compiled, tmp_path, pretended_tool, inputs, files(compiled, 2, trace, profile))


def test_no_output_is_a_failure(compiled, tmp_path, pretended_tool, inputs):
    with pytest.raises(NumericsError, match=r"wrote no trace\.bin"):
        run(compiled, tmp_path, pretended_tool, inputs, "true")


def test_output_of_an_earlier_run_does_not_count(compiled, tmp_path, pretended_tool, inputs):
    run(compiled, tmp_path, pretended_tool, inputs, files(compiled, 2))
    with pytest.raises(NumericsError, match=r"wrote no trace\.bin"):
        run(compiled, tmp_path, pretended_tool, inputs, "true")


def test_status_and_words_of_a_failing_program(compiled, tmp_path, pretended_tool, inputs):
    script = files(compiled, 2) + "; echo 'AddressSanitizer: heap' >&2; exit 3"
    with pytest.raises(NumericsError, match=r"status 3[\s\S]*AddressSanitizer"):
        run(compiled, tmp_path, pretended_tool, inputs, script)


def test_hanging_program_is_stopped(compiled, tmp_path, pretended_tool, inputs):
    with pytest.raises(NumericsError, match="did not end"):
        run(compiled, tmp_path, pretended_tool, inputs, "exec sleep 20", timeout_seconds=0.5)


def test_inputs_out_of_range_or_shape_are_refused(compiled, inputs):
    tensor = compiled.network.input
    with pytest.raises(UsageError, match="for a tensor of"):
        pack_inputs(np.full_like(inputs, 1000), tensor)
    with pytest.raises(UsageError, match="for a network that reads"):
        pack_inputs(inputs[:, :, :-1], tensor)
    with pytest.raises(UsageError, match="for a network that reads"):
        pack_inputs(inputs[:0], tensor)
    assert len(pack_inputs(inputs, tensor)) == 2 * tensor.bytes


def test_real_program_gives_the_reference_numbers(compiled, tmp_path, inputs):
    from fbcompile.verification.build import Build, build_project, copy_project

    project = copy_project(compiled.project, tmp_path)
    program = build_project(project, Build.HOST)
    result = run_on_host(program, project, compiled.network, inputs, tmp_path / "work")
    expected = run_numpy(compiled.network, inputs)
    for image in range(2):
        for layer in compiled.network.layers:
            name = layer.output.name
            np.testing.assert_array_equal(result.tensors(image)[name].ravel(), expected[name][image].ravel())
