"""check_export.py FILE.pt FOLDER... [FILE.pt FOLDER...]: runs TorchScript files from Python (Debian: python3-torch).

Loads each file as a user would, calls .eval(), prints the names of its parameters and buffers, and compares its methods
with the numbers in the folders: METHOD.in.K.npy and METHOD.out.K.npy, or METHOD.shape.K.npy where the numbers are
random. Methods also get the numbers of a file's first folder in other types, and must make the same of them. Ends with
1 at a difference; load_export.cpp does the same in C++.
"""

import pathlib
import sys

import numpy
import torch

TOLERANCE = 1e-5  # relative where numbers are larger than 1: float32 and its products


def load(path):
    module = torch.jit.load(str(path))
    module.eval()
    assert not module.training
    names = [f"parameter {path.stem}: {name}" for name, _ in module.named_parameters()]
    names += [f"buffer {path.stem}: {name}" for name, _ in module.named_buffers()]
    print("\n".join(sorted(names)))
    return module


def read_all(folder, prefix):
    """METHOD.KIND.0.npy, METHOD.KIND.1.npy ..."""
    count = len(list(folder.glob(f"{prefix}.*.npy")))
    return [numpy.load(folder / f"{prefix}.{k}.npy") for k in range(count)]


def argument(array):
    return int(array) if array.shape == () and array.dtype == numpy.int64 else torch.from_numpy(array)


def same(method, folder, outputs):
    shapes = read_all(folder, f"{method}.shape")
    if shapes:
        return [list(output.shape) for output in outputs] == [list(shape) for shape in shapes]
    wanted = read_all(folder, f"{method}.out")
    return len(outputs) == len(wanted) and all(
        got.numpy().dtype == want.dtype
        and got.shape == want.shape
        and numpy.allclose(got.numpy(), want, TOLERANCE, TOLERANCE, equal_nan=True)
        for got, want in zip(outputs, wanted)
    )


def takes_every_type(method, inputs):
    """Whether inputs of other types give what the same numbers give in the type that the model was trained in."""
    for dtype in (torch.float64, torch.float32, torch.float16, torch.int64, torch.uint8, torch.bool):
        given = [torch.from_numpy(x).abs().to(dtype) if x.dtype.kind == "f" else argument(x) for x in inputs]
        same = [g.to(torch.from_numpy(x).dtype) if x.dtype.kind == "f" else g for g, x in zip(given, inputs)]
        got, wanted = (out if isinstance(out, tuple) else (out,) for out in (method(*given), method(*same)))
        for a, b in zip(got, wanted):
            if a.dtype != b.dtype or not torch.allclose(a.double(), b.double(), TOLERANCE, TOLERANCE, equal_nan=True):
                return False
    return True


def check(module, folder, in_every_type):
    methods = sorted({path.name.split(".")[0] for path in folder.iterdir()})
    failures = 0 if methods else 1
    for method in methods:
        result = getattr(module, method)(*map(argument, read_all(folder, f"{method}.in")))
        right = same(method, folder, result if isinstance(result, tuple) else (result,))
        if right and in_every_type and not read_all(folder, f"{method}.shape"):
            right = takes_every_type(getattr(module, method), read_all(folder, f"{method}.in"))
        if not right:
            print(f"{folder}: {method} differs")
            failures += 1
    print(f"{folder}: {len(methods)} methods")
    return failures


def main():
    module, failures, first = None, 0, False
    with torch.no_grad():
        for path in map(pathlib.Path, sys.argv[1:]):
            if path.suffix == ".pt":
                module = load(path)
            else:
                failures += check(module, path, first)
            first = path.suffix == ".pt"
    return 1 if failures or len(sys.argv) < 3 else 0


if __name__ == "__main__":
    sys.exit(main())
