#!/usr/bin/python3
"""Images of one white shape on black, and what each was made of.

Usage: python3 shapes.py IMAGES.npy FACTORS.csv

All 3,072 combinations of 3 shapes, 4 sizes, 16 places across and 16 down, in a random order from seed 0: images
[3072, 32, 32] of grey levels, edges smoothed by 4 x 4 points a pixel, and a row of factors each.
"""
import itertools, sys
import numpy as np

SIDE, POINTS = 32, 4
SHAPES = {
    "square": lambda x, y: np.maximum(abs(x), abs(y)) < 0.85,
    "ellipse": lambda x, y: x ** 2 + (2 * y) ** 2 < 1,
    "triangle": lambda x, y: (y < 0.8) & (2 * abs(x) < 0.95 * (y + 1)),
}


def image(shape, size, across, down):
    radius = 3 + size
    middle = [radius + 0.5 + (SIDE - 1 - 2 * radius) * place / 15 for place in (across, down)]
    points = (np.arange(SIDE * POINTS) + 0.5) / POINTS
    inside = SHAPES[shape]((points[None, :] - middle[0]) / radius, (points[:, None] - middle[1]) / radius)
    return inside.reshape(SIDE, POINTS, SIDE, POINTS).mean((1, 3)) * 255


rows = list(itertools.product(SHAPES, range(4), range(16), range(16)))
rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
np.save(sys.argv[1], np.stack([image(*row) for row in rows]).round().astype(np.uint8))
with open(sys.argv[2], "w") as out:
    print("shape,size,across,down", file=out)
    for row in rows:
        print(*row, sep=",", file=out)
