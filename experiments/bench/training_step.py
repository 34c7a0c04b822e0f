#!/usr/bin/python3
"""Training speed of vem against the same VAE in eager Python on the same LibTorch, in turn, in one run.

Usage: python3 experiments/bench/training_step.py [--threads 1] [--rounds 5] [--vem build/vem] [--compile]

The Python that runs this brings the PyTorch that is compared: Debian's, or the torch wheel. The best of its Adams counts:
one tensor after the other, all at once (foreach), or fused where there is that; --compile adds torch.compile. Both train a VAE on Fashion-MNIST, re-binarised each batch, with the analytic ELBO and Adam; denormals are flushed in
both; the same number of threads. Each round runs Python, then vem; the table has the medians and the ratio of medians.
Python times its training loop alone; vem's figure is the rate in metrics.jsonl, which covers its whole pass: data,
logging and statistics included. Where the processor has products of bfloat16 and the batch pays for the change of type,
each round has a third run (model.precision = "bf16"), which is compared with vem in float32.
"""
import argparse, json, os, shutil, statistics, subprocess, tempfile, time

from torch_vae import VAE, ConvVAE, images, torch
import turns

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--compile", action="store_true")
parser.add_argument("--json", default="", help="file for the results")
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)
IMAGES = images()
BF16 = turns.has_bf16()


def peers(widths, latent, name, more):
    """Name -> (loss, optimiser) of a model of its own."""
    def make():
        kind = ConvVAE if name == "relu, conv" else VAE
        return kind(widths, latent, getattr(torch, name.split(",")[0], None), **more)

    adams = {"Adam": {}, "Adam, foreach": {"foreach": True}}
    if int(torch.__version__.split(".")[0]) >= 2:
        adams["Adam, fused"] = {"fused": True}
    for label, options in adams.items():
        model = make()
        yield label, model.loss, torch.optim.Adam(model.parameters(), lr=1e-3, **options)
    if arguments.compile:
        model = make()
        yield "torch.compile", torch.compile(model.loss), torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)


def python_rate(loss, optimizer, batch, steps):
    order = torch.randperm(len(IMAGES))
    start = time.perf_counter()
    for i in range(steps):
        rows = IMAGES[order[i * batch:(i + 1) * batch]].float() / 255
        x = (torch.rand_like(rows) < rows).float()
        optimizer.zero_grad()
        loss(x).backward()
        optimizer.step()
    return steps * batch / (time.perf_counter() - start)


def vem_rate(widths, latent, activation, batch, steps, more, precision="float32"):
    run = tempfile.mkdtemp()
    settings = {"data.binarize": "dynamic", "data.validation": 0, "data.limit": steps * batch, "train.batch_size": batch,
                "train.epochs": 3, "model.latent_dim": latent, "model.encoder.widths": widths,
                "model.decoder.widths": widths[::-1], "model.precision": precision}
    for network in ["model.encoder", "model.decoder"]:
        settings.update({network + ".gated": "true"} if "gated" in more else {network + ".activation": activation})
    if activation == "relu, conv":
        for network, channels in [("model.encoder", widths), ("model.decoder", widths[::-1])]:
            settings.update({network + ".kind": "conv", network + ".channels": channels})
            del settings[network + ".widths"], settings[network + ".activation"]
    if "pseudo" in more:
        settings.update({"model.prior.kind": "vamp", "model.prior.num_components": more["pseudo"]})
    if "samples" in more:
        settings.update({"model.objective.kind": "iwae", "model.objective.num_samples": more["samples"]})
    command = [arguments.vem, "train", "vae", "--data", "fashion-mnist", "--out", run, "--force", "--threads",
               str(arguments.threads)]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(run + "/metrics.jsonl") as f:
        rates = [entry["items_per_second"] for entry in map(json.loads, f) if "items_per_second" in entry]
    shutil.rmtree(run)
    return statistics.median(rates[1:])  # the first pass also warms caches up, as Python's first round does


print(f"PyTorch {torch.__version__}, {turns.machine()}")
print(f"{'model':34} {'Python items/s':>15} {'vem items/s':>12} {'ratio':>6}   (median of {arguments.rounds}, {arguments.threads} thread(s))")
results = []
CASES = [([512, 512], 20, "relu", 128, 60, 1.4, {}), ([200, 200], 50, "tanh", 20, 400, 2.0, {}),
         ([300, 300], 40, "gated, VampPrior", 100, 60, 1.4, {"gated": True, "pseudo": 500}),
         ([200, 200], 50, "tanh", 20, 40, 1.4, {"samples": 50}), ([32, 64], 20, "relu, conv", 128, 20, 1.4, {})]
for widths, latent, name, batch, steps, wanted, more in CASES:
    theirs, ours, half = {label: (loss, optimizer, []) for label, loss, optimizer in peers(widths, latent, name, more)}, [], []
    for loss, optimizer, _ in theirs.values():
        python_rate(loss, optimizer, batch, steps)
    for _ in range(arguments.rounds):
        for loss, optimizer, rates in theirs.values():
            rates.append(python_rate(loss, optimizer, batch, steps))
        ours.append(vem_rate(widths, latent, name, batch, steps, more))
        if BF16 and batch >= 64 and name == "relu":
            half.append(vem_rate(widths, latent, name, batch, steps, more, "bf16"))
    b = statistics.median(ours)
    medians = {label: statistics.median(rates) for label, (_, _, rates) in theirs.items()}
    compiled = {label: medians.pop(label) for label in ["torch.compile"] if label in medians}
    best = max(medians, key=medians.get)
    label = f"784-{'-'.join(map(str, widths))}-{latent}, batch {batch}, {name}" + (f", IWAE {more['samples']}" if "samples" in more else "")
    for peer, a in [*medians.items(), *compiled.items()]:
        print(f"{label:34} {a:15.0f} {b:12.0f} {b / a:6.2f}   {peer}" + (f" (at least {wanted} is wanted)" if peer == best else ""))
    for peer, a in [(best, medians[best]), *compiled.items()]:
        results.append({"case": f"{label}, {peer}", "pytorch": a, "vem": b, "ratio": b / a, "unit": "items/s"})
    if half:
        c = statistics.median(half)
        print(f"{'the same with bf16 products':34} {b:15.0f} {c:12.0f} {c / b:6.2f}   (vem in float32, in bf16; at least 1.8 is wanted with AMX)")
        results.append({"case": label + ", bf16", "float32": b, "vem": c, "ratio": c / b, "unit": "items/s"})
turns.save(arguments.json, results)
