#!/usr/bin/python3
"""Daily log returns in per cent from a table of prices whose first column names the rows. Usage: returns.py PRICES.csv"""
import csv, math, sys

with open(sys.argv[1]) as file:
    rows = list(csv.reader(file))
print(",".join(rows[0][1:]))
for before, after in zip(rows[1:], rows[2:]):
    print(",".join("%.6f" % (100 * math.log(float(b) / float(a))) for a, b in zip(before[1:], after[1:])))
