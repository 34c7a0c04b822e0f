#!/usr/bin/python3
"""Tables for run.sh, and the score of imputed ones.

Usage: python3 tables.py counts CORPUS.ldac.gz VOCABULARY.gz > counts.csv     the 200 most frequent words, a column each
       python3 tables.py hide TABLE.csv[.gz] > hidden.csv                     30 % of the numbers hidden, from seed 0
       python3 tables.py score TABLE.csv[.gz] hidden.csv NAME=imputed.csv ...
score prints, for the hidden cells of each column, the root mean square error over the column's standard deviation, and
the mean absolute error over its mean absolute deviation; the first row is the column's mean (for the latter: median).
"""
import csv, gzip, sys
import numpy as np

COLUMNS = ["carat", "depth", "table", "price", "x", "y", "z"]
ROWS = 20000


def lines(path):
    with (gzip.open(path, "rt") if path.endswith(".gz") else open(path)) as file:
        return file.read().splitlines()


def table(path):
    rows = list(csv.DictReader(lines(path)))[:ROWS]
    return np.array([[float(row[name]) if row[name] not in ("", "NaN", "nan", "NA") else np.nan for name in COLUMNS] for row in rows])


def counts(corpus, vocabulary):
    words = lines(vocabulary)
    documents = [[tuple(map(int, entry.split(":"))) for entry in line.split()[1:]] for line in lines(corpus)]
    dense = np.zeros((len(documents), len(words)), int)
    for i, document in enumerate(documents):
        for word, count in document:
            dense[i, word] += count
    top = np.argsort(-dense.sum(0), kind="stable")[:200]
    print(",".join(words[i] for i in top))
    for row in dense[:, top]:
        print(",".join(map(str, row)))


def hide(path):
    values = table(path)
    hidden = np.random.default_rng(0).random(values.shape) < 0.3
    print(",".join(COLUMNS))
    for row, gone in zip(values, hidden):
        print(",".join("" if g else repr(v) for v, g in zip(row, gone)))


def score(path, hidden_path, *imputed):
    truth, seen = table(path), table(hidden_path)
    hidden = np.isnan(seen)
    guesses = [("column means", np.where(hidden, np.nanmean(seen, 0), seen))]
    guesses += [(name, table(file)) for name, file in (entry.split("=") for entry in imputed)]
    median = np.nanmedian(seen, 0)
    print("| imputed by | " + " | ".join(COLUMNS) + " | all | all, absolute |\n" + "| --- " * (len(COLUMNS) + 3) + "|")
    for name, guess in guesses:
        error = [np.sqrt(((guess - truth)[hidden[:, j], j] ** 2).mean()) / np.nanstd(seen[:, j]) for j in range(len(COLUMNS))]
        center = np.where(hidden, median, seen) if name == "column means" else guess
        absolute = [np.abs((center - truth)[hidden[:, j], j]).mean() / np.nanmean(np.abs(seen[:, j] - median[j])) for j in range(len(COLUMNS))]
        print(f"| {name} | " + " | ".join(f"{e:.3f}" for e in error) + f" | {np.sqrt(np.mean(np.square(error))):.3f} | {np.mean(absolute):.3f} |")


{"counts": counts, "hide": hide, "score": score}[sys.argv[1]](*sys.argv[2:])
