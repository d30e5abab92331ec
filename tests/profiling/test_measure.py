"""Layers measured in one program are those measured alone, and one that fails takes no other with it."""

import dataclasses

import pytest

from fbcompile.errors import DoesNotFitError, NumericsError
from fbcompile.latency.key import LatencyKey, LayerBits, LayerShape
from fbcompile.latency.rows import Measurement
from fbcompile.profiling import measure as module
from fbcompile.profiling.measure import Bench, measure
from fbcompile.targets import load_target
from fbcompile.verification.gvsoc import GvsocInstall

TARGET = load_target("xpulpnn")
SHAPES = (
    LayerShape("conv", 1, 1, 1, 1, 0, 0, 0, 0, 1, 20, 20, 32, 32),
    LayerShape("conv", 3, 3, 1, 1, 1, 1, 1, 1, 1, 20, 20, 16, 16),
    LayerShape("depthwise", 3, 3, 1, 1, 1, 1, 1, 1, 32, 20, 20, 32, 32),
    LayerShape("average_pool", 20, 20, 1, 1, 0, 0, 0, 0, 1, 20, 20, 64, 64),
)
HUGE = LayerShape("linear", 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 4096, 4096)


def key_of(shape):
    bits = LayerBits(8, False, 0 if shape.op == "average_pool" else 8, 8)
    return LatencyKey(shape, bits, TARGET.name, TARGET.cores, TARGET.l1_bytes)


KEYS = [key_of(shape) for shape in SHAPES]


NOISE = {"rel": 0.03, "abs": 500}
"""What the pseudo-random replacement in the simulated caches does to cycles."""


@pytest.fixture(scope="module")
def bench(gvsoc_home, tmp_path_factory):
    return Bench(TARGET, GvsocInstall(gvsoc_home), tmp_path_factory.mktemp("bench") / "objects")


@pytest.mark.gvsoc
def test_company_does_not_matter(bench):
    together = measure(KEYS, bench)
    backwards = measure(KEYS[::-1], bench)
    for key in KEYS:
        alone = measure([key], bench)[key]
        for other in (together[key], backwards[key]):
            assert other.cycles == pytest.approx(alone.cycles, **NOISE)
            assert other.compute == pytest.approx(alone.compute, **NOISE)


@pytest.mark.gvsoc
def test_layer_that_does_not_fit_leaves_the_others_their_rows(bench):
    outcomes = measure([KEYS[0], key_of(HUGE), KEYS[1]], bench)
    assert isinstance(outcomes[key_of(HUGE)], DoesNotFitError)
    assert isinstance(outcomes[KEYS[0]], Measurement)
    assert isinstance(outcomes[KEYS[1]], Measurement)


@pytest.mark.gvsoc
def test_wrong_result_is_found_in_a_batch(bench, monkeypatch):
    expected = module.run_numpy

    def other(network, inputs):
        tensors = expected(network, inputs)
        if network.output.channels == SHAPES[1].output_channels:
            tensors[network.output.name][0, 3, 2, 1] += 1
        return tensors

    monkeypatch.setattr(module, "run_numpy", other)
    outcomes = measure(KEYS[:3], bench)
    assert [type(outcomes[key]) for key in KEYS[:3]] == [Measurement, NumericsError, Measurement]
    assert "c=3, h=2, w=1" in outcomes[KEYS[1]].what


@pytest.mark.gvsoc
@pytest.mark.parametrize("error", [DoesNotFitError("no room for the code"), NumericsError("trap")])
def test_batch_that_fails_as_a_whole_is_halved_down_to_the_culprit(bench, monkeypatch, error):
    real = module.run_on_gvsoc
    sizes = []

    def fails_with_the_pool(install, target, elf, folder, **options):
        present = b"fbc_main_3" in elf.read_bytes()
        sizes.append(present)
        if present:
            raise error
        return real(install, target, elf, folder, **options)

    monkeypatch.setattr(module, "run_on_gvsoc", fails_with_the_pool)
    outcomes = measure(KEYS, bench)
    assert outcomes[KEYS[3]] is error
    assert all(isinstance(outcomes[key], Measurement) for key in KEYS[:3])
    assert sizes == [True, False, True, False, True]


@pytest.mark.gvsoc
def test_cores_of_the_target_are_used(bench):
    one = dataclasses.replace(TARGET, cores=1)
    alone = Bench(one, bench.install, bench.objects.with_name("one_core"))
    key = dataclasses.replace(KEYS[0], cores=1)
    assert measure([key], alone)[key].cycles > 4 * measure(KEYS[:1], bench)[KEYS[0]].cycles
