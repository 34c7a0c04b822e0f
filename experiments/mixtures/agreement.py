"""How well components agree with labels: a table of counts and the adjusted Rand index (Hubert and Arabie 1985).

Usage: python3 agreement.py LABELS.csv COLUMN RESPONSIBILITIES.csv
"""
import collections
import csv
import math
import sys

with open(sys.argv[1]) as file:
    labels = [row[sys.argv[2]] for row in csv.DictReader(file)]
with open(sys.argv[3]) as file:
    rows = list(csv.reader(file))[1:]
components = [max(range(len(row)), key=lambda k: float(row[k])) for row in rows]
assert len(labels) == len(components), "one row of responsibilities a label is expected"

counts = collections.Counter(zip(labels, components))
names, used = sorted(set(labels)), sorted(set(components))
print("%-12s" % "" + "".join("%8d" % k for k in used))
for name in names:
    print("%-12s" % name + "".join("%8d" % counts[name, k] for k in used))


def pairs(sizes):
    return sum(math.comb(n, 2) for n in sizes)


together = pairs(counts.values())
of_labels, of_components = pairs(collections.Counter(labels).values()), pairs(collections.Counter(components).values())
expected = of_labels * of_components / math.comb(len(labels), 2)
print("adjusted Rand index %.3f" % ((together - expected) / ((of_labels + of_components) / 2 - expected)))
