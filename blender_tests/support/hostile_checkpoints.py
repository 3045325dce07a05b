"""Folders in the official DeepSDF layout that are damaged or mean harm, each with what its refusal says.

Each changes one thing in a small checkpoint that loads.
"""

from __future__ import annotations

import copy
import io
import json
import math
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from blender_tests.support.hostile_priors import LATENT, Case, flip, sparse, zipped


class Runs:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch '{self.path}'",)


class Storage:
    def __init__(self, kind: type, count: int) -> None:
        self.identity = ("storage", kind, "0", "cpu", count)


class Claim:
    """A tensor that says anything of itself."""

    def __init__(
        self,
        count: int,
        shape: tuple[int, ...],
        stride: tuple[int, ...],
        offset: int = 0,
        kind: type = torch.FloatStorage,
    ) -> None:
        self.arguments = (Storage(kind, count), offset, shape, stride, False, OrderedDict())

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return torch._utils._rebuild_tensor_v2, self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, thing: object) -> object:
        return thing.identity if isinstance(thing, Storage) else None


def pickled(data: object) -> bytes:
    stream = io.BytesIO()
    Pickler(stream, 2).dump(data)
    return stream.getvalue()


def archive_of(
    data: object, numbers: int = 12, copies: int = 0, packing: int = zipfile.ZIP_STORED, order: str = "little"
) -> bytes:
    """A file of torch.save with one storage, which its directory may list more than once."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as archive:
        archive.writestr("a/data.pkl", data if isinstance(data, bytes) else pickled(data))
        archive.writestr("a/byteorder", order)
        archive.writestr("a/data/0", bytes(4 * numbers))
        for number in range(copies):
            again = copy.copy(archive.filelist[2])
            again.filename = f"a/data/{number + 1}"
            archive.filelist.append(again)
    return stream.getvalue()


def saved(data: object, legacy: bool = False) -> bytes:
    stream = io.BytesIO()
    torch.save(data, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


SPECS: dict[str, Any] = {
    "NetworkArch": "deep_sdf_decoder",
    "CodeLength": LATENT,
    "ClampingDistance": 0.1,
    "NetworkSpecs": {"dims": [16, 16, 16], "latent_in": [2], "norm_layers": [2], "weight_norm": True},
}


def good_state() -> dict[str, torch.Tensor]:
    shapes = {
        "lin0.weight": (16, 7),
        "lin0.bias": (16,),
        "lin1.weight": (9, 16),
        "lin1.bias": (9,),
        "lin2.weight_g": (16, 1),
        "lin2.weight_v": (16, 16),
        "lin2.bias": (16,),
        "lin3.weight": (1, 16),
        "lin3.bias": (1,),
    }
    generator = torch.Generator().manual_seed(2)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def good_codes() -> torch.Tensor:
    return torch.randn(3, LATENT, generator=torch.Generator().manual_seed(3))


def good_folder(path: Path) -> None:
    for name in ("ModelParameters", "LatentCodes"):
        (path / name).mkdir(parents=True)
    (path / "specs.json").write_text(json.dumps(SPECS))
    (path / "ModelParameters" / "latest.pth").write_bytes(saved({"epoch": 1, "model_state_dict": good_state()}))
    (path / "LatentCodes" / "latest.pth").write_bytes(saved({"epoch": 1, "latent_codes": good_codes()}))


def file(name: str, content: bytes | Callable[[Path], object]) -> Callable[[Path], object]:
    """One file of the good folder written anew: what it holds, or what is done with its path."""

    def write(folder: Path) -> None:
        good_folder(folder)
        path = folder / name
        path.unlink(missing_ok=True)
        path.write_bytes(content) if isinstance(content, bytes) else content(path)

    return write


def specs(**changes: object) -> Callable[[Path], object]:
    return file("specs.json", json.dumps(SPECS | changes).encode())


def network(**changes: object) -> Callable[[Path], object]:
    return specs(NetworkSpecs=SPECS["NetworkSpecs"] | changes)


def weights(content: bytes | Callable[[Path], object]) -> Callable[[Path], object]:
    return file("ModelParameters/latest.pth", content)


def state(legacy: bool = False, **changes: object) -> Callable[[Path], object]:
    """Some weights changed, dots in their names written as underscores; None for none."""
    found: dict[str, object] = dict(good_state())
    for name, value in changes.items():
        found[name.replace("_", ".", 1)] = value
    return weights(saved({k: v for k, v in found.items() if v is not None}, legacy))


def codes(data: object) -> Callable[[Path], object]:
    made = isinstance(data, bytes) or callable(data)
    return file("LatentCodes/latest.pth", data if made else saved({"latent_codes": data}))


def late(make: Callable[[], bytes]) -> Callable[[Path], object]:
    """Made when it is written, so that large files are not held in memory."""
    return lambda path: path.write_bytes(make())


def tangled_key(depth: int) -> bytes:
    """A dict with a key of tuples, each of twice the one before: to hash it takes 2^depth steps."""
    doubled = b"".join(b"q" + bytes([level]) + b"h" + bytes([level]) + b"\x86" for level in range(depth))
    return b"\x80\x02}N" + doubled + b"K\x01s."


def nested(depth: int) -> bytes:
    return b"\x80\x02" + b"}X\x01\0\0\0a" * depth + b"K\x01" + b"s" * depth + b"."


def large_weights(folder: Path) -> None:
    """As much as is taken, and at its end a row of zeros that weight norm cannot scale."""
    good_folder(folder)
    (folder / "specs.json").write_text(json.dumps(SPECS | {"NetworkSpecs": {"dims": [3000, 3000]}}))
    large = {
        "lin0.weight": torch.zeros(3000, 7),
        "lin0.bias": torch.zeros(3000),
        "lin1.weight_g": torch.ones(3000, 1),
        "lin1.weight_v": torch.ones(3000, 3000),
        "lin1.bias": torch.zeros(3000),
        "lin2.weight": torch.zeros(1, 3000),
        "lin2.bias": torch.zeros(1),
    }
    large["lin1.weight_v"][-1] = 0
    (folder / "ModelParameters" / "latest.pth").write_bytes(saved(large))


def half_codes() -> bytes:
    return saved({"latent_codes": torch.full((5_000_000, LATENT), math.nan).half()})


def many_codes() -> bytes:
    found = [torch.zeros(LATENT) for _ in range(4000)]
    found[-1][0] = math.nan
    return saved({"latent_codes": found})


def legacy(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return codes(change(saved({"latent_codes": good_codes()}, legacy=True)))


def runs_as_zip(path: Path) -> None:
    path.write_bytes(saved({"model_state_dict": Runs(path.parents[3] / "ran")}))


def runs_as_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Runs(path.parents[3] / "ran")))


def runs_as_legacy(path: Path) -> None:
    path.write_bytes(saved({"model_state_dict": Runs(path.parents[3] / "ran")}, legacy=True))


GIB = b"J\x00\x00\x00\x40\x85"
CODES_MISSING = "no codes of length 4"
FOLDERS: dict[str, Case] = {
    "no folder": (lambda path: path.symlink_to("nowhere"), r"specs\.json cannot be used: it is missing"),
    "specs empty": (file("specs.json", b""), r"specs\.json .*no proper JSON"),
    "specs a pipe": (file("specs.json", os.mkfifo), r"specs\.json .*no file"),
    "specs of 100 MB": (file("specs.json", sparse(100_000_000)), r"specs\.json .*larger than 1 MiB"),
    "specs nested deeply": (file("specs.json", b"[" * 500_000), r"specs\.json .*no proper JSON"),
    "specs a list": (file("specs.json", b"[]"), r"specs\.json .*damaged"),
    "specs without a network": (file("specs.json", b'{"CodeLength": 4}'), r"specs\.json .*NetworkSpecs"),
    "specs of another network": (specs(NetworkArch="siren"), r"specs\.json .*another network"),
    "specs with layer norm": (network(weight_norm=False), r"specs\.json .*layer normalisation"),
    "code length 10^12": (specs(CodeLength=10**12), r"specs\.json .*whole numbers"),
    "code length 10^5000": (file("specs.json", b'{"CodeLength": 1' + b"0" * 5000 + b"}"), r"specs\.json .*JSON"),
    "code length infinite": (specs(CodeLength=math.inf), r"specs\.json .*whole numbers"),
    "code length as text": (specs(CodeLength="4"), r"specs\.json .*damaged"),
    "clamp not a number": (specs(ClampingDistance=math.nan), "no length"),
    "clamp a list": (specs(ClampingDistance=[]), r"specs\.json .*damaged"),
    "dims a number": (network(dims=512), r"specs\.json .*damaged"),
    "dims as text": (network(dims=["16", "16", "16"]), r"specs\.json .*damaged"),
    "dims 10^9": (network(dims=[10**9] * 3), r"specs\.json .*whole numbers"),
    "dims 100 000 times": (network(dims=[16] * 100_000), r"specs\.json .*1 to 64 layers"),
    "dims too small for the join": (network(dims=[16, 7, 16]), r"specs\.json .*whole numbers"),
    "dims of more than there is": (network(dims=[4096] * 64), r"ModelParameters.*lin0 is"),
    "join behind the last layer": (network(latent_in=[4]), r"specs\.json .*latent_in"),
    "join before the first layer": (network(latent_in=[-1]), r"specs\.json .*latent_in"),
    "weights missing": (weights(Path.exists), r"ModelParameters.*missing"),
    "weights a folder": (weights(Path.mkdir), r"ModelParameters.*no file"),
    "weights empty": (weights(b""), r"ModelParameters.*no file of torch\.save"),
    "weights of two GiB": (weights(sparse(2 << 30)), r"ModelParameters.*larger than 40 MiB"),
    "weights of zeros": (weights(sparse(30 << 20)), r"ModelParameters.*no file of torch\.save"),
    "code to run in a zip": (weights(runs_as_zip), r"ModelParameters.*more than tensors \(posix system\)"),
    "code to run in a pickle": (weights(runs_as_pickle), r"ModelParameters.*no file of torch\.save"),
    "code to run in the older layout": (weights(runs_as_legacy), r"ModelParameters.*more than tensors"),
    "a byte array of a GiB": (weights(archive_of(b"\x80\x02c__builtin__\nbytearray\n" + GIB + b"R.")), "bytearray"),
    "a tensor of four GiB": (weights(archive_of(b"\x80\x02ctorch\nFloatTensor\n" + GIB + b"\x81.")), "NEWOBJ"),
    "a storage of a TB": (codes(archive_of({"latent_codes": Claim(1 << 38, (3, 4), (4, 1))})), "another size"),
    "a tensor behind its storage": (codes(archive_of([Claim(12, (3, 4), (4, 1), 9)])), "more numbers than it has"),
    "a tensor of 10^12 in a storage of 12": (codes(archive_of([Claim(12, (10**6, 10**6), (1, 1))])), "more numbers"),
    "one number expanded to 10^12": (codes(torch.zeros(1, 1).expand(10**6, 10**6)), "more numbers than it has"),
    "a stride of 2^62": (codes(archive_of([Claim(12, (2, 4), (1 << 62, 1))])), "more numbers than it has"),
    "a negative stride": (codes(archive_of([Claim(12, (3, 4), (-4, 1), 8)])), "wrongly"),
    "a shape of 50 000 axes": (codes(archive_of([Claim(12, (1,) * 50_000, (1,) * 50_000)])), "wrongly"),
    "a key of 2^40 parts": (weights(archive_of(tangled_key(40))), "more than tensors"),
    "a million objects": (weights(late(lambda: archive_of(b"\x80\x02" + b"}" * 1_000_000 + b"."))), "too much"),
    "a description of 30 MB": (weights(late(lambda: archive_of(b"\x80\x02" + b"]" * 30_000_000))), "too much"),
    "a description without end": (weights(archive_of(b"\x80\x02}")), r"ModelParameters.*STOP"),
    "a description that takes from nothing": (weights(archive_of(b"\x80\x02s.")), r"ModelParameters.*damaged"),
    "a zip bomb": (weights(late(lambda: archive_of({}, 10_000_000, packing=zipfile.ZIP_DEFLATED))), "compressed"),
    "a zip whose records overlap": (
        weights(late(lambda: archive_of({}, 1_000_000, copies=100))),
        "claim more than the file has",
    ),
    "a zip of 12 000 records": (weights(late(lambda: archive_of({}, 0, copies=12_000))), "too many records"),
    "a zip of something else": (weights(zipped), r"ModelParameters.*no file of torch\.save"),
    "a zip cut off": (weights(saved(good_state())[:-100]), r"ModelParameters.*damaged"),
    "a zip with a bit flipped": (weights(flip(8 * 1800)(saved(good_state()))), r"ModelParameters.*damaged"),
    "a zip of big-endian numbers": (weights(archive_of({}, order="big")), r"ModelParameters.*big-endian"),
    "weights in a list": (weights(saved([torch.zeros(3)])), "no weights by name"),
    "weights of a wrong shape": (state(lin1_weight=torch.zeros(16, 9)), "lin1 is"),
    "weight norm of a wrong shape": (state(lin2_weight_g=torch.zeros(100_000, 1)), "lin2 is"),
    "weight norm of zeros": (state(lin2_weight_v=torch.zeros(16, 16)), "lin2 holds numbers that are not finite"),
    "36 MB of weights with a row of zeros": (large_weights, "lin1 holds numbers that are not finite"),
    "weights not numbers": (state(lin1_weight=torch.full((9, 16), math.nan)), "lin1 holds numbers that are not finite"),
    "weights infinite": (state(lin3_bias=torch.tensor([math.inf])), "lin3 holds numbers that are not finite"),
    "weights beyond single precision": (state(lin3_bias=torch.tensor([1e300]).double()), "not finite"),
    "weights a text": (state(lin1_weight="zero"), "lin1 holds something else"),
    "a weight missing": (state(lin3_bias=None), "lacks the weights of lin3"),
    "a weight too many": (state(lin4_weight=torch.zeros(1)), "another network: lin4.weight"),
    "a name of a MB": (state(**{"n" * 1_000_000: torch.zeros(1)}), "another network: nnnn"),
    "codes missing": (file("LatentCodes/latest.pth", Path.exists), r"LatentCodes.*missing"),
    "codes of another length": (codes(torch.zeros(3, 5)), CODES_MISSING),
    "codes a number": (codes(torch.tensor(1.0)), CODES_MISSING),
    "codes complex": (codes(torch.zeros(3, 4, dtype=torch.complex64)), "not floating point"),
    "codes whole numbers": (codes(torch.zeros(3, 4, dtype=torch.int64)), "not floating point"),
    "codes sparse": (codes(torch.zeros(3, 4).to_sparse()), "more than tensors"),
    "codes quantised": (codes(archive_of([Claim(48, (3, 4), (4, 1), kind=torch.QInt8Storage)])), "not floating point"),
    "codes not numbers": (codes(torch.full((3, 4), math.nan)), "codes hold numbers that are not finite"),
    "40 MB of codes in half precision": (codes(late(half_codes)), "not finite"),
    "4000 codes of their own, one not a number": (codes(late(many_codes)), "not finite"),
    "the same large code 90 000 times": (codes(late(lambda: saved([torch.zeros(1 << 20)] * 90_000))), CODES_MISSING),
    "a list of 10^6 numbers": (codes(late(lambda: saved([1] * 1_000_000))), "too much"),
    "a list of nothing": (codes([]), CODES_MISSING),
    "dicts 10 000 deep": (codes(archive_of(nested(10_000))), CODES_MISSING),
    "older layout cut off": (legacy(lambda content: content[:-7]), r"LatentCodes.*cut off"),
    "older layout too long": (legacy(lambda content: content + b"\0"), "goes on"),
    "older layout of a TB": (
        legacy(lambda c: c.replace(b"K\x0cNt", b"\x8a\x06\0\0\0\0\0\1Nt")),
        "more than the file has",
    ),
    "names not a list": (file("names.json", b'{"a": 1, "b": 2, "c": 3}'), r"names\.json .*no list"),
    "names of other things": (file("names.json", b'["a", "b", 3]'), r"names\.json .*no list"),
    "too few names": (file("names.json", b'["a"]'), r"names\.json .*names 1 codes"),
}
