// Gaussian mixtures the plain way: loops over rows and components, textbook formulas, no packing and no chunks. The
// fast closed-form half is checked against this.
#pragma once

#include <string>

#include "vem/infer/factored.h"

namespace vem {

struct PartOptions {
  int64_t num_components = 3, num_features = 3;
  Estimate estimate = Estimate::posterior;
  std::string covariance = "full";
  at::ScalarType dtype = at::kDouble;
  double concentration = 1;
  std::string extra;  ///< more lines of TOML for the observation
};
/// mixture-weights x normal with the options of a configuration.
Factored make_part(const PartOptions& options);

/// An observation or an allocation by its configuration: TOML lines below [part].
std::shared_ptr<Observation> make_observation(const std::string& toml, const Observation::Context& context,
                                              const std::string& name = "normal");
std::shared_ptr<Allocation> make_allocation(const std::string& toml, const Allocation::Context& context,
                                            const std::string& name = "mixture-weights");

/// Rows as items with weight 1.
Batch rows_batch(int64_t rows);
TensorMap globals_of(const Factored& part);
/// One M-step of every block.
void m_step(const Factored& part, const Expectation& total);
/// Sum over blocks.
double kl_global(const Factored& part);

/// (1, x, upper triangle of x x' by rows) or (1, x, x^2) of rows [N, D], float64, by loops.
Tensor plain_moments(const Tensor& x, bool full);
/// log(w_k N(x_n | mean_k, covariance_k)) [N, K] by loops; means [K, D], covariances [K, D, D], weights [K].
Tensor reference_log_joint(const Tensor& x, const Tensor& weights, const Tensor& means, const Tensor& covariances);
/// log(w_k St(x_n | mean_k, scale_k, degrees_k)) [N, K] by loops (PRML 2.162).
Tensor reference_student(const Tensor& x, const Tensor& weights, const Tensor& means, const Tensor& scales,
                         const Tensor& degrees);

/// The parameters of q or of the prior in Bishop's symbols, with V = W^-1: alpha [K], beta [K], m [K, D], V [K, D, D],
/// nu [K].
struct BishopParameters {
  Tensor alpha, beta, m, V, nu;
};
/// Of a full-covariance part: at eta, or at eta_prior.
BishopParameters bishop(const Factored& part, bool prior);
/// The responsibilities of PRML 10.46 to 10.49, [N, K].
Tensor textbook_responsibilities(const Tensor& x, const BishopParameters& q);
/// The sum of PRML 10.71 to 10.77 at responsibilities r and q(theta).
double textbook_elbo(const Tensor& x, const Tensor& r, const BishopParameters& q, const BishopParameters& prior);

}  // namespace vem
