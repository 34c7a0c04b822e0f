#!/usr/bin/python3
"""Every benchmark of vem against its peers, one after the other, each of which takes turns with vem on the same input.

Usage: python3 experiments/bench/run.py [--quick] [--data DIR] [--only NAME ...] [--vem build/vem] [--out runs/bench]

Peers are installed into OUT/env at the versions in peers.txt; one that can not be had is skipped, and the table says so.
PyTorch is that of Debian's Python, whose LibTorch vem has too, or else of the Python that runs this. A benchmark that
fails has its reason in the table, and the exit code is 1.
Data are made from a seed; with --data DIR also DNA (DIR/seq/human-chr3.42M.fa.gz) and documents (DIR/bow/20ng-etm-*).
--quick takes one round and the small cases, in about five minutes. --armadillo, --mclust (apt: libarmadillo-dev,
r-cran-mclust) and --wheel add peers that are large or slow to have: the last installs the torch wheel, 5 GB, and measures
training steps against it, eager and compiled; with --wheel-vem PROGRAM also of a vem that is built on it (sh
tests/libtorch2.sh VERSION). Writes OUT/results.json, results.md and results.png,
and scaling.png. "kernels" needs the target bench_kernels beside the program; it compares with the machine, not with a
peer.
"""
import argparse, json, os, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true")
parser.add_argument("--data", default="")
parser.add_argument("--only", nargs="*", default=[], help="training, training_run, bf16, importance, mixtures, whole_fit, hmm, lda, scaling, kernels")
parser.add_argument("--armadillo", action="store_true")
parser.add_argument("--mclust", action="store_true")
parser.add_argument("--wheel", action="store_true")
parser.add_argument("--wheel-vem", default="")
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--out", default="runs/bench")
arguments = parser.parse_args()
rounds = "1" if arguments.quick else "5"
TORCH = "torch==2.15.0"
NO_TORCH = "neither Debian's Python nor the one that runs this has torch and numpy (apt: python3-torch, python3-numpy)"


def python_with(*modules):
    """Debian's Python or the one at hand, whichever has these modules; None if neither has."""
    for python in ["/usr/bin/python3", sys.executable]:
        if os.path.exists(python) and subprocess.run([python, "-c", "import " + ", ".join(modules)], capture_output=True).returncode == 0:
            return python
    return None


def environment(name, packages):
    """A Python that has these packages; the one at hand where they can not be installed."""
    folder = os.path.join(arguments.out, name)
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(python):
        print("installing", *packages, "into", folder, flush=True)
        made = subprocess.run([sys.executable, "-m", "venv", folder]).returncode == 0
        if not made or subprocess.run([python, "-m", "pip", "install", "--quiet", *packages]).returncode:
            print("they can not be installed: what this Python has is used", flush=True)
            return sys.executable
    return python


def benchmarks(peers):
    """Name -> Python and arguments; no Python where none has what the benchmark needs."""
    torch = python_with("torch", "numpy")
    yield "training", [torch, "training_step.py", "--rounds", "2" if arguments.quick else "5"]
    if arguments.wheel:
        step = [environment("wheel", [TORCH, "numpy"]), "training_step.py", "--compile", "--rounds", rounds]
        yield "training_wheel", step
        if arguments.wheel_vem:
            yield "training_wheel_vem", step + ["--vem", arguments.wheel_vem]
    yield "training_run", [torch, "training_run.py"] + ["--rounds", "1", "--epochs", "2" if arguments.quick else "10"]
    if not arguments.quick:
        yield "bf16", [sys.executable, "bf16.py"]
    yield "importance", [torch, "importance.py", "--rounds", rounds]
    quick = ["--only", "full-32", "full-32-float32"] if arguments.quick else ["--large"]
    quick += [option for option in ["--armadillo", "--mclust"] if getattr(arguments, option[2:])]
    yield "mixtures", [peers, "mixtures.py", "--rounds", rounds] + quick
    yield "whole_fit", [peers, "whole_fit.py", "--rounds", "1" if arguments.quick else "3"]
    dna = ["--dna", os.path.join(arguments.data, "seq/human-chr3.42M.fa.gz")] if arguments.data and not arguments.quick else []
    yield "hmm", [peers, "hmm.py", "--rounds", rounds] + (["--only", "many"] if arguments.quick else dna)
    scaling = ["--only", "mixture", "chain, "] if arguments.quick else []
    yield "scaling", [peers, "scaling.py", "--rounds", "1" if arguments.quick else "3", "--chart", os.path.join(arguments.out, "scaling.png")] + scaling
    if arguments.data:
        yield "lda", [peers, "lda.py", arguments.data, "--rounds", rounds, "--parts", "passes"] + ([] if arguments.quick else ["curve"])


def run(name, command):
    """The rows of one benchmark, or why there are none."""
    print("\n==", name, flush=True)
    if command[0] is None:
        print("skipped:", NO_TORCH, flush=True)
        return {"skipped": NO_TORCH}
    with tempfile.TemporaryDirectory() as folder:
        result = os.path.join(folder, "result.json")
        command = [command[0], os.path.join(HERE, command[1]), "--vem", arguments.vem, "--json", result] + command[2:]
        child = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if child.returncode:
            reason = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
            outcome = "skipped" if reason.startswith("ModuleNotFoundError") else "failed"
            print(f"{outcome}: {reason}", flush=True)
            return {outcome: reason}
        with open(result) as file:
            return json.load(file)


def kernels():
    """What Google Benchmark says of the hot paths."""
    program = os.path.join(os.path.dirname(arguments.vem), "bench_kernels")
    if not os.path.exists(program):
        return {"skipped": f"{program} is missing: cmake --build build --target bench_kernels"}
    print("\n== kernels", flush=True)
    child = subprocess.run([program, "--benchmark_format=json"], stdout=subprocess.PIPE, text=True,
                           env=dict(os.environ, OMP_NUM_THREADS="1"))
    return {"kernels": json.loads(child.stdout)["benchmarks"]} if child.returncode == 0 else {"failed": f"exit code {child.returncode}"}


def peer_of(row):
    return next(key for key in row if key not in ("case", "vem", "ratio", "difference", "unit"))


def rows_of(results):
    return [(name, row) for name, result in results.items() for row in result.get("results", []) if "ratio" in row]


def markdown(header, rows):
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [header, ["---"] * len(header), *rows]) + "\n"


def tables(results):
    rows = [(name, row["case"], peer_of(row).replace("_", "-"), f"{row[peer_of(row)]:.4g} {row.get('unit', 's')}",
             f"{row['vem']:.4g} {row.get('unit', 's')}", f"{row['ratio']:.2f}") for name, row in rows_of(results)]
    without = [(name, f"{outcome}: {result[outcome]}", "", "", "", "") for name, result in results.items()
               for outcome in ("skipped", "failed") if outcome in result]
    text = markdown(["benchmark", "case", "peer", "peer's", "vem's", "times faster"], rows + without)
    if kernels := results.get("kernels", {}).get("kernels"):
        speed = lambda row: f"{row['GFLOP/s']:.1f} GFLOP/s" if "GFLOP/s" in row else f"{row['GB/s']:.1f} GB/s"
        share = lambda row: f"{100 * row['of_product']:.0f} % of a product" if "of_product" in row else f"{100 * row['of_copy']:.0f} % of a copy"
        alone = lambda row: f"; {100 * row['of_products_alone']:.0f} % of its own products alone" if "of_products_alone" in row else ""
        text += "\n" + markdown(["hot path", "milliseconds", "speed", "of what the machine can do"],
                                [(row["name"], f"{row['real_time']:.3g}", speed(row), share(row) + alone(row)) for row in kernels])
    if curve := results.get("lda", {}).get("curve"):
        text += "\n" + markdown(["topics by", "alpha", "passes", "seconds", "validation perplexity", "test perplexity", "chosen by validation"],
                                [(row["program"], row["alpha"], row["passes"], f"{row['seconds']:.2f}", f"{row['validation']:.0f}",
                                  f"{row['test']:.0f}", "*" if row["chosen"] else "") for row in curve])
    if scaling := results.get("scaling", {}).get("results"):
        text += "\n" + markdown(["what grows", "sizes", "milliseconds", "exponent", "of the last doubling", "expected"],
                                [(row["case"], " ".join(map(str, row["sizes"])), " ".join(f"{1e3 * s:.4g}" for s in row["seconds"]),
                                  f"{row['exponent']:.2f}", f"{row['last']:.2f}", row["expected"]) for row in scaling])
    return text


CHART = """
import json, sys
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
rows, path = json.loads(sys.argv[1]), sys.argv[2]
figure, axes = plt.subplots(figsize=(8, 1 + 0.32 * len(rows)))
axes.barh([label for label, _ in rows][::-1], [ratio for _, ratio in rows][::-1], color="#3465a4")
axes.axvline(1, color="black", linewidth=0.8)
axes.set_xscale("log")
axes.set_xlabel("times faster than the peer (1: the same)")
for y, (_, ratio) in enumerate(rows[::-1]):
    axes.text(ratio, y, f" {ratio:.1f}", va="center", fontsize=8)
axes.spines[["top", "right"]].set_visible(False)
figure.tight_layout()
figure.savefig(path, dpi=120)
"""


def chart(peers, results, path):
    rows = [(f"{name}: {row['case']} ({peer_of(row).replace('_', '-')})", row["ratio"]) for name, row in rows_of(results)]
    if rows and subprocess.run([peers, "-c", CHART, json.dumps(rows), path], stderr=subprocess.DEVNULL).returncode:
        print("no chart: matplotlib is missing")


os.makedirs(arguments.out, exist_ok=True)
peers = environment("env", ["-r", os.path.join(HERE, "peers.txt")])
results = {}
for name, command in benchmarks(peers):
    if not arguments.only or name in arguments.only:
        results[name] = run(name, command)
if not arguments.only or "kernels" in arguments.only:
    results["kernels"] = kernels()
with open(os.path.join(arguments.out, "results.json"), "w") as file:
    json.dump({"vem": subprocess.run([arguments.vem, "info"], capture_output=True, text=True).stdout.splitlines(),
               "day": time.strftime("%Y-%m-%d"), "benchmarks": results}, file, indent=1)
with open(os.path.join(arguments.out, "results.md"), "w") as file:
    file.write(tables(results))
chart(peers, results, os.path.join(arguments.out, "results.png"))
print("\n" + tables(results))
sys.exit(any("failed" in result for result in results.values()))
