// The recursions of the sweep with every product a sum of logarithms.
#include "chain_logs.h"

#include "vem/core/infinity.h"

namespace vem {
namespace {

double log_sum_exp(const double* x, int64_t K) {
  const double top = *std::max_element(x, x + K);
  if (top == -kInfinity) return top;
  double sum = 0;
  for (int64_t k = 0; k < K; ++k) sum += std::exp(x[k] - top);
  return top + std::log(sum);
}

/// Takes the log of the sum of exp(x) off x and returns it; x stays -inf where it is all that.
double normalize(double* x, int64_t K) {
  const double norm = log_sum_exp(x, K);
  for (int64_t k = 0; norm != -kInfinity && k < K; ++k) x[k] -= norm;
  return norm;
}

/// terms[i] = before[i] + log_a[i, j]
void arrivals(const double* before, const double* log_a, int64_t j, std::vector<double>& terms) {
  const auto K = static_cast<int64_t>(terms.size());
  for (int64_t i = 0; i < K; ++i) terms[static_cast<size_t>(i)] = before[i] + log_a[i * K + j];
}

}  // namespace

LogSweep::LogSweep(const Potentials& p, int64_t item)
    : p_(p), begin_(p.offset(item)), T_(p.length(item)), log_filtered_(at::empty({T_, p.K}, at::kDouble)) {
  const double* const log_a = p.log_transition.data_ptr<double>();
  double* f = log_filtered_.data_ptr<double>();
  std::vector<double> terms(static_cast<size_t>(p.K));
  for (int64_t t = 0; t < T_; ++t, f += p.K) {
    for (int64_t j = 0; j < p.K; ++j) {
      if (t > 0) arrivals(f - p.K, log_a, j, terms);
      f[j] = p.row(begin_ + t)[j] + (t > 0 ? log_sum_exp(terms.data(), p.K) : p.log_start.data_ptr<double>()[j]);
    }
    log_norm_ += normalize(f, p.K);
  }
}

void LogSweep::backward(double weight, double* marginals, double* transitions) const {
  const int64_t K = p_.K;
  const double* const log_a = p_.log_transition.data_ptr<double>();
  const double* const f = log_filtered_.data_ptr<double>();
  double* const out = marginals + begin_ * K;
  std::fill_n(out, T_ * K, 0.0);
  if (log_norm_ == -kInfinity) return;
  for (int64_t k = 0; k < K; ++k) out[(T_ - 1) * K + k] = weight * std::exp(f[(T_ - 1) * K + k]);
  std::vector<double> terms(static_cast<size_t>(K));
  for (int64_t t = T_ - 1; t > 0; --t)
    for (int64_t j = 0; j < K; ++j) {
      const double smoothed = out[t * K + j];
      if (smoothed == 0) continue;
      arrivals(f + (t - 1) * K, log_a, j, terms);
      normalize(terms.data(), K);
      for (int64_t i = 0; i < K; ++i) {
        const double pair = smoothed * std::exp(terms[static_cast<size_t>(i)]);
        out[(t - 1) * K + i] += pair;
        transitions[i * K + j] += pair;
      }
    }
}

}  // namespace vem
