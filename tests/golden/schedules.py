#!/usr/bin/python3
"""Writes schedules.txt: what torch.optim.lr_scheduler makes of a rate over 30 epochs, for tests/models/schedules_test.cpp.

A line a schedule: its name, then the value in epochs 0 to 29, with 17 significant digits.
"""
import math

import torch
from torch.optim import lr_scheduler as torch_schedules

EPOCHS = 30


def bounds():
    """A validation bound that rises, stalls and falls; plateau is told its negative, a loss."""
    return [-100 / (1 + e) + 3 * math.sin(e) - (0.4 * (e - 18) if e > 18 else 0) for e in range(EPOCHS)]


def rates(make, start, losses=None):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=start)
    schedule = make(optimizer)
    values = []
    for epoch in range(EPOCHS):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step(*([losses[epoch]] if losses else []))
    return values


def plateau(**options):
    return lambda o: torch_schedules.ReduceLROnPlateau(o, mode="min", threshold_mode="abs", eps=0, **options)


def warmup_then_cosine(o):
    return torch_schedules.SequentialLR(
        o,
        [
            torch_schedules.LinearLR(o, start_factor=0.25, end_factor=1, total_iters=5),
            torch_schedules.CosineAnnealingLR(o, T_max=25, eta_min=0.01),
        ],
        milestones=[5],
    )


losses = [-b for b in bounds()]
rows = {
    "bounds": bounds(),
    "linear": rates(lambda o: torch_schedules.LinearLR(o, 0.25, 1, total_iters=8), 0.8),
    "cosine": rates(lambda o: torch_schedules.CosineAnnealingLR(o, T_max=30, eta_min=0.1), 0.5),
    "steps": rates(lambda o: torch_schedules.StepLR(o, step_size=7, gamma=0.5), 0.3),
    "exponential": rates(lambda o: torch_schedules.ExponentialLR(o, gamma=0.9), 2),
    "piecewise": rates(lambda o: torch_schedules.MultiStepLR(o, milestones=[4, 9, 20], gamma=0.1), 1),
    "triangle": rates(
        lambda o: torch_schedules.CyclicLR(o, 0.1, 0.9, step_size_up=3, step_size_down=7, cycle_momentum=False), 0.1
    ),
    "halved_triangle": rates(
        lambda o: torch_schedules.CyclicLR(o, 0.1, 0.9, step_size_up=4, mode="triangular2", cycle_momentum=False), 0.1
    ),
    "restarts": rates(lambda o: torch_schedules.CosineAnnealingWarmRestarts(o, T_0=6, eta_min=0.05), 0.7),
    "plateau": rates(plateau(factor=0.5, patience=2, threshold=0), 1, losses),
    "plateau_cooldown": rates(plateau(factor=0.1, patience=1, cooldown=3, threshold=1.5, min_lr=1e-4), 1, losses),
    "warmup_then_cosine": rates(warmup_then_cosine, 0.6),
}
with open("schedules.txt", "w") as out:
    for name, values in rows.items():
        out.write(" ".join([name] + [f"{float(v):.17g}" for v in values]) + "\n")
