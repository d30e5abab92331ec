"""verify passes on a right program, names the first wrong element of a wrong one, and changes no project."""

import dataclasses
import shutil

import pytest

from fbcompile.errors import InternalError, NumericsError, UsageError
from fbcompile.verification.gvsoc import GvsocInstall
from fbcompile.verification.inputs import verification_inputs
from fbcompile.verification.verify import verify


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_right_program_passes_with_sanitizers(compiled):
    before = files_of(compiled.project)
    inputs = verification_inputs(compiled.network.input, 16, None, 0)
    steps = []
    report = verify(
        compiled.network,
        compiled.model,
        compiled.project,
        inputs,
        progress=lambda part, text: steps.append(text),
    )
    assert report.host_images == 16
    assert report.sanitized
    assert report.gvsoc_images == 0
    assert report.elements == 16 * sum(layer.output.elements for layer in compiled.network.layers)
    assert "GVSOC did not run" in report.summary()
    assert report.as_dict()["equal"] is True
    assert len(steps) == 2
    assert files_of(compiled.project) == before


def test_one_wrong_weight_is_named(compiled, tmp_path):
    broken = tmp_path / "c"
    shutil.copytree(compiled.project, broken)
    image = bytearray((broken / "hex" / "weights.bin").read_bytes())
    image[0] ^= 0x40
    (broken / "hex" / "weights.bin").write_bytes(image)
    inputs = verification_inputs(compiled.network.input, 4, None, 0)
    with pytest.raises(NumericsError) as caught:
        verify(compiled.network, compiled.model, broken, inputs, sanitize=False)
    first = compiled.network.layers[0]
    assert caught.value.exit_code == 5
    assert f"layer '{first.name}' (tensor '{first.output.name}') at n=" in str(caught.value)
    assert "c=0" in str(caught.value)


def test_network_that_is_not_the_model_is_noticed(compiled):
    first, *others = compiled.network.layers
    renamed = dataclasses.replace(first, output=dataclasses.replace(first.output, name="nothing"))
    network = dataclasses.replace(compiled.network, layers=(renamed, *others))
    inputs = verification_inputs(compiled.network.input, 1, None, 0)
    with pytest.raises(InternalError, match="nothing"):
        verify(network, compiled.model, compiled.project, inputs, sanitize=False)


def test_gvsoc_without_target_is_a_usage_error(compiled, tmp_path):
    inputs = verification_inputs(compiled.network.input, 1, None, 0)
    with pytest.raises(UsageError, match="needs a target"):
        verify(compiled.network, compiled.model, compiled.project, inputs, gvsoc=GvsocInstall(tmp_path))


@pytest.mark.gvsoc
def test_right_program_passes_on_gvsoc(compiled, gvsoc_home):
    inputs = verification_inputs(compiled.network.input, 4, None, 0)
    report = verify(
        compiled.network,
        compiled.model,
        compiled.project,
        inputs,
        sanitize=False,
        gvsoc=gvsoc_home,
        target=compiled.target,
        gvsoc_images=4,
    )
    assert report.gvsoc_images == 4
    assert report.cycles.total > 1000
    assert all(layer.cycles.overhead >= 0 < layer.cycles.compute for layer in report.layers)
    assert report.as_dict()["gvsoc_cycles"]["total"] == sum(layer.cycles.total for layer in report.layers)


@pytest.mark.gvsoc
def test_gvsoc_alone_is_enough(compiled, gvsoc_home):
    inputs = verification_inputs(compiled.network.input, 4, None, 0)
    report = verify(
        compiled.network,
        compiled.model,
        compiled.project,
        inputs,
        host=False,
        gvsoc=gvsoc_home,
        target=compiled.target,
    )
    assert (report.host_images, report.sanitized, report.gvsoc_images) == (0, False, 1)
    assert report.summary().startswith("onnxruntime = GVSOC on 1: ")
    assert report.elements == sum(layer.output.elements for layer in compiled.network.layers)


def test_nothing_to_run_is_a_usage_error(compiled):
    inputs = verification_inputs(compiled.network.input, 1, None, 0)
    with pytest.raises(UsageError, match="nothing would be compared"):
        verify(compiled.network, compiled.model, compiled.project, inputs, host=False)
