#!/usr/bin/python3
"""Writes optimizers.txt: trajectories of torch.optim over 100 steps, in float64, for tests/models/optimizers_test.cpp.

Two parameters, a.weight [2, 3] and b.bias [4], minimising f = sum((p - target)^4) / 4 + sum(sin(p)); gradients are
computed by torch. Lines: case, step, then every element of both parameters, as hexadecimal floats (exact).
"""
import torch
from torch import optim

STEPS = (1, 2, 3, 5, 10, 20, 50, 100)

torch.set_default_dtype(torch.float64)


def loss(a, b):
    return ((a - 0.3) ** 4).sum() / 4 + torch.sin(a).sum() + ((b + 0.7) ** 4).sum() / 4 + torch.sin(b).sum()


def trajectory(make, change=lambda parameters: None, rate=None, average=None):
    a = torch.linspace(-2, 2, 6).reshape(2, 3).requires_grad_()
    b = torch.linspace(0.5, 1.5, 4).requires_grad_()
    optimizer = make([a], [b])
    schedule = optim.lr_scheduler.LambdaLR(optimizer, rate) if rate else None
    history = []
    for step in range(1, 101):
        optimizer.zero_grad()
        loss(a, b).backward()
        change([a, b])
        optimizer.step()
        if schedule:
            schedule.step()
        history.append(torch.cat([a.detach().reshape(-1), b.detach()]).clone())
        yield step, average(history) if average else history[-1]


def clip_norm(parameters):
    """As torch.nn.utils.clip_grad_norm_, without the 1e-6 that it adds to the norm."""
    norm = torch.cat([p.grad.reshape(-1) for p in parameters]).norm()
    for p in parameters:
        p.grad.mul_(min(1, 3 / norm))


def normalize(parameters):
    for p in parameters:
        p.grad.div_(p.grad.norm() + 1e-7)


def forgetting_mean(history, decay=0.9):
    """Weights fall by `decay` a step and add up to one."""
    weights = torch.tensor([decay ** (len(history) - 1 - i) for i in range(len(history))])
    return (weights.unsqueeze(1) * torch.stack(history)).sum(0) / weights.sum()


def of(kind, **options):
    return lambda a, b: kind(a + b, **options)


def grouped(a, b):
    return optim.AdamW([{"params": a, "lr": 0.005, "weight_decay": 0.2}, {"params": b}], lr=0.05, weight_decay=0)


adam = of(optim.Adam, lr=0.05)
cases = {
    "adam": trajectory(adam),
    "adam_betas": trajectory(of(optim.Adam, lr=0.05, betas=(0.5, 0.9), eps=1e-3)),
    "adam_decay": trajectory(of(optim.Adam, lr=0.05, weight_decay=0.3)),
    "adam_clip_norm": trajectory(adam, clip_norm),
    "adam_clip_value": trajectory(adam, lambda p: torch.nn.utils.clip_grad_value_(p, 0.5)),
    "adam_rate": trajectory(adam, rate=lambda step: 0.98**step),
    "adam_average": trajectory(adam, average=forgetting_mean),
    "adamw": trajectory(of(optim.AdamW, lr=0.05, weight_decay=0.3)),
    "adamw_groups": trajectory(grouped),
    "normalized_adam": trajectory(adam, normalize),
    "adamax": trajectory(of(optim.Adamax, lr=0.05)),
    "adamax_decay": trajectory(of(optim.Adamax, lr=0.05, weight_decay=0.3)),
    "rmsprop": trajectory(of(optim.RMSprop, lr=0.02)),
    "rmsprop_momentum": trajectory(of(optim.RMSprop, lr=0.005, alpha=0.9, momentum=0.8, weight_decay=0.1)),
    "rmsprop_centered": trajectory(of(optim.RMSprop, lr=0.02, centered=True, eps=1e-3)),
    "rmsprop_centered_momentum": trajectory(of(optim.RMSprop, lr=0.005, centered=True, momentum=0.8, eps=1e-3)),
    "sgd": trajectory(of(optim.SGD, lr=0.02)),
    "sgd_momentum": trajectory(of(optim.SGD, lr=0.01, momentum=0.9, dampening=0.3, weight_decay=0.1)),
    "sgd_nesterov": trajectory(of(optim.SGD, lr=0.01, momentum=0.9, nesterov=True)),
}
with open("optimizers.txt", "w") as out:
    for name, states in cases.items():
        for step, values in states:
            if step in STEPS:
                out.write(" ".join([name, str(step)] + [v.hex() for v in values.tolist()]) + "\n")
