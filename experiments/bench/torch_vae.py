"""The VAE that vem is measured against, as people write it in PyTorch. Fashion-MNIST from Debian's package."""
import gzip, math, os, sys

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


class Gated(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.linear, self.gate = nn.Linear(a, b), nn.Linear(a, b)

    def forward(self, x):
        return self.linear(x) * torch.sigmoid(self.gate(x))


class VAE(nn.Module):
    """`gated` layers instead of an activation; a VampPrior with so many `pseudo` inputs; the bound of so many `samples`."""

    def __init__(self, widths, latent, activation, gated=False, pseudo=0, samples=1):
        super().__init__()
        self.activation, self.samples = (lambda h: h) if gated else activation, samples
        layer = Gated if gated else nn.Linear
        sizes = [784] + widths
        self.encoder = nn.ModuleList(layer(a, b) for a, b in zip(sizes, sizes[1:]))
        self.parameters_of_q = nn.Linear(widths[-1], 2 * latent)
        sizes = [latent] + widths[::-1]
        self.decoder = nn.ModuleList(layer(a, b) for a, b in zip(sizes, sizes[1:]))
        self.logits = nn.Linear(widths[0], 784)
        self.pseudo = nn.Parameter(torch.rand(pseudo, 784)) if pseudo else None

    def encode(self, h):
        for layer in self.encoder:
            h = self.activation(layer(h))
        return self.parameters_of_q(h).chunk(2, -1)

    def decode(self, z):
        for layer in self.decoder:
            z = self.activation(layer(z))
        return self.logits(z)

    def loss(self, x):
        """Less the bound, nats an item."""
        mean, log_std = self.encode(x)
        if self.samples > 1 or self.pseudo is not None:
            return self.sampled_loss(x, mean, log_std)
        z = mean + log_std.exp() * torch.randn_like(mean)
        reconstruction = F.binary_cross_entropy_with_logits(self.decode(z), x, reduction="sum")
        kl = (0.5 * ((2 * log_std).exp() + mean * mean - 1) - log_std).sum()
        return (reconstruction + kl) / x.shape[0]

    def sampled_loss(self, x, mean, log_std):
        noise = torch.randn(self.samples, *mean.shape)
        z = mean + log_std.exp() * noise
        log_px = -F.binary_cross_entropy_with_logits(self.decode(z), x.expand(self.samples, -1, -1), reduction="none").sum(-1)
        log_q = (-0.5 * noise * noise - log_std).sum(-1)
        if self.pseudo is None:
            log_p = (-0.5 * z * z).sum(-1)
        else:
            m, s = self.encode(self.pseudo.clamp(0, 1))
            scaled = (z.unsqueeze(-2) - m) * (-s).exp()
            log_p = torch.logsumexp((-0.5 * scaled * scaled - s).sum(-1), -1) - math.log(len(self.pseudo))
        log_w = log_px + log_p - log_q
        return -(torch.logsumexp(log_w, 0) - math.log(self.samples)).mean()


class ConvVAE(VAE):
    """Two convolutions down from 28 x 28 and a layer of `hidden` units; the same way back."""

    def __init__(self, channels, latent, activation, hidden=256):
        nn.Module.__init__(self)
        self.activation, self.samples, self.pseudo = activation, 1, None
        a, b = channels
        self.down = nn.ModuleList([nn.Conv2d(1, a, 4, 2, 1), nn.Conv2d(a, b, 4, 2, 1)])  # 28, 14, 7 pixels a side
        self.to_hidden, self.parameters_of_q = nn.Linear(b * 49, hidden), nn.Linear(hidden, 2 * latent)
        self.from_latent, self.from_hidden = nn.Linear(latent, hidden), nn.Linear(hidden, b * 49)
        self.up = nn.ModuleList([nn.ConvTranspose2d(b, a, 4, 2, 1), nn.ConvTranspose2d(a, 1, 4, 2, 1)])

    def encode(self, h):
        h = h.view(-1, 1, 28, 28)
        for layer in self.down:
            h = self.activation(layer(h))
        return self.parameters_of_q(self.activation(self.to_hidden(h.flatten(1)))).chunk(2, -1)

    def decode(self, z):
        h = self.activation(self.from_hidden(self.activation(self.from_latent(z)))).view(len(z), -1, 7, 7)
        return self.up[1](self.activation(self.up[0](h))).flatten(1)
