// Moments and quantiles of mixtures, column by column.
#include "vem/infer/marginals.h"

#include <ATen/Parallel.h>

#include "vem/core/infinity.h"
#include "vem/dist/incomplete.h"

namespace vem {
namespace {

constexpr double kLargestCount = 0x1.0p60;
constexpr int kSteps = 200;        // of a search at most
constexpr double kDigits = 1e-12;  // a quantile is known to this share of its size

/// The mixture of one row, in one column.
class Mixture {
 public:
  Mixture(const Marginals& marginals, const double* p, int64_t num_components, int64_t column)
      : marginals_(marginals), p_(p), K_(num_components), column_(column) {}
  double cdf(double x) const {
    double sum = 0;
    for (int64_t k = 0; k < K_; ++k)
      if (p_[k] > 0) sum += p_[k] * marginals_.cdf(k, column_, x);
    return sum;
  }
  /// Where most of the mass lies: from the least to the largest of location -+ spread.
  std::pair<double, double> range() const {
    const auto location = marginals_.location.accessor<double, 2>(), spread = marginals_.spread.accessor<double, 2>();
    std::pair<double, double> range{kInfinity, -kInfinity};
    for (int64_t k = 0; k < K_; ++k) {
      if (!(p_[k] > 0)) continue;
      range.first = std::min(range.first, location[k][column_] - spread[k][column_]);
      range.second = std::max(range.second, location[k][column_] + spread[k][column_]);
    }
    return range;
  }

 private:
  const Marginals& marginals_;
  const double* p_;
  int64_t K_, column_;
};

/// The smallest whole number x >= 0 with cdf(x) >= u.
double whole_quantile(const Mixture& mixture, double u) {
  double below = -1, at = 0;
  while (mixture.cdf(at) < u && at < kLargestCount) {
    below = at;
    at = 2 * at + 1;
  }
  while (at - below > 1) {
    const double middle = std::floor(below + (at - below) / 2);
    (mixture.cdf(middle) < u ? below : at) = middle;
  }
  return at;
}

/// The root of cdf(x) = u by the Illinois form of regula falsi (Dowell and Jarratt 1971), with bisection between.
double real_quantile(const Mixture& mixture, double u) {
  auto [low, high] = mixture.range();
  double width = high - low, f_low = mixture.cdf(low) - u, f_high = mixture.cdf(high) - u;
  for (; f_low > 0 && width < kInfinity; width *= 2) f_low = mixture.cdf(low -= width) - u;
  for (width = high - low; f_high < 0 && width < kInfinity; width *= 2) f_high = mixture.cdf(high += width) - u;
  int last = 0;  // which end moved last
  for (int i = 0; i < kSteps && high - low > kDigits * (std::abs(low) + std::abs(high)); ++i) {
    const bool bisect = i % 3 == 2 || !(f_high > f_low);
    const double x = bisect ? low + (high - low) / 2 : high - f_high * ((high - low) / (f_high - f_low));
    if (!(x > low && x < high)) break;  // no number between them, or the root is an end
    const double f = mixture.cdf(x) - u;
    if (f == 0) return x;
    (f < 0 ? low : high) = x;
    (f < 0 ? f_low : f_high) = f;
    if (!bisect && last == (f < 0 ? -1 : 1)) (f < 0 ? f_high : f_low) /= 2;
    last = f < 0 ? -1 : 1;
  }
  return std::abs(f_low) < std::abs(f_high) ? low : high;
}

/// [N, K] x [K, D], where 0 times infinity is 0.
Tensor expectation(const Tensor& p, const Tensor& values) {
  const Tensor products = p.unsqueeze(-1) * values;
  return products.masked_fill(p.eq(0).unsqueeze(-1), 0).sum(-2);
}

}  // namespace

Marginals normal_marginals(const Tensor& mean, const Tensor& scale, const Tensor& degrees) {
  Marginals all{mean, scale.square(), mean, scale, at::zeros({mean.size(1)}, at::kBool), {}, {}};
  all.symbols.resize(static_cast<size_t>(mean.size(1)));
  if (degrees.defined())
    all.variance = at::where(degrees > 2, all.variance * degrees / (degrees - 2), at::full({}, kInfinity, at::kDouble));
  all.cdf = [mean, scale, degrees](int64_t k, int64_t d, double x) {
    const double z = (x - mean.accessor<double, 2>()[k][d]) / scale.accessor<double, 2>()[k][d];
    if (!degrees.defined()) return 0.5 * std::erfc(-z * M_SQRT1_2);
    const double nu = degrees.accessor<double, 2>()[k][d];
    const double tail = 0.5 * special::incomplete_beta(0.5 * nu, 0.5, nu / (nu + z * z));
    return z < 0 ? tail : 1 - tail;
  };
  return all;
}

ColumnForecast mixture_forecast(const Marginals& marginals, const Tensor& p, double level) {
  const Tensor rows = p.to(at::kDouble).contiguous();
  const int64_t N = rows.size(0), K = rows.size(1), D = marginals.mean.size(1);
  ColumnForecast all;
  all.mean = expectation(rows, marginals.mean);
  // A mean that is infinite has no variance.
  const Tensor around = (marginals.mean - all.mean.unsqueeze(1)).square();
  all.variance = expectation(rows, marginals.variance) +
                 (rows.unsqueeze(-1) * around).masked_fill(rows.eq(0).unsqueeze(-1), 0).sum(1);
  all.variance.masked_fill_(all.mean.isinf(), kInfinity);
  for (Tensor* end : {&all.lower, &all.upper}) *end = at::full({N, D}, std::nan(""), at::kDouble);
  for (const Tensor& own : marginals.symbols) all.symbols.push_back(own.defined() ? at::mm(rows, own) : Tensor());
  const Tensor known = rows.isnan().any(1).logical_not();
  at::parallel_for(0, N, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      for (int64_t d = 0; d < D; ++d) {
        if (marginals.symbols[static_cast<size_t>(d)].defined() || !known.data_ptr<bool>()[n]) continue;
        const Mixture mixture(marginals, rows.data_ptr<double>() + n * K, K, d);
        const auto quantile = marginals.whole.data_ptr<bool>()[d] ? whole_quantile : real_quantile;
        all.lower.data_ptr<double>()[n * D + d] = quantile(mixture, 0.5 * (1 - level));
        all.upper.data_ptr<double>()[n * D + d] = quantile(mixture, 0.5 * (1 + level));
      }
  });
  return all;
}

}  // namespace vem
