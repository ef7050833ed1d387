"""Writes `methods/roberta-lora/adapter_model.bin`: the tensors of `adapter_model.safetensors` beside it as `torch.save` writes a
dictionary of them, a zip of a pickle and one file of bytes for each tensor. Needs neither torch nor PEFT.

    python3 tests/peers/make_adapter_pickle.py
"""
import collections
import io
import json
import pathlib
import pickle
import struct
import sys
import types
import zipfile

folder = pathlib.Path(__file__).parent / "methods" / "roberta-lora"
raw = (folder / "adapter_model.safetensors").read_bytes()
(n,) = struct.unpack("<Q", raw[:8])
header, data = json.loads(raw[8 : 8 + n]), raw[8 + n :]


def stub(module, name, value):
    value.__module__, value.__qualname__, value.__name__ = module, name, name
    sys.modules.setdefault(module, types.ModuleType(module))
    setattr(sys.modules[module], name, value)
    return value


FloatStorage = stub("torch", "FloatStorage", type("FloatStorage", (), {}))
rebuild = stub("torch._utils", "_rebuild_tensor_v2", lambda *_: None)


class Storage:
    def __init__(self, key, n):
        self.key, self.n = key, n


class Tensor:
    def __init__(self, storage, shape):
        strides = [1]
        for side in reversed(shape[1:]):
            strides.insert(0, strides[0] * side)
        self.state = (storage, 0, tuple(shape), tuple(strides[: len(shape)]), False, collections.OrderedDict())

    def __reduce__(self):
        return rebuild, self.state


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return ("storage", FloatStorage, value.key, "cpu", value.n) if isinstance(value, Storage) else None


tensors, blobs = collections.OrderedDict(), []
for name, entry in sorted((name, entry) for name, entry in header.items() if name != "__metadata__"):
    assert entry["dtype"] == "F32", entry
    start, end = entry["data_offsets"]
    tensors[name] = Tensor(Storage(str(len(blobs)), (end - start) // 4), entry["shape"])
    blobs.append(data[start:end])
out = io.BytesIO()
Pickler(out, protocol=2).dump(tensors)
with zipfile.ZipFile(folder / "adapter_model.bin", "w", zipfile.ZIP_STORED) as archive:
    entries = [("data.pkl", out.getvalue()), ("byteorder", b"little")]
    entries += [(f"data/{i}", blob) for i, blob in enumerate(blobs)] + [("version", b"3\n")]
    for name, content in entries:
        archive.writestr(zipfile.ZipInfo("adapter_model/" + name), content)
