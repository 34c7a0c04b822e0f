#!/usr/bin/python3
"""Compares the state of each time step on the most probable path with a labelled action.

Usage: states.py STATES.csv ACTIONS.csv, the first with one column of states, as `vem encode --method predict` writes it.

Prints the share of steps whose state's most frequent action is theirs, and the normalised mutual information.
"""
import csv, math, sys
from collections import Counter

with open(sys.argv[1]) as file:
    rows = list(csv.reader(file))[1:]
states = [int(float(row[0])) for row in rows]
with open(sys.argv[2]) as file:
    actions = [row["action_name"] for row in csv.DictReader(file)]
if len(states) != len(actions):
    sys.exit("%d states but %d actions" % (len(states), len(actions)))

n = len(states)
pairs, by_state, by_action = Counter(zip(states, actions)), Counter(states), Counter(actions)
best = Counter()
for (state, action), count in pairs.items():
    best[state] = max(best[state], count)
entropy = lambda counts: -sum(c / n * math.log(c / n) for c in counts.values())
information = entropy(by_state) + entropy(by_action) - entropy(pairs)
print("%d states used, %d actions, %d steps" % (len(by_state), len(by_action), n))
print("purity %.3f" % (sum(best.values()) / n))
print("NMI    %.3f" % (2 * information / (entropy(by_state) + entropy(by_action))))
