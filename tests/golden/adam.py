#!/usr/bin/python3
"""Writes adam.txt: a trajectory of torch.optim.Adam over 100 steps, in float64, for tests/models/adam_test.cpp.

Two parameters, minimising f = sum(c * (p - target)^4) / 4 + sum(sin(p)); gradients are computed by torch.
Lines: step, then every element of both parameters, as hexadecimal floats (exact).
"""
import torch

torch.set_default_dtype(torch.float64)
a = torch.linspace(-2, 2, 6).reshape(2, 3).requires_grad_()
b = torch.linspace(0.5, 1.5, 4).requires_grad_()
optimizer = torch.optim.Adam([a, b], lr=0.05, betas=(0.9, 0.999), eps=1e-8)
with open("adam.txt", "w") as out:
    for step in range(1, 101):
        optimizer.zero_grad()
        loss = ((a - 0.3) ** 4).sum() / 4 + torch.sin(a).sum() + ((b + 0.7) ** 4).sum() / 4 + torch.sin(b).sum()
        loss.backward()
        optimizer.step()
        values = torch.cat([a.detach().reshape(-1), b.detach()]).tolist()
        out.write(" ".join([str(step)] + [v.hex() for v in values]) + "\n")
