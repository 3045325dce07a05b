"""Prior files that are damaged or mean harm, each with what its refusal says.

Each changes one thing in a small file that loads, with a checksum that fits unless that is the point.
"""

from __future__ import annotations

import functools
import json
import math
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from dist_engine.decoder import Architecture, Decoder
from dist_engine.prior import seal

LATENT = 4
# What writes a file, and a part of the error.
Case = tuple[Callable[[Path], object], str]


@functools.cache
def good_prior() -> bytes:
    decoder = Decoder(Architecture(latent=LATENT, widths=(6, 5), code_layers=(0, 1), point_layers=(0,)))
    decoder.initialise(torch.Generator().manual_seed(0))
    codes = torch.randn(3, LATENT, generator=torch.Generator().manual_seed(1))
    plain = {f"decoder.{name}": weight for name, weight in decoder.state_dict().items()} | {"codes": codes}
    metadata = {
        "format": "dist-prior",
        "version": "1",
        "name": "thing",
        "up": "+z",
        "front": "-y",
        "radius": "0.97",
        "clamp": "0.1",
        "architecture": json.dumps(decoder.architecture.to_json()),
        "about": '{"licence": "CC0-1.0"}',
    }
    header: dict[str, Any] = {"__metadata__": metadata}
    data = b""
    for name, tensor in sorted(plain.items()):
        numbers = tensor.detach().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(data), len(data + numbers)]}
        data += numbers
    return seal(pack(header, data))


def pack(header: object, data: bytes, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def parts() -> tuple[dict[str, Any], bytes]:
    content = good_prior()
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def raw(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """The file's bytes changed, as damage does it: the checksum stays."""
    return lambda path: path.write_bytes(change(good_prior()))


def says(**metadata: object) -> Callable[[Path], object]:
    """Other metadata, None for none, with a checksum that fits."""

    def write(path: Path) -> None:
        header, data = parts()
        found = header["__metadata__"] | metadata
        header["__metadata__"] = {name: value for name, value in found.items() if value is not None}
        path.write_bytes(seal(pack(header, data)))

    return write


def built(**architecture: object) -> Callable[[Path], object]:
    old = json.loads(parts()[0]["__metadata__"]["architecture"])
    return says(architecture=json.dumps({k: v for k, v in (old | architecture).items() if v is not None}))


def entry(name: str, **changes: object) -> Callable[[Path], object]:
    """A tensor that claims something else, with a checksum that fits."""

    def write(path: Path) -> None:
        header, data = parts()
        header[name] = header.get(name, {}) | changes
        path.write_bytes(seal(pack(header, data)))

    return write


def number(value: float, at: int) -> Callable[[Path], object]:
    """Another number in the data, with a checksum that fits."""

    def write(path: Path) -> None:
        header, data = parts()
        numbers = torch.frombuffer(bytearray(data), dtype=torch.float32)
        numbers[at] = value
        path.write_bytes(seal(pack(header, numbers.numpy().tobytes())))

    return write


def without(name: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        header, data = parts()
        del header[name]
        path.write_bytes(seal(pack(header, data)))

    return write


def no_codes(path: Path) -> None:
    header, data = parts()
    size = 4 * LATENT * header["codes"]["shape"][0]
    for name, found in header.items():
        if name != "__metadata__":
            found["data_offsets"] = [0, 0] if name == "codes" else [at - size for at in found["data_offsets"]]
    header["codes"]["shape"] = [0, LATENT]
    path.write_bytes(seal(pack(header, data[size:])))


def large(shape: list[int], tail: float) -> Callable[[Path], object]:
    """A prior of nearly the largest size that is taken, whose last code ends with `tail`."""

    def write(path: Path) -> None:
        header, data = parts()
        old, new = header["codes"]["data_offsets"][1], 4 * math.prod(shape)
        for name, found in header.items():
            if name not in ("__metadata__", "codes"):
                found["data_offsets"] = [at - old + new for at in found["data_offsets"]]
        header["codes"] |= {"shape": shape, "data_offsets": [0, new]}
        codes = torch.zeros(math.prod(shape))
        codes[-1] = tail
        path.write_bytes(seal(pack(header, codes.numpy().tobytes() + data[old:])))

    return write


def flip(bit: int) -> Callable[[bytes], bytes]:
    return lambda content: (int.from_bytes(content, "little") ^ (1 << bit)).to_bytes(len(content), "little")


def twice(content: bytes) -> bytes:
    header, data = parts()
    text = json.dumps(header)
    return pack((text[:-1] + f', "codes": {json.dumps(header["codes"])}}}').encode(), data)


def sparse(size: int) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        path.unlink(missing_ok=True)
        path.touch()
        os.truncate(path, size)

    return write


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("codes", b"\0" * 1000)


PRIORS: dict[str, Case] = {
    "not there": (lambda path: path.symlink_to("nowhere"), "missing"),
    "a folder": (Path.mkdir, "no file"),
    "a pipe": (os.mkfifo, "no file"),
    "a loop of links": (lambda path: path.symlink_to(path.name), "missing"),
    "empty": (raw(lambda content: b""), "cut off"),
    "two GiB of zeros": (sparse(2 << 30), "larger than 40 MiB"),
    "thirty MiB of zeros": (sparse(30 << 20), "cut off"),
    "a pickle": (raw(lambda content: pickle.dumps({"codes": [0.0]})), "larger"),
    "a zip": (zipped, "larger"),
    "header length 0": (raw(lambda content: bytes(8) + content[8:]), "cut off"),
    "header length -1": (raw(lambda content: b"\xff" * 8 + content[8:]), "larger"),
    "header length 1 MiB": (raw(lambda content: (1 << 20).to_bytes(8, "little") + content[8:]), "cut off"),
    "header of 30 MiB": (raw(lambda content: pack(b" " * (30 << 20), b"")), "header than 1 MiB"),
    "header not JSON": (raw(lambda content: pack(b"{codes}", b"")), "no proper JSON"),
    "header not text": (raw(lambda content: pack(b"\xff\xfe\x00", b"")), "no proper JSON"),
    "header a list": (raw(lambda content: pack([], b"")), "does not say"),
    "header nested deeply": (raw(lambda content: pack(b'{"a":' * 100_000, b"")), "no proper JSON"),
    "header of nothing but lists": (raw(lambda content: pack(b"[" + b"[]," * 300_000 + b"[]]", b"")), "does not say"),
    "names twice": (raw(twice), "a name comes twice"),
    "cut off in the length": (raw(lambda content: content[:5]), "cut off"),
    "cut off in the header": (raw(lambda content: content[:200]), "cut off"),
    "cut off in the data": (raw(lambda content: content[:-100]), "checksum"),
    "cut off by a byte": (raw(lambda content: content[:-1]), "checksum"),
    "too long by a byte": (raw(lambda content: content + b"\0"), "checksum"),
    "bit flipped in the length": (raw(flip(3)), "JSON"),
    "bit flipped in the radius": (raw(lambda c: c.replace(b'"radius":"0.97"', b'"radius":"0.17"')), "checksum"),
    "bit flipped in a code": (raw(lambda content: flip(8 * len(content) - 10)(content)), "checksum"),
    "metadata missing": (raw(lambda content: pack({}, b"")), "does not say"),
    "metadata not texts": (says(radius=0.97), "invalid type"),
    "another format": (says(format="other"), "dist-prior"),
    "another version": (says(version="2"), "version 1"),
    "no radius": (says(radius=None), "lacks radius"),
    "radius 0": (says(radius="0"), "no length"),
    "radius infinite": (says(radius="inf"), "no length"),
    "radius no number": (says(radius="x"), "could not convert"),
    "clamp not a number": (says(clamp="nan"), "no length"),
    "clamp negative": (says(clamp="-1"), "no length"),
    "clamp a word": (says(clamp="x"), "could not convert"),
    "up is front": (says(up="+y"), "not two of the axes"),
    "no such axis": (says(up="up"), "not two of the axes"),
    "name with a line end": (says(name="a\nb"), "not printable"),
    "name of 500 kB": (says(name="a" * 500_000), "longer than 100"),
    "about not JSON": (says(about="{"), "no proper JSON"),
    "about a list": (says(about="[]"), "no JSON object"),
    "about nested deeply": (says(about="[" * 200_000), "no proper JSON"),
    "about of 30 MB": (raw(lambda c: pack(parts()[0] | {"__metadata__": {"a": "b" * 30_000_000}}, b"")), "larger"),
    "architecture not JSON": (says(architecture="x"), "no proper JSON"),
    "architecture a number": (says(architecture="7"), "does not say"),
    "architecture with more": (built(more=1), "does not say"),
    "latent 0": (built(latent=0), "whole numbers"),
    "latent 10^12": (built(latent=10**12), "whole numbers"),
    "no widths": (built(widths=[]), "1 to 64 layers"),
    "widths negative": (built(widths=[6, -5]), "whole numbers"),
    "widths true": (built(widths=[6, True]), "whole numbers"),
    "widths a text": (built(widths="65"), "1 to 64 layers"),
    "widths as text": (built(widths=["6", "5"]), "whole numbers"),
    "widths a fraction": (built(widths=[6, 5.5]), "whole numbers"),
    "widths 10^9": (built(widths=[10**9, 10**9]), "whole numbers"),
    "widths of more than there is": (built(widths=[4096] * 64), "unknown ones"),
    "widths 100 000 times": (built(widths=[1] * 100_000), "1 to 64 layers"),
    "a code layer that there is not": (built(code_layers=[0, 3]), "whole numbers"),
    "a code layer twice": (built(code_layers=[0, 0]), "no layer twice"),
    "a first layer without the point": (built(point_layers=[1]), "first layer must see"),
    "tanh 10^9 times": (built(tanh=10**9), "whole numbers"),
    "type F64": (entry("codes", dtype="F64"), "codes is 'F64'"),
    "type F16": (entry("codes", dtype="F16"), "codes is 'F16'"),
    "type BF16": (entry("codes", dtype="BF16"), "codes is 'BF16'"),
    "type I8": (entry("codes", dtype="I8"), "codes is 'I8'"),
    "shape of 2^40": (entry("codes", shape=[1 << 40, LATENT]), "Error while deserializing"),
    "shape that overflows": (entry("codes", shape=[1 << 62, LATENT]), "overflow"),
    "shape negative": (entry("codes", shape=[-3, LATENT]), "invalid value"),
    "shape empty": (entry("codes", shape=[]), "damaged"),
    "shape of 100 000 axes": (entry("codes", shape=[3] + [1] * 100_000), "codes is 'F32'"),
    "shape wrong": (entry("codes", shape=[LATENT, 3]), "expected F32"),
    "weight of a wrong shape": (entry("decoder.layers.0.code", shape=[LATENT, 6]), "expected F32"),
    "offsets out of the file": (entry("codes", data_offsets=[1 << 50, (1 << 50) + 48]), "Error while deserializing"),
    "offsets backwards": (entry("codes", data_offsets=[48, 0]), "Error while deserializing"),
    "offsets that overlap": (entry("decoder.layers.0.bias", data_offsets=[0, 24]), "Error while deserializing"),
    "a weight too many": (entry("more", dtype="F32", shape=[0], data_offsets=[0, 0]), "unknown ones: more"),
    "a weight missing": (without("decoder.layers.1.hidden"), "unknown ones: decoder.layers.1.hidden"),
    "codes missing": (without("codes"), "unknown ones: codes"),
    "no codes": (no_codes, r"codes are \(0, 4\)"),
    "a code not a number": (number(math.nan, 3), "codes holds numbers that are not finite"),
    "a weight infinite": (number(-math.inf, -1), "not finite"),
    "forty MB and one not a number": (large([2_500_000, LATENT], math.nan), "codes holds numbers that are not finite"),
}
