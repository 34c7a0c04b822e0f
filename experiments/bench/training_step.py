#!/usr/bin/python3
"""Training speed of vem against the same VAE in eager Python on the same LibTorch, in turn, in one run.

Usage: python3 experiments/bench/training_step.py [--threads 1] [--rounds 5] [--vem build/vem]

Both train a VAE on Fashion-MNIST, re-binarised each batch, with the analytic ELBO and Adam; denormals are flushed in
both; the same number of threads. Each round runs Python, then vem; the table has the medians and the ratio of medians.
Python times its training loop alone; vem's figure is the rate in metrics.jsonl, which covers its whole pass: data,
logging and statistics included.
"""
import argparse, gzip, json, os, shutil, statistics, subprocess, sys, tempfile, time

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--vem", default="build/vem")
arguments = parser.parse_args()

# The BLAS flavour that does not fight with OpenMP, for both: vem finds it by itself.
blas = "/usr/lib/x86_64-linux-gnu/openblas-openmp"
if os.path.isdir(blas) and blas not in os.environ.get("LD_LIBRARY_PATH", ""):
    os.environ["LD_LIBRARY_PATH"] = blas
    os.execv(sys.executable, [sys.executable] + sys.argv)

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_flush_denormal(True)
torch.set_num_threads(arguments.threads)
PATH = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"
with gzip.open(PATH) as f:
    IMAGES = torch.from_numpy(np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 784).copy())


class VAE(nn.Module):
    def __init__(self, widths, latent):
        super().__init__()
        sizes = [784] + widths
        self.encoder = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.parameters_of_q = nn.Linear(widths[-1], 2 * latent)
        sizes = [latent] + widths[::-1]
        self.decoder = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.logits = nn.Linear(widths[0], 784)

    def loss(self, x, activation):
        h = x
        for layer in self.encoder:
            h = activation(layer(h))
        mean, log_std = self.parameters_of_q(h).chunk(2, -1)
        z = mean + log_std.exp() * torch.randn_like(mean)
        for layer in self.decoder:
            z = activation(layer(z))
        reconstruction = F.binary_cross_entropy_with_logits(self.logits(z), x, reduction="sum")
        kl = (0.5 * ((2 * log_std).exp() + mean * mean - 1) - log_std).sum()
        return (reconstruction + kl) / x.shape[0]


def python_rate(model, optimizer, activation, batch, steps):
    order = torch.randperm(len(IMAGES))
    start = time.perf_counter()
    for i in range(steps):
        rows = IMAGES[order[i * batch:(i + 1) * batch]].float() / 255
        x = (torch.rand_like(rows) < rows).float()
        optimizer.zero_grad()
        model.loss(x, activation).backward()
        optimizer.step()
    return steps * batch / (time.perf_counter() - start)


def vem_rate(widths, latent, activation, batch, steps):
    run = tempfile.mkdtemp()
    settings = {"data.binarize": "dynamic", "data.validation": 0, "data.limit": steps * batch, "train.batch_size": batch,
                "train.epochs": 3, "model.latent_dim": latent, "model.encoder.widths": widths,
                "model.decoder.widths": widths[::-1], "model.encoder.activation": activation,
                "model.decoder.activation": activation}
    command = [arguments.vem, "train", "vae", "--data", "fashion-mnist", "--out", run, "--force", "--threads",
               str(arguments.threads)]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(run + "/metrics.jsonl") as f:
        rates = [entry["items_per_second"] for entry in map(json.loads, f) if "items_per_second" in entry]
    shutil.rmtree(run)
    return statistics.median(rates[1:])  # the first pass also warms caches up, as Python's first round does


print(f"{'model':34} {'Python items/s':>15} {'vem items/s':>12} {'ratio':>6}   (median of {arguments.rounds}, {arguments.threads} thread(s))")
for widths, latent, name, batch, steps, wanted in [([512, 512], 20, "relu", 128, 60, 1.2), ([200, 200], 50, "tanh", 20, 400, 1.8)]:
    activation = getattr(torch, name)
    model = VAE(widths, latent)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    python_rate(model, optimizer, activation, batch, steps)
    theirs, ours = [], []
    for _ in range(arguments.rounds):
        theirs.append(python_rate(model, optimizer, activation, batch, steps))
        ours.append(vem_rate(widths, latent, name, batch, steps))
    ratio = statistics.median(ours) / statistics.median(theirs)
    label = f"784-{'-'.join(map(str, widths))}-{latent}, batch {batch}, {name}"
    print(f"{label:34} {statistics.median(theirs):15.0f} {statistics.median(ours):12.0f} {ratio:6.2f}   (at least {wanted} is wanted)")
