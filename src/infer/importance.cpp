// Importance weights: log-likelihood, effective sample size and Pareto k-hat. Legend: S samples, N items.
#include "vem/infer/importance.h"

#include <numeric>

#include "vem/core/error.h"
#include "vem/core/infinity.h"

namespace vem {
namespace {

constexpr size_t kSmallestTail = 5;

/// Size of the tail that is fitted: min(S / 5, 3 sqrt(S)) (Vehtari et al. 2024).
size_t tail_size(size_t num_samples) {
  const auto s = static_cast<double>(num_samples);
  return static_cast<size_t>(std::ceil(std::min(0.2 * s, 3 * std::sqrt(s))));
}

/// mean_i log(1 - theta x_i): minus the k of Zhang and Stephens at theta, which is the k of Vehtari et al.
double shape_at(double theta, const std::vector<double>& x) {
  double sum = 0;
  for (const double value : x) sum += std::log1p(-theta * value);
  return sum / static_cast<double>(x.size());
}

/// The points theta_j, j = 1 .. m, over which Zhang and Stephens average.
std::vector<double> theta_grid(const std::vector<double>& x) {
  const auto n = static_cast<double>(x.size());
  const auto m = 30 + static_cast<size_t>(std::sqrt(n));
  const double quartile = x[static_cast<size_t>(std::llround(n / 4)) - 1];
  std::vector<double> grid(m);
  for (size_t j = 0; j < m; ++j) {
    const double ratio = static_cast<double>(m) / (static_cast<double>(j) + 0.5);
    grid[j] = 1 / x.back() + (1 - std::sqrt(ratio)) / (3 * quartile);
  }
  return grid;
}

}  // namespace

double generalized_pareto_shape(const std::vector<double>& x, bool prior) {
  const auto n = static_cast<double>(x.size());
  if (x.size() < kSmallestTail || !(x.front() > 0))
    fail<DataError>("generalized_pareto_shape: at least {} excesses above 0 are expected, got {}", kSmallestTail,
                    x.size());
  const std::vector<double> grid = theta_grid(x);
  std::vector<double> profile;  // log-likelihood at theta_j, the scale replaced by its best value
  for (const double theta : grid) {
    const double k = shape_at(theta, x);
    profile.push_back(n * (std::log(-theta / k) - k - 1));
  }
  const double top = *std::max_element(profile.begin(), profile.end());
  double total = 0, theta_hat = 0;
  for (size_t j = 0; j < grid.size(); ++j) {
    const double weight = std::exp(profile[j] - top);
    total += weight;
    theta_hat += weight * grid[j];
  }
  const double k = shape_at(theta_hat / total, x);
  return prior ? (k * n + 0.5 * 10) / (n + 10) : k;
}

double pareto_k(std::vector<double> log_weights) {
  const size_t tail = tail_size(log_weights.size());
  if (tail < kSmallestTail) return std::nan("");
  const auto first = log_weights.end() - static_cast<std::ptrdiff_t>(tail);
  std::nth_element(log_weights.begin(), first - 1, log_weights.end());
  const double cutoff = *(first - 1);
  std::sort(first, log_weights.end());
  const double top = log_weights.back();
  // Excesses over the cutoff, relative to the largest weight: the shape does not depend on the unit.
  std::vector<double> excesses;
  for (auto it = first; it != log_weights.end(); ++it)
    if (*it > cutoff) excesses.push_back(std::exp(*it - top) * -std::expm1(cutoff - *it));
  excesses.erase(std::remove_if(excesses.begin(), excesses.end(), [](double x) { return !(x > 0); }), excesses.end());
  if (excesses.size() < kSmallestTail) return -kInfinity;
  const double k = generalized_pareto_shape(excesses);
  return std::isnan(k) ? kInfinity : k;
}

Tensor importance_bound(const Tensor& log_weights, int64_t size) {
  const int64_t groups = size > 0 ? log_weights.size(0) / size : 0;
  if (groups == 0) fail<Error>("importance_bound: {} samples make no group of {}", log_weights.size(0), size);
  const Tensor grouped = log_weights.slice(0, 0, groups * size).to(at::kDouble).reshape({groups, size, -1});
  return (grouped.logsumexp(1) - std::log(static_cast<double>(size))).mean(0);
}

ImportanceSummary summarize_importance(const Tensor& log_weights) {
  if (log_weights.dim() != 2 || log_weights.size(0) == 0)
    fail<DataError>("summarize_importance: log_weights has shape [{}] but [samples, items] is expected",
                    fmt::join(log_weights.sizes(), ", "));
  const Tensor w = log_weights.detach().to(at::kDouble);
  const Tensor total = w.logsumexp(0);
  ImportanceSummary summary;
  summary.log_likelihood = total - std::log(static_cast<double>(w.size(0)));
  summary.effective_samples = (2 * total - (2 * w).logsumexp(0)).exp();
  const Tensor by_item = w.t().contiguous();
  const int64_t num_samples = w.size(0);
  summary.pareto_k = at::empty({w.size(1)}, at::kDouble);
  const double* weights = by_item.data_ptr<double>();
  double* k = summary.pareto_k.data_ptr<double>();
  at::parallel_for(0, w.size(1), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) k[i] = pareto_k({weights + i * num_samples, weights + (i + 1) * num_samples});
  });
  return summary;
}

}  // namespace vem
