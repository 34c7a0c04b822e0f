"""What the benchmarks of closed-form models share: one thread, runs in turn, medians, tables for both sides, results."""
import datetime, json, os, platform, statistics, subprocess, time

for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]:
    os.environ[name] = "1"  # before NumPy is imported


def machine():
    """The processor, what else it is doing, and the day."""
    model = platform.processor() or "unknown processor"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return "%s, one thread, load %.1f, %s" % (model, os.getloadavg()[0], datetime.date.today())


def has_bf16():
    """Whether the processor has products of bfloat16."""
    with open("/proc/cpuinfo") as file:
        flags = file.read()
    return "amx_bf16" in flags or "avx512_bf16" in flags


def in_turn(rounds, runs):
    """runs: name -> f() that returns (seconds, anything). A B A B; name -> (median seconds, what the last one returned)."""
    seconds, last = {name: [] for name in runs}, {}
    for _ in range(rounds):
        for name, run in runs.items():
            took, last[name] = run()
            seconds[name].append(took)
    return {name: (statistics.median(seconds[name]), last[name]) for name in runs}


def write_table(path, columns, x):
    """columns: name -> integers, before the columns x0, x1 ... of numbers."""
    with open(path, "w") as out:
        out.write(",".join(list(columns) + ["x%d" % d for d in range(x.shape[1])]) + "\n")
        for r in range(len(x)):
            out.write(",".join([str(values[r]) for values in columns.values()] + [repr(v) for v in x[r].tolist()]) + "\n")


def vem_train(vem, model, data, run, settings, passes, threads=1):
    """Seconds of the whole run, and the bound of each pass in nats an item."""
    command = [vem, "train", model, "--data", data, "--out", run, "--force", "--threads", str(threads)]
    for setting in settings + ["train.epochs=%d" % passes, "train.tolerance=0"]:
        command += ["--set", setting]
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    seconds = time.perf_counter() - begin
    rows = [json.loads(line) for line in open(os.path.join(run, "metrics.jsonl"))]
    return seconds, [row["bound"] for row in rows if "bound" in row]


def vem_pass(vem, model, data, run, settings, passes, more, threads=1):
    """Seconds of a pass: the difference between a run and one that makes `more` passes, over them. The bounds are those
    of the shorter run, which is the one that stays in `run`."""
    longer = vem_train(vem, model, data, run, settings, passes + more, threads)[0]
    seconds, bounds = vem_train(vem, model, data, run, settings, passes, threads)
    return (longer - seconds) / more, bounds


def save(path, results):
    if path:
        with open(path, "w") as out:
            json.dump({"machine": machine(), "results": results}, out, indent=1)
