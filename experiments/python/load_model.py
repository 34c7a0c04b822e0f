#!/usr/bin/python3
"""load_model.py MODEL.safetensors [MODEL.pt]: reads what `vem export` wrote, with no part of vem.

The parameters need NumPy alone; the TorchScript file needs PyTorch. Given both, their tensors are compared.
"""
import json
import struct
import sys
import tomllib

import numpy

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"}


def read_safetensors(path):
    """The tensors by name, as NumPy arrays, and the metadata, a dictionary of texts."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))  # bytes of the header
        header = json.loads(file.read(length))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]  # from the end of the header
        arrays[name] = numpy.frombuffer(data[begin:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
    return arrays, metadata


def show_parameters(path):
    arrays, metadata = read_safetensors(path)
    config = tomllib.loads(metadata["config"])  # what `vem train` was given, defaults filled in
    print(f"{path}: model {config['model']['kind']}")
    for name, array in sorted(arrays.items()):
        print(f"  {name} {list(array.shape)} {array.dtype}")
    return arrays


def show_methods(path, arrays):
    import torch

    model = torch.jit.load(path)
    model.eval()
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    same = tensors.keys() == arrays.keys() and all(
        numpy.array_equal(tensors[name].detach().numpy(), array) for name, array in arrays.items()
    )
    print(f"{path}: {'the same tensors' if same else 'other tensors'}")
    with torch.no_grad():
        drawn = model.sample(3)
        x = drawn[0] if isinstance(drawn, tuple) else drawn
        print("  three draws:", list(x.shape), "and their log-densities or bounds, where the model has them:")
        if hasattr(model, "log_prob"):
            print("  log_prob:", model.log_prob(x).tolist())
        if hasattr(model, "encode"):
            code = model.encode(x)
            print("  encode:", [list(part.shape) for part in (code if isinstance(code, tuple) else (code,))])
    return same


def main():
    arrays = show_parameters(sys.argv[1])
    same = show_methods(sys.argv[2], arrays) if len(sys.argv) > 2 else True
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
