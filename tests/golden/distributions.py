#!/usr/bin/python3
"""Writes distributions.txt for tests/dist/golden_test.cpp: values and gradients of torch.distributions in float64.

Where torch itself loses digits (huge degrees of freedom or counts, the continuous Bernoulli near 1/2 and far away), the
values are those of mpmath with 60 digits. Inputs are float32 numbers, so that both types see the same ones.

Blocks: "case ROW" or "divergence ROW ROW", then lines "key shape... : values": p0, p1 ... are parameters (q0,
q1 ... those of the second distribution), x a value; log_prob, entropy, mean, variance, kl; d_x and d_0, d_1 ... the gradients of
sum(log_prob) (or of sum(kl)); wide marks a block for float64 only.
"""
import mpmath
import torch
from torch import distributions as D

torch.set_default_dtype(torch.float64)
mpmath.mp.dps = 60
out = open("distributions.txt", "w")


def t(values):
    return torch.tensor(values, dtype=torch.float32).double()


def line(key, value):
    value = value.detach()
    shape = " ".join(str(n) for n in value.shape)
    out.write(f"{key} {shape} : " + " ".join(repr(float(v)) for v in value.reshape(-1)) + "\n")


ROWS = {
    "normal": lambda m, s: D.Normal(m, s),
    "diagonal_normal": lambda m, s: D.Independent(D.Normal(m, s.exp()), 1),
    "laplace": lambda m, s: D.Laplace(m, s),
    "student_t": lambda df, m, s: D.StudentT(df, m, s),
    "gamma": lambda a, b: D.Gamma(a, b),
    "beta": lambda a, b: D.Beta(a, b),
    "bernoulli": lambda l: D.Bernoulli(logits=l),
    "continuous_bernoulli": lambda l: D.ContinuousBernoulli(logits=l),
    "categorical": lambda l: D.Categorical(logits=l),
    "one_hot_categorical": lambda l: D.OneHotCategorical(logits=l),
    "relaxed_one_hot_categorical": lambda T, l: D.RelaxedOneHotCategorical(T, logits=l),
    "full_normal": lambda m, L: D.MultivariateNormal(m, scale_tril=L.tril()),
    "low_rank_normal": lambda m, W, d: D.LowRankMultivariateNormal(m, W, d),
    "dirichlet": lambda a: D.Dirichlet(a),
    "wishart": lambda df, L: D.Wishart(df, scale_tril=L.tril()),
    "mixture": lambda l, m, s: D.MixtureSameFamily(D.Categorical(logits=l), D.Normal(m, s)),
    "independent": lambda m, s: D.Independent(D.Normal(m, s), 1),
    "poisson": lambda r: D.Poisson(r),
    "negative_binomial": lambda r, l: D.NegativeBinomial(r, logits=l),
}
NO_MOMENTS = {"categorical", "relaxed_one_hot_categorical"}


def case(row, parameters, x, wide=False):
    """All that torch has of one distribution at x; wide: float32 loses digits in sums of terms that are far larger."""
    parameters = [t(p).requires_grad_() for p in parameters]
    q = ROWS[row](*parameters)
    x = t(x).requires_grad_()
    out.write(f"case {row}\n" + "wide : \n" * wide)
    for i, p in enumerate(parameters):
        line(f"p{i}", p)
    line("x", x)
    try:
        log_prob = q.log_prob(x)
        gradients = torch.autograd.grad(log_prob.sum(), parameters + [x], allow_unused=True)
    except IndexError:  # a category is an index
        log_prob = q.log_prob(x.long())
        gradients = torch.autograd.grad(log_prob.sum(), parameters) + (None,)
    line("log_prob", log_prob)
    for key, g in zip([f"d_{i}" for i in range(len(parameters))] + ["d_x"], gradients):
        if g is not None and not (key == "d_x" and q.support.is_discrete):
            line(key, g)
    try:
        line("entropy", q.entropy())
    except NotImplementedError:
        pass
    if row not in NO_MOMENTS:
        line("mean", q.mean)
        line("variance", q.variance)


def exact(row, parameters, x, log_prob, mean=None, wide=False):
    """log_prob and mean of scalars by mpmath."""
    parameters, x = [t(p) for p in parameters], t(x)
    columns = [[mpmath.mpf(float(v)) for v in p] for p in parameters]
    out.write(f"case {row}\n" + "wide : \n" * wide)
    for i, p in enumerate(parameters):
        line(f"p{i}", p)
    line("x", x)
    line("log_prob", torch.tensor([float(log_prob(*c, mpmath.mpf(float(v)))) for *c, v in zip(*columns, x)]))
    if mean:
        line("mean", torch.tensor([float(mean(*c)) for c in zip(*columns)]))


def kl(row_q, q, row_p, p):
    q, p = [t(v).requires_grad_() for v in q], [t(v).requires_grad_() for v in p]
    value = D.kl_divergence(ROWS[row_q](*q), ROWS[row_p](*p))
    out.write(f"divergence {row_q} {row_p}\n")
    for prefix, parameters in (("p", q), ("q", p)):
        for i, v in enumerate(parameters):
            line(f"{prefix}{i}", v)
    line("kl", value)
    for i, g in enumerate(torch.autograd.grad(value.sum(), q + p, allow_unused=True)):
        if g is not None:  # torch loses some on the way
            line(f"d_{i}", g)


# ---- numbers on the line; the second case of each is the far tail ----
case("normal", [[0.5, -2, 3], [0.1, 1, 20]], [0.7, -5, 0])
case("normal", [[0, 0, 1e4], [1, 1e-4, 1e3]], [1e4, 1, -1e7])
kl("normal", [[0.5, -2, 30], [0.1, 1, 20]], "normal", [[1, 0, 0], [1, 1.5, 1e-2]])
case("diagonal_normal", [[[0.5, -2, 3], [1, 1, 1]], [[0.1, 1, -20], [0, 2, 3]]], [[0.7, -5, 3], [1e4, 0, 0]])
kl("diagonal_normal", [[[0.5, -2]], [[0.1, 1]]], "diagonal_normal", [[[0, 1], [5, 5]], [[0, 0], [-3, 4]]])
case("laplace", [[0.5, -2, 3], [0.1, 1, 20]], [0.7, -5, 0])
case("laplace", [[0, 0, 1e4], [1, 1e-4, 1e3]], [1e4, 1, -1e7])
kl("laplace", [[0.5, -2, 30], [0.1, 1, 20]], "laplace", [[1, 0, 0], [1, 1.5, 1e-2]])
kl("laplace", [[0.5, -2, 30], [0.1, 1, 20]], "normal", [[1, 0, 0], [1, 1.5, 1e-1]])
case("student_t", [[2.5, 0.5, 7, 1], [0, 1, 2, 0], [1, 0.2, 3, 1]], [0.3, -4, 11, 1e4])
case("student_t", [[3, 30, 300], [0, 0, 0], [1, 1, 1]], [1e4, 1e4, 1e4])
exact("student_t", [[1e4, 1e8, 1e15, 1e30], [0, 0, 0, 1], [1, 1, 1, 2]], [3, 100, -2, 5],
      lambda df, m, s, x: mpmath.loggamma((df + 1) / 2) - mpmath.loggamma(df / 2) - mpmath.log(df * mpmath.pi) / 2
      - mpmath.log(s) - (df + 1) / 2 * mpmath.log1p(((x - m) / s) ** 2 / df))

# ---- positive numbers and the unit interval ----
case("gamma", [[0.3, 1, 7, 50], [1, 0.5, 20, 1e-3]], [0.2, 3, 0.5, 4e4])
case("gamma", [[1e-3, 1e-2, 3, 1e3], [1, 1e-10, 1e10, 1]], [1e-30, 1, 1e-9, 1])
kl("gamma", [[0.3, 1, 7], [1, 0.5, 20]], "gamma", [[2, 1, 0.1], [1, 3, 1e-3]])
kl("gamma", [[0.3, 1, 7], [1, 0.5, 20]], "normal", [[2, 1, 0.1], [1, 3, 1e-1]])
case("beta", [[0.3, 1, 7, 50], [1, 0.5, 20, 2]], [0.25, 0.75, 0.5, 0.99])
case("beta", [[1e-3, 5, 1e3], [1e-2, 0.1, 1]], [1e-30, 1e-9, 1e-20])
kl("beta", [[0.3, 1, 7], [1, 0.5, 20]], "beta", [[2, 1, 0.1], [1, 3, 0.2]])
kl("beta", [[0.3, 1, 7], [1, 0.5, 20]], "normal", [[2, 1, 0.1], [1, 3, 1e-1]])
exact("beta", [[1e10, 3], [2, 1e12]], [0.99999994, 1e-12],
      lambda a, b, x: (a - 1) * mpmath.log(x) + (b - 1) * mpmath.log1p(-x) + mpmath.loggamma(a + b)
      - mpmath.loggamma(a) - mpmath.loggamma(b), lambda a, b: a / (a + b))
case("continuous_bernoulli", [[0.5, -0.7, 3, -10]], [0.2, 0.9, 0, 1])
exact("continuous_bernoulli", [[0.25, -0.31, 0.29, 1e-3, -1e-6, 1e-20, 40, -300, 1e4, -1e4, 1e4]],
      [0.3, 0.5, 1, 0.75, 0, 0.1, 0.99, 1e-3, 0.9999, 1e-6, 1],
      lambda l, x: x * l - mpmath.log(mpmath.expm1(l) / l), lambda l: 1 / (1 - mpmath.exp(-l)) - 1 / l)
kl("continuous_bernoulli", [[0.5, -0.7, 3]], "continuous_bernoulli", [[-2, -0.6, 9]])

# ---- categories and counts ----
case("bernoulli", [[0.5, -0.7, 3, -10]], [0, 1, 1, 0])
case("bernoulli", [[1e4, -1e4, 1e4, -1e4, 0]], [1, 0, 0, 1, 1])
kl("bernoulli", [[0.5, -0.7, 3, 20]], "bernoulli", [[-2, -0.6, 9, -20]])
case("categorical", [[[0.5, -0.7, 3], [1, 1, 1]]], [2, 0])
case("categorical", [[[1e4, -1e4, 3], [-1e4, -1e4, -1e4]]], [1, 0])
kl("categorical", [[[0.5, -0.7, 3], [1, 1, 1]]], "categorical", [[[0, -5, 7], [-2, 1, 1]]])
case("one_hot_categorical", [[[0.5, -0.7, 3], [1, 1, 1]]], [[0, 0, 1], [1, 0, 0]])
kl("one_hot_categorical", [[[0.5, -0.7, 3], [1, 1, 1]]], "one_hot_categorical", [[[0, -5, 7], [-2, 1, 1]]])
for temperature in (0.5, 2.0):  # torch takes one temperature for all
    case("relaxed_one_hot_categorical", [temperature, [[0.5, -0.7, 3], [1, 1, 1]]], [[0.25, 0.25, 0.5], [0.125, 0.125, 0.75]])
case("poisson", [[0.5, 3, 100]], [0, 7, 90])
case("poisson", [[1e4, 1e6]], [10100, 999000])
case("poisson", [[1e-30, 1e-30, 1e3, 1e-3]], [0, 3, 0, 500])
kl("poisson", [[0.5, 3, 100, 1e-30]], "poisson", [[2, 3, 1e-3, 1]])
case("negative_binomial", [[0.5, 3, 20], [-1, 0.5, 2]], [0, 7, 150])
case("negative_binomial", [[0.5, 3, 20], [-30, -1e4, 20]], [2, 0, 1])
for wide, r, l, x in ((False, [1e10, 1e15, 1e-10], [-20, -30, 0.5], [30, 3, 10]), (True, [1e20], [-40], [450])):
    exact("negative_binomial", [r, l], x,
          lambda r, l, x: mpmath.loggamma(x + r) - mpmath.loggamma(r) - mpmath.loggamma(x + 1)
          - x * mpmath.log1p(mpmath.exp(-l)) - r * mpmath.log1p(mpmath.exp(l)), lambda r, l: r * mpmath.exp(l), wide)

# ---- vectors, matrices and wrappers ----
LOWER = [[[0.8, 0], [0.5, 0.7]], [[1, 0], [-0.9, 1.5]]]
OTHER = [[[0.7, 0], [0.2, 0.8]], [[0.5, 0], [0.1, 0.6]]]
case("full_normal", [[[0.5, -2], [1, 1]], LOWER], [[0.7, -5], [1e4, 0]])
case("full_normal", [[[0, 0]], [[[1e-3, 0], [1e3, 1e3]]]], [[10, -1e4]])
kl("full_normal", [[[0.5, -2], [1, 1]], LOWER], "full_normal", [[[0, 1], [5, 5]], OTHER])
case("low_rank_normal", [[[0.5, -2, 1]], [[[1, 0.5], [-2, 0], [0.3, 1]]], [[0.1, 1, 2]]], [[0.7, -5, 3]])
case("low_rank_normal", [[[0, 0]], [[[10], [0]]], [[1, 0.25]]], [[1e4, 1e4]], wide=True)
kl("low_rank_normal", [[[0.5, -2]], [[[1], [-2]]], [[0.1, 1]]], "low_rank_normal", [[[0, 0]], [[[0.3], [1]]], [[1, 1]]])
kl("low_rank_normal", [[[0.5, -2]], [[[1], [-2]]], [[0.1, 1]]], "full_normal", [[[0, 0]], LOWER[:1]])
kl("full_normal", [[[0.5, -2]], LOWER[1:]], "low_rank_normal", [[[0, 0]], [[[0.3], [1]]], [[1, 1]]])
case("dirichlet", [[[0.3, 1, 7], [50, 1, 2]]], [[0.25, 0.25, 0.5], [0.75, 0.125, 0.125]])
case("dirichlet", [[[1e-2, 1e-3, 5]]], [[1e-30, 2.0**-20, 1 - 2.0**-20]])
kl("dirichlet", [[[0.3, 1, 7], [50, 1, 2]]], "dirichlet", [[[1, 1, 1], [0.1, 3, 2]]])
case("wishart", [[3.5, 10], LOWER], [[[2, 0.5], [0.5, 1]], [[8, -3], [-3, 20]]])
# Not the divergence of two Wisharts: torch 1.13 gives 2.93 for a pair whose mean of log q - log p over torch's own draws
# is .382 +- .002.
case("mixture", [[[0.5, -1], [0, 1e4]], [[0, 3], [-2, 1]], [[1, 0.5], [0.7, 2]]], [1.5, 0])
case("mixture", [[[0, -50]], [[0, 1]], [[1, 1e-3]]], [1e4])
case("independent", [[[0.5, -2, 3]], [[0.1, 1, 20]]], [[0.7, -5, 0]])
kl("independent", [[[0.5, -2]], [[0.1, 1]]], "independent", [[[1, 0]], [[1, 1.5]]])


def joint(row, parameters, x, log_prob):
    """A density that torch has as a product only."""
    parameters, x = [t(p).requires_grad_() for p in parameters], t(x)
    value = log_prob(*parameters, x)
    out.write(f"case {row}\n")
    for i, p in enumerate(parameters):
        line(f"p{i}", p)
    line("x", x)
    line("log_prob", value)
    for i, g in enumerate(torch.autograd.grad(value.sum(), parameters)):
        line(f"d_{i}", g)


joint("normal_gamma", [[0.5, -2], [2, 0.25], [3, 0.5], [1, 4]], [[0.75, 2], [1e3, 1e-3]],
      lambda m, beta, a, b, x: D.Gamma(a, b).log_prob(x[:, 1]) + D.Normal(m, (beta * x[:, 1]).rsqrt()).log_prob(x[:, 0]))
joint("normal_wishart", [[[0.5, -2], [1, 1]], [2, 0.25], [3.5, 10], LOWER],
      [[[0.7, 2, 0.5], [-5, 0.5, 1]], [[1e3, 8, -3], [0, -3, 20]]],
      lambda m, beta, df, L, x: D.Wishart(df, scale_tril=L.tril()).log_prob(x[..., 1:])
      + D.MultivariateNormal(m, precision_matrix=beta[:, None, None] * x[..., 1:]).log_prob(x[..., 0]))
for row, base in (("zero_inflated", lambda r: D.Poisson(r)),
                  ("zero_inflated_negative_binomial", lambda r, l: D.NegativeBinomial(r, logits=l))):
    joint(row, [[-0.5, 1, 30, -30, 1e4]] + [[2, 20, 0.5, 3, 1], [0.5, -1, 0, 2, 1]][:1 if row == "zero_inflated" else 2],
          [0, 7, 0, 0, 0],
          lambda g, *rest, base=base: torch.where(
              rest[-1] == 0,
              torch.logaddexp(torch.nn.functional.logsigmoid(g),
                              torch.nn.functional.logsigmoid(-g) + base(*rest[:-1]).log_prob(rest[-1])),
              torch.nn.functional.logsigmoid(-g) + base(*rest[:-1]).log_prob(rest[-1])))
