"""Corpora in LDA-C and the one way in which the topics of all programs are scored: document completion."""
import gzip

import numpy as np
import scipy.sparse


def read(path, words=None):
    """Documents as rows of counts [documents, words]."""
    offsets, index, counts = [0], [], []
    with gzip.open(path, "rt") as file:
        for line in file:
            pairs = [pair.split(":") for pair in line.split()[1:]]
            index += [int(w) for w, _ in pairs]
            counts += [float(c) for _, c in pairs]
            offsets.append(len(index))
    shape = (len(offsets) - 1, words or 1 + max(index))
    return scipy.sparse.csr_matrix((counts, index, offsets), shape=shape)


def write(path, documents):
    """LDA-C, and a vocabulary beside it so that words without counts stay."""
    with open(path + ".ldac", "w") as file:
        for d in range(documents.shape[0]):
            row = documents[d]
            file.write(f"{row.nnz} " + " ".join(f"{w}:{c:.0f}" for w, c in zip(row.indices, row.data)) + "\n")
    with open(path + ".vocab", "w") as file:
        file.writelines(f"w{w}\n" for w in range(documents.shape[1]))
    return path + ".ldac"


def halves(documents, rng):
    """The tokens of each document, dealt in turn after a shuffle: seen, held."""
    parts = [scipy.sparse.lil_matrix(documents.shape) for _ in range(2)]
    for d in range(documents.shape[0]):
        row = documents[d]
        tokens = rng.permutation(np.repeat(row.indices, row.data.astype(int)))
        for part, half in zip(parts, (tokens[::2], tokens[1::2])):
            words, counts = np.unique(half, return_counts=True)
            part[d, words] = counts
    return [part.tocsr() for part in parts]


def perplexity(topics, alpha, seen, held, steps=100, tolerance=1e-5):
    """Of held words, with theta from the words seen by theta <- alpha + sum of phi at the mean topics [topics, words],
    until it stands still."""
    log_prob = 0.0
    for d in range(seen.shape[0]):
        first, second = (part.indptr[d: d + 2] for part in (seen, held))
        words, counts = (a[slice(*first)] for a in (seen.indices, seen.data))
        theta, columns = np.full(len(topics), 1 / len(topics)), topics[:, words]
        for _ in range(steps):
            before = theta
            theta = alpha + theta * (columns @ (counts / (theta @ columns)))
            theta /= theta.sum()
            if np.abs(theta - before).max() < tolerance:
                break
        log_prob += held.data[slice(*second)] @ np.log(theta @ topics[:, held.indices[slice(*second)]])
    return np.exp(-log_prob / held.sum())
