#!/usr/bin/python3
"""How many classes a nearest-class-mean classifier, fitted on Fashion-MNIST's training images, sees among samples.

Usage: python3 experiments/classes_of_samples.py SAMPLES.npy      (from: vem sample RUN -n 64 --out SAMPLES.npy)
"""
import gzip, sys
import numpy as np

FOLDER = "/usr/share/datasets/fashion-mnist/train-"
NAMES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]


def idx(name, offset):
    with gzip.open(FOLDER + name) as f:
        return np.frombuffer(f.read(), np.uint8, offset=offset)


images = idx("images-idx3-ubyte.gz", 16).reshape(-1, 784).astype(np.float32) / 255
labels = idx("labels-idx1-ubyte.gz", 8)
means = np.stack([images[labels == c].mean(0) for c in range(10)])
samples = np.load(sys.argv[1]).reshape(-1, 784)
classes = ((samples[:, None] - means[None]) ** 2).sum(-1).argmin(1)
counts = np.bincount(classes, minlength=10)
print(", ".join(f"{name} {count}" for name, count in zip(NAMES, counts) if count))
print(f"{(counts > 0).sum()} of 10 classes among {len(samples)} samples")
