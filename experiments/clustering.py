#!/usr/bin/python3
"""Does a mixture prior learned inside a VAE cluster better than k-means on the same VAE's latents? Fashion-MNIST test set.

Usage: python3 experiments/clustering.py RUN [--vem build/vem]
  where RUN comes from: vem train experiments/clustering.toml --seed 0 --out RUN

Prints normalised mutual information with the true classes (arithmetic mean of entropies) for the responsibilities'
largest entry and for k-means++ with ten restarts on the posterior means. Labels are used for the score alone.
"""
import argparse, gzip, os, subprocess, tempfile
import numpy as np
import torch

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("run")
parser.add_argument("--vem", default="build/vem")
arguments = parser.parse_args()
FOLDER = "/usr/share/datasets/fashion-mnist/t10k-"


def idx(name, offset):
    with gzip.open(FOLDER + name) as f:
        return np.frombuffer(f.read(), np.uint8, offset=offset)


def mutual_information(a, b):
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)
    p = table / table.sum()
    pa, pb = p.sum(1), p.sum(0)
    information = (p[p > 0] * np.log(p[p > 0] / np.outer(pa, pb)[p > 0])).sum()
    entropy = lambda q: -(q[q > 0] * np.log(q[q > 0])).sum()
    return 2 * information / (entropy(pa) + entropy(pb))


def kmeans(x, k, random):
    centers = x[random.integers(len(x), size=1)]
    while len(centers) < k:  # k-means++
        distance = ((x[:, None] - centers[None]) ** 2).sum(-1).min(1)
        centers = np.vstack([centers, x[random.choice(len(x), p=distance / distance.sum())]])
    for _ in range(100):
        distance = (x ** 2).sum(1)[:, None] - 2 * x @ centers.T + (centers ** 2).sum(1)[None]
        labels = distance.argmin(1)
        centers = np.stack([x[labels == c].mean(0) if (labels == c).any() else centers[c] for c in range(k)])
    return labels, distance.min(1).sum()


with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "model.pt")
    subprocess.run([arguments.vem, "export", arguments.run, "--out", path, "--force"], check=True, stdout=subprocess.DEVNULL)
    model = torch.jit.load(path)
x = torch.from_numpy(idx("images-idx3-ubyte.gz", 16).reshape(-1, 784).astype(np.float32) / 255)
labels = idx("labels-idx1-ubyte.gz", 8).astype(int)
with torch.no_grad():
    ours = model.predict(x).numpy()
    means = model.encode(x)[0].numpy().astype(np.float64)
    k = model.responsibilities(x[:1]).shape[1]
random = np.random.default_rng(0)
theirs = min((kmeans(means, k, random) for _ in range(10)), key=lambda result: result[1])[0]
print(f"{k} components, 10,000 test images: NMI {mutual_information(ours, labels):.4f} for the mixture's responsibilities, "
      f"{mutual_information(theirs, labels):.4f} for k-means on the posterior means")
