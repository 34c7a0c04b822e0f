// The incomplete gamma and beta functions: distribution functions of counts and of Student-t variables.
#pragma once

namespace vem::special {

/// Gamma(a, x) / Gamma(a) for a > 0, x >= 0: the probability that a Gamma(a, 1) variable is above x, and that a Poisson
/// one of mean x is below a whole number a. To about 1e-15 max(1, a log a).
double incomplete_gamma_above(double a, double x);
/// I_x(a, b) for a, b > 0 and x in [0, 1]: the probability that a Beta(a, b) variable is below x. As exact.
double incomplete_beta(double a, double b, double x);

}  // namespace vem::special
