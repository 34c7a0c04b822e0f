"""The VAE that vem is measured against, as people write it in PyTorch. Fashion-MNIST from Debian's package."""
import gzip, os, sys

# The BLAS flavour that does not fight with OpenMP, for both: vem finds it by itself.
BLAS = "/usr/lib/x86_64-linux-gnu/openblas-openmp"
with open("/proc/cpuinfo") as file:
    VECTORS = "avx512f" in file.read()
if VECTORS:  # kernels for it, also where Debian's OpenBLAS does not know the processor: vem sees to that by itself
    os.environ.setdefault("OPENBLAS_CORETYPE", "SKYLAKEX")
if os.path.isdir(BLAS) and BLAS not in os.environ.get("LD_LIBRARY_PATH", ""):
    os.environ["LD_LIBRARY_PATH"] = BLAS
    os.execv(sys.executable, [sys.executable] + sys.argv)

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_flush_denormal(True)


def images():
    """The training images [60000, 784] uint8."""
    with gzip.open("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz") as file:
        return torch.from_numpy(np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784).copy())


class VAE(nn.Module):
    def __init__(self, widths, latent, activation):
        super().__init__()
        self.activation = activation
        sizes = [784] + widths
        self.encoder = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.parameters_of_q = nn.Linear(widths[-1], 2 * latent)
        sizes = [latent] + widths[::-1]
        self.decoder = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.logits = nn.Linear(widths[0], 784)

    def loss(self, x):
        """Less the ELBO, nats an item."""
        h = x
        for layer in self.encoder:
            h = self.activation(layer(h))
        mean, log_std = self.parameters_of_q(h).chunk(2, -1)
        z = mean + log_std.exp() * torch.randn_like(mean)
        for layer in self.decoder:
            z = self.activation(layer(z))
        reconstruction = F.binary_cross_entropy_with_logits(self.logits(z), x, reduction="sum")
        kl = (0.5 * ((2 * log_std).exp() + mean * mean - 1) - log_std).sum()
        return (reconstruction + kl) / x.shape[0]
