import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from dist_engine.decoder import Architecture, Decoder
from dist_engine.prior import Prior, PriorError

ARCHITECTURES = [
    Architecture(latent=8, widths=(24,) * 4, code_layers=(0, 1, 2, 3), point_layers=(0, 2)),
    Architecture(latent=8, widths=(32, 21, 32), code_layers=(0, 2), point_layers=(0, 2), tanh=1),
    Architecture(latent=8, widths=(24,) * 3, code_layers=(0, 1), point_layers=(0, 2), octaves=3),
]


def make(architecture: Architecture, seed: int = 0) -> Decoder:
    decoder = Decoder(architecture).double()
    decoder.initialise(torch.Generator().manual_seed(seed))
    for name, weight in decoder.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight, std=0.3, generator=torch.Generator().manual_seed(seed + 1))
    return decoder


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_folded_field_equals_the_training_network(architecture: Architecture) -> None:
    decoder = make(architecture)
    codes = torch.randn(3, 8, dtype=torch.float64)
    points = torch.rand(3, 5000, 3, dtype=torch.float64) * 2 - 1
    whole = decoder(points, codes)
    for index in range(3):
        assert torch.allclose(decoder.field(codes[index])(points[index], "march"), whole[index], atol=1e-12)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_written_out_derivatives_equal_autograd(architecture: Architecture) -> None:
    decoder = make(architecture)
    code = torch.randn(8, dtype=torch.float64)
    points = (torch.rand(50, 3, dtype=torch.float64) * 2 - 1).requires_grad_()
    codes = code.expand(50, -1).clone().requires_grad_()
    d_point, d_code = torch.autograd.grad(decoder(points[:, None], codes).sum(), (points, codes))
    at = decoder.field(code).jacobian(points.detach(), "gradient")
    assert torch.allclose(at.d_point, d_point, atol=1e-12)
    assert torch.allclose(at.d_code, d_code, atol=1e-12)


def test_every_query_is_counted_by_purpose() -> None:
    counter: Counter[str] = Counter()
    field = make(ARCHITECTURES[0]).field(torch.zeros(8, dtype=torch.float64), counter)
    field(torch.zeros(7000, 3, dtype=torch.float64), "march")
    field.jacobian(torch.zeros(5, 3, dtype=torch.float64), "gradient")
    assert counter == {"march": 7000, "gradient": 5}


def saved(path: Path) -> Prior:
    decoder = make(ARCHITECTURES[0]).float()
    prior = Prior("thing", decoder, torch.randn(20, 8), up="+y", front="-z", about={"steps": 3})
    prior.save(path)
    return prior


def test_a_prior_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    prior = saved(tmp_path / "thing.safetensors")
    again = Prior.load(tmp_path / "thing.safetensors")
    points = torch.rand(100, 3)
    assert torch.equal(
        prior.decoder.field(prior.codes[3])(points, "march"), again.decoder.field(again.codes[3])(points, "march")
    )
    assert (again.name, again.up, again.front, again.about) == ("thing", "+y", "-z", {"steps": 3})
    assert (again.radius, again.clamp, again.decoder.architecture) == (1 / 1.03, 0.1, ARCHITECTURES[0])
    assert torch.equal(again.codes, prior.codes)
    weights, found = prior.decoder.state_dict(), again.decoder.state_dict()
    assert weights.keys() == found.keys() and all(torch.equal(weights[name], found[name]) for name in weights)
    # The same prior is the same file, byte for byte.
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "thing.safetensors").read_bytes()
    # Up +y and front -z make +x the left: right, back, up are -x, +z, +y.
    assert again.axes().T.tolist() == [[-1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_mahalanobis_length_of_the_training_codes_is_one_a_dimension(tmp_path: Path) -> None:
    codes = torch.randn(4000, 8) * torch.linspace(0.5, 2, 8) + 3
    prior = Prior("thing", make(ARCHITECTURES[0]).float(), codes)
    whitened = (codes - prior.mean) @ prior.precision_root().T
    assert whitened.square().mean().item() == pytest.approx(1, rel=0.01)


def test_damaged_priors_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "thing.safetensors"
    saved(path)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"\x80\x04K\x01.", b"\xff" * 8 + whole[8:]):
        path.write_bytes(damaged)
        with pytest.raises(PriorError, match=r"thing\.safetensors"):
            Prior.load(path)
    with pytest.raises(PriorError, match=r"other\.safetensors cannot be used: it is missing\. Choose another"):
        Prior.load(tmp_path / "other.safetensors")


def test_a_prior_that_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "thing.safetensors"
    prior = saved(path)
    before = path.read_bytes()
    for name, value, reason in (
        ("about", {"names": "a" * (1 << 20)}, "header than 1 MiB"),
        ("name", "two\nlines", "not printable"),
        ("front", "-y", "not two of the axes"),
        ("clamp", float("nan"), "no length"),
        ("codes", torch.zeros(3, 7), r"codes are \(3, 7\)"),
    ):
        kept = getattr(prior, name)
        setattr(prior, name, value)
        with pytest.raises(PriorError, match=rf"thing\.safetensors cannot be used: .*{reason}.*\. Correct"):
            prior.save(path)
        setattr(prior, name, kept)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, Architecture(latent=1, widths=(1,), tanh=2)])
def test_an_architecture_comes_back_from_json(architecture: Architecture) -> None:
    assert Architecture.from_json(json.loads(json.dumps(architecture.to_json()))) == architecture


def test_a_prior_with_numbers_that_are_not_finite_is_refused(tmp_path: Path) -> None:
    prior = saved(tmp_path / "thing.safetensors")
    prior.codes[2, 3] = float("nan")
    prior.save(tmp_path / "thing.safetensors")
    with pytest.raises(PriorError, match="codes holds numbers that are not finite"):
        Prior.load(tmp_path / "thing.safetensors")
