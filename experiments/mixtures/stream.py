#!/usr/bin/env python3
"""Memory of mixtures on data that stay on disk: full batch, stochastic and memoised.

    python3 experiments/mixtures/stream.py FOLDER [--vem build/vem] [--gigabytes 2] [--features 64] [--formats npy csv]

Writes rows around eight centres into FOLDER, from a seed, as float64 .npy and as .csv, and trains `gmm` on each. Prints
seconds and the largest anonymous memory of the program (RssAnon and the heap: what the system can not take back, unlike
pages of the mapped file), beside that of the same program on the first 1,000 rows. The table's numbers stand in a
temporary file in $TMPDIR while it is trained on. Needs NumPy.
"""
import argparse
import os
import subprocess
import time

import numpy

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder")
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--gigabytes", type=float, default=2)
parser.add_argument("--features", type=int, default=64)
parser.add_argument("--formats", nargs="+", default=["npy", "csv"], choices=["npy", "csv"])
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--set", nargs="*", default=[], help="further settings of every run")
arguments = parser.parse_args()

CHUNK = 1 << 14
HOWS = {"full batch": [], "stochastic": ["train.batch_size=10000"],
        "memoised": ["train.batch_size=100000", "train.memoised=true"]}


def chunks(rows):
    """The rows of the data set, a chunk at a time."""
    draw = numpy.random.default_rng(0)
    centers = 3 * draw.standard_normal((8, arguments.features))
    for begin in range(0, rows, CHUNK):
        n = min(CHUNK, rows - begin)
        yield centers[draw.integers(8, size=n)] + draw.standard_normal((n, arguments.features))


def write(path, rows):
    if path.endswith(".npy"):
        with open(path, "wb") as file:
            shape = (rows, arguments.features)
            numpy.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
            for chunk in chunks(rows):
                chunk.tofile(file)
        return
    with open(path, "w") as file:
        file.write(",".join(f"x{d}" for d in range(arguments.features)) + "\n")
        for chunk in chunks(rows):
            numpy.savetxt(file, chunk, "%.4f", ",")


def anonymous_mb(pid):
    """Memory that is not backed by a file, in MB; 0 once the process has ended."""
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) / 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def train(path, settings):
    """Seconds and the largest anonymous memory of a training, in MB."""
    command = [arguments.vem, "train", "gmm", "--data", path, "--out", os.path.join(arguments.folder, "run"), "--force"]
    for setting in ["model.num_components=8", f"train.epochs={arguments.epochs}", *settings, *arguments.set]:
        command += ["--set", setting]
    start, peak = time.time(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, anonymous_mb(process.pid))
        time.sleep(0.02)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: ended with {process.returncode}")
    return time.time() - start, peak


os.makedirs(arguments.folder, exist_ok=True)
print("| file | rows | MB | how | seconds | anonymous memory, MB | on 1,000 rows |\n| --- | --- | --- | --- | --- | --- | --- |")
for kind in arguments.formats:
    rows = int(arguments.gigabytes * 2**30 / 8 / arguments.features)
    large, small = (os.path.join(arguments.folder, f"{name}.{kind}") for name in ("large", "small"))
    write(large, rows)
    write(small, 1000)
    for how, settings in HOWS.items():
        base = train(small, [s for s in settings if "batch_size" not in s or how == "stochastic"]
                     if how != "memoised" else ["train.batch_size=500", "train.memoised=true"])[1]
        seconds, peak = train(large, settings)
        print(f"| .{kind} | {rows:,} | {os.path.getsize(large) / 2**20:.0f} | {how} | {seconds:.0f} | {peak:.0f} "
              f"| {base:.0f} |", flush=True)
    os.remove(large)
