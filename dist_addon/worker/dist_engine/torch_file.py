"""Tensors in a file of ``torch.save``, zip or the older layout, read without running anything in it.

``torch.load(weights_only=True)`` runs no foreign code, but lets a file of a hundred bytes take any amount of memory: a
pickle may ask it for a byte array of any length, and a tensor's claimed size makes its storage grow. So the pickle's
instructions are followed here only as far as a state dict needs them, and everything claimed is held against the file.
"""

from __future__ import annotations

import io
import math
import pickletools
import zipfile
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# Six thousand codes, each a tensor of its own, take 0.7 MB, 180 000 instructions and half a second.
LARGEST_PICKLE = 1 << 20
MOST_STEPS = 200_000
MOST_RECORDS = 6_100
DTYPES = {
    "torch FloatStorage": torch.float32,
    "torch DoubleStorage": torch.float64,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
}
ORDERED_DICT = "collections OrderedDict"
TENSOR, PARAMETER = "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"
# What the older layout begins with: a pickle of its magic number.
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

Allocate = Callable[[torch.dtype, str, int], Tensor]


def read_tensors(content: bytes) -> Any:
    """Dicts, lists, tuples, numbers, texts and tensors of floating point numbers, as they were saved.

    Parameters
    ----------
    content : bytes
        The whole file. No more memory than about its size is taken, whatever it claims.

    Raises
    ------
    Exception
        It is damaged or holds anything else: any kind of exception, as the parsers have it.
    """
    if content.startswith(b"PK"):
        return _read_zip(content)
    if content.startswith(LEGACY_MAGIC):
        return _read_legacy(content)
    raise ValueError("it is no file of torch.save")


def _read_zip(content: bytes) -> Any:
    # Each record has this in the directory, which zipfile reads as a whole.
    if content.count(b"PK\1\2") > MOST_RECORDS:
        raise ValueError("it has too many records")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        records = archive.infolist()
        if any(record.compress_type != zipfile.ZIP_STORED for record in records):
            raise ValueError("it is compressed, which torch.save never does")
        if sum(record.file_size for record in records) > len(content):
            raise ValueError("its records claim more than the file has")
        pickles = [record for record in records if record.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].file_size > LARGEST_PICKLE:
            raise ValueError("it is no file of torch.save, or describes too much")
        folder = pickles[0].filename.removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("its numbers are big-endian")
        storages: dict[str, Tensor] = {}

        def allocate(dtype: torch.dtype, key: str, count: int) -> Tensor:
            if key not in storages:
                name = f"{folder}data/{key}"
                if archive.getinfo(name).file_size != count * dtype.itemsize:
                    raise ValueError("a tensor claims another size than it has")
                storages[key] = torch.frombuffer(bytearray(archive.read(name)), dtype=dtype)
            return storages[key]

        return _follow(io.BytesIO(archive.read(pickles[0])), allocate)


def _read_legacy(content: bytes) -> Any:
    """Pickles of a magic number, a version, the machine, the data and the storages' keys; then the numbers."""
    stream = io.BytesIO(content[:LARGEST_PICKLE])
    storages: dict[str, Tensor] = {}
    left = len(content)

    def allocate(dtype: torch.dtype, key: str, count: int) -> Tensor:
        nonlocal left
        if key not in storages:
            left -= count * dtype.itemsize
            if left < 0:
                raise ValueError("a tensor claims more than the file has")
            storages[key] = torch.zeros(count, dtype=dtype)
        return storages[key]

    _, _, machine, data, keys = (_follow(stream, allocate) for _ in range(5))
    if machine["little_endian"] is not True:
        raise ValueError("its numbers are big-endian")
    if not all(type(key) is str for key in keys) or sorted(keys) != sorted(storages):
        raise ValueError("it lacks the numbers of a tensor")
    at = stream.tell()
    for key in keys:
        storage, begin = storages[key], at + 8
        at = begin + storage.nbytes
        if int.from_bytes(content[begin - 8 : begin], "little") != len(storage):
            raise ValueError("a tensor claims another size than it has")
        if at > len(content):
            raise ValueError("it is cut off")
        storage.copy_(torch.frombuffer(bytearray(content[begin:at]), dtype=storage.dtype))
    if at != len(content):
        raise ValueError("it goes on after its last tensor")
    return data


def _follow(stream: io.BytesIO, allocate: Allocate) -> Any:
    """Build what a pickle describes, up to and with its STOP; only what a state dict is made of is understood."""
    stack: list[Any] = []
    marks: list[list[Any]] = []
    memo: dict[Any, Any] = {}
    for step, (opcode, value, _) in enumerate(pickletools.genops(stream)):
        if step > MOST_STEPS:
            raise ValueError("it describes too much")
        match opcode.name:
            case "BINPUT" | "LONG_BINPUT":
                memo[value] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[value])
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE" | "GLOBAL":
                stack.append(value)
            case "MARK":
                marks.append(stack)
                stack = []
            case "TUPLE":
                stack, items = marks.pop(), stack
                stack.append(tuple(items))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(opcode.name[-1])
                stack[-count:] = [tuple(stack[-count:])]
            case "REDUCE":
                arguments = stack.pop()
                stack.append(_call(stack.pop(), arguments))
            case "BINPERSID":
                stack.append(_storage(stack.pop(), allocate))
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode.name == "NEWTRUE")
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "APPEND":
                stack[-2].append(stack.pop())
            case "APPENDS":
                stack, items = marks.pop(), stack
                stack[-1].extend(items)
            case "SETITEM":
                items = stack[-2:]
                del stack[-2:]
                _set_items(stack[-1], items)
            case "SETITEMS":
                stack, items = marks.pop(), stack
                _set_items(stack[-1], items)
            case "BUILD":
                # Attributes of an ordered dict: the versions of the modules.
                stack.pop()
            case "STOP":
                return stack.pop()
            case "PROTO":
                pass
            case other:
                raise ValueError(f"it holds more than tensors (the pickle instruction {other})")
    raise ValueError("it is cut off")


def _set_items(target: Any, items: list[Any]) -> None:
    for key, value in zip(items[::2], items[1::2], strict=True):
        # To hash nested tuples that share their parts may take for ever.
        if type(target) is not dict or type(key) not in (str, int):
            raise ValueError("it holds more than tensors by name")
        target[key] = value


def _call(function: Any, arguments: Any) -> Any:
    if type(function) is str and type(arguments) is tuple:
        if function == ORDERED_DICT and not arguments:
            return {}
        if function == TENSOR:
            return _view(*arguments[:4])
        if function == PARAMETER and isinstance(arguments[0], Tensor):
            return arguments[0]
    raise ValueError(f"it holds more than tensors ({_brief(function)})")


def _storage(identity: Any, allocate: Allocate) -> Tensor:
    """The numbers that a persistent id stands for: what it is, type, key, device, count, and once a view's place."""
    _, kind, key, _, count, *view = identity
    if type(kind) is not str or kind not in DTYPES:
        raise ValueError(f"it holds numbers that are not floating point ({_brief(kind)})")
    if type(key) is not str or type(count) is not int or count <= 0 or view not in ([], [None]):
        raise ValueError("it describes a tensor wrongly")
    return allocate(DTYPES[kind], key, count)


def _view(storage: Any, offset: Any, shape: Any, stride: Any) -> Tensor:
    if type(shape) is not tuple or type(stride) is not tuple or len(shape) != len(stride) or len(shape) > 8:
        raise ValueError("it describes a tensor wrongly")
    if not all(type(number) is int and number >= 0 for number in (offset, *shape, *stride)):
        raise ValueError("it describes a tensor wrongly")
    last = offset + sum((length - 1) * step for length, step in zip(shape, stride, strict=True))
    if not 0 < math.prod(shape) <= storage.numel() or last >= storage.numel():
        raise ValueError("a tensor claims more numbers than it has")
    tensor: Tensor = storage.as_strided(shape, stride, offset)
    return tensor


def _brief(thing: Any) -> str:
    """A text's beginning, or the type of anything else: to print nested tuples may take for ever."""
    return thing[:60] if type(thing) is str else type(thing).__name__
