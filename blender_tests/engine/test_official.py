"""The official DeepSDF layout against the network written out plainly with nn.Linear."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from dist_engine.official import load_official
from dist_engine.prior import Prior, PriorError
from torch import nn

from blender_tests.support.official_files import LATENT, Plain, write


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize(
    ("latent_in", "xyz_in_all", "use_tanh", "norm", "prefix"),
    [
        ([2], False, False, "old", "module."),
        ([2], False, True, "new", ""),
        ([], True, False, "none", "module."),
        ([1, 3], False, False, "none", ""),
    ],
)
def test_every_variant_is_the_plain_network(
    tmp_path: Path, latent_in: list[int], xyz_in_all: bool, use_tanh: bool, norm: str, prefix: str
) -> None:
    plain = Plain(latent_in, xyz_in_all, use_tanh, norm)
    codes = torch.randn(3, LATENT)
    write(tmp_path / "model", plain, codes, norm, prefix, legacy=norm == "old")
    prior = load_official(tmp_path / "model")
    points = torch.rand(50, 3) * 2 - 1
    for code in codes:
        field = prior.decoder.field(code)
        assert torch.allclose(field(points, "test"), plain(code, points), atol=1e-6)
    at = field.jacobian(points, "test")
    asked, given = points.clone().requires_grad_(), code.clone().requires_grad_()
    grads = torch.autograd.grad(plain(given, asked).sum(), (asked, given))
    assert torch.allclose(at.d_point, grads[0], atol=1e-5)
    assert torch.allclose(at.d_code.sum(0), grads[1], atol=1e-4)
    assert (prior.up, prior.front, prior.clamp) == ("+y", "-z", 0.1)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("form", ["tensor", "flat", "list", "views", "transposed", "parameter", "embedding"])
def test_codes_are_read_in_every_form(tmp_path: Path, form: str, legacy: bool) -> None:
    codes = torch.randn(3, LATENT)
    forms = {
        "tensor": codes[:, None],
        "flat": codes,
        "list": [code[None].clone() for code in codes],
        "views": list(codes),
        "transposed": codes.T.contiguous().T,
        "parameter": nn.Parameter(codes),
        "embedding": {"weight": codes},
    }
    write(tmp_path / "model", Plain([2], False, False, "none"), forms[form], "none", legacy=legacy)
    (tmp_path / "model" / "names.json").write_text('["a", "b", "c"]')
    prior = load_official(tmp_path / "model")
    assert torch.equal(prior.codes, codes)
    assert prior.about["names"] == ["a", "b", "c"]
    prior.save(tmp_path / "model.safetensors")
    again = Prior.load(tmp_path / "model.safetensors")
    assert torch.equal(again.codes, codes) and again.about == prior.about and again.name == "model"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_codes_of_other_precision_are_read(tmp_path: Path, dtype: torch.dtype) -> None:
    codes = torch.randn(3, LATENT).to(dtype)
    write(tmp_path / "model", Plain([2], False, False, "none"), codes, "none")
    assert torch.equal(load_official(tmp_path / "model").codes, codes.float())


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("run!",)


def test_errors_name_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "model"
    with pytest.raises(PriorError, match=r"specs\.json cannot be used: it is missing"):
        load_official(folder)
    write(folder, Plain([2], False, False, "none"), torch.randn(3, LATENT + 1), "none")
    with pytest.raises(PriorError, match=r"LatentCodes.*no codes of length 5"):
        load_official(folder)
    torch.save({"latent_codes": Evil()}, folder / "LatentCodes" / "latest.pth")
    with pytest.raises(PriorError, match=r"LatentCodes.*more than tensors \(__builtin__ print\)"):
        load_official(folder)
    assert "run!" not in capsys.readouterr().out
    specs = json.loads((folder / "specs.json").read_text())
    specs["NetworkSpecs"]["dims"] = [16, 16, 16, 8]
    (folder / "specs.json").write_text(json.dumps(specs))
    with pytest.raises(PriorError, match=r"ModelParameters.*lin3 is"):
        load_official(folder)
    specs["NetworkSpecs"]["norm_layers"] = [0]
    (folder / "specs.json").write_text(json.dumps(specs))
    with pytest.raises(PriorError, match=r"specs\.json cannot be used: layer normalisation"):
        load_official(folder)
