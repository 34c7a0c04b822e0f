#include "vem/infer/disentanglement.h"

#include <limits>

#include "classification_tree.h"
#include "vem/core/error.h"
#include "vem/core/missing.h"

namespace vem {
namespace {

constexpr int64_t kBins = 20, kGroup = 64, kVotes = 10000, kGuesses = 5000;

Tensor value_counts(const Factors& factors, size_t f) {
  return factors.values.select(1, static_cast<int64_t>(f)).bincount();
}

/// z as float64; a single dimension gets a constant one as its rival.
Tensor checked(const Tensor& z, const Factors& factors) {
  const auto F = static_cast<int64_t>(factors.names.size());
  if (z.dim() != 2 || factors.values.sizes() != Shape{z.size(0), F} ||
      factors.numbers.sizes() != factors.values.sizes())
    fail<DataError>(
        "disentanglement: z has shape [{}] and factors have [{}]; [items, dimensions] and [items, factors] are "
        "expected",
        fmt::join(z.sizes(), ", "), fmt::join(factors.values.sizes(), ", "));
  if (F < 2) fail<DataError>("disentanglement: two factors or more are expected, got {}", F);
  for (size_t f = 0; f < factors.names.size(); ++f) {
    const int64_t values = (value_counts(factors, f) > 0).sum().item<int64_t>();
    if (values < 2)
      fail<DataError>("disentanglement: factor '{}' has the same value for all {} items", factors.names[f], z.size(0));
    if (2 * values > z.size(0))
      fail<DataError>(
          "disentanglement: factor '{}' has {} values for {} items; values that occur twice or more are expected",
          factors.names[f], values, z.size(0));
  }
  const Tensor codes = z.detach().to(at::kDouble);
  if (!codes.isfinite().all().item<bool>()) fail<DataError>("disentanglement: z has numbers that are not finite");
  return z.size(1) > 1 ? codes : at::cat({codes, at::zeros_like(codes)}, 1);
}

/// The bin [N, L] int64 of each number between the least and the largest of its column; 0 in constant ones.
Tensor bins_of(const Tensor& z) {
  const Tensor low = z.amin(0), width = z.amax(0) - low;
  const Tensor place = (z - low) / at::where(width > 0, width, at::ones_like(width));
  return (place * kBins).floor().clamp_max(kBins - 1).to(at::kLong);
}

/// Items by bin and value [kBins, values] float64.
Tensor pair_shares(const Tensor& bins, const Tensor& values) {
  const int64_t n = values.max().item<int64_t>() + 1;
  return (bins * n + values).bincount({}, kBins * n).view({kBins, n}).to(at::kDouble);
}

Tensor entropy(const Tensor& shares, int64_t dim) { return -at::xlogy(shares, shares).sum(dim); }

double mutual_information(const Tensor& table) {
  const Tensor shares = table / table.sum();
  return (entropy(shares.sum(0), 0) + entropy(shares.sum(1), 0) - entropy(shares.flatten(), 0)).item<double>();
}

/// The mean over values of the share of items that are right if each bin stands for its most likely value.
double balanced_accuracy(const Tensor& table) {
  const Tensor known = table.index_select(1, table.sum(0).nonzero().view({-1}));
  return (known / known.sum(0)).amax(1).sum().item<double>() / static_cast<double>(known.size(1));
}

double squared_correlation(const Tensor& a, const Tensor& b) {
  const Tensor x = a - a.mean(), y = b - b.mean();
  const double xx = x.square().sum().item<double>(), yy = y.square().sum().item<double>(),
               xy = at::dot(x, y).item<double>();
  return xx > 0 ? xy * xy / (xx * yy) : 0;
}

/// The mean over factors f of the difference between the largest two of score(l, f) over dimensions l.
template <class Score>
double mean_gap(int64_t L, int64_t F, const Score& score) {
  double sum = 0;
  for (int64_t f = 0; f < F; ++f) {
    std::vector<double> scores;
    for (int64_t l = 0; l < L; ++l) scores.push_back(score(l, f));
    std::partial_sort(scores.begin(), scores.begin() + 2, scores.end(), std::greater<>());
    sum += scores[0] - scores[1];
  }
  return sum / static_cast<double>(F);
}

/// 1 - H(row) / log(its length) of weights [rows, n], rows of zeros as if they were uniform.
Tensor concentration(const Tensor& weights) {
  const Tensor total = weights.sum(1, true),
               uniform = at::full_like(weights, 1.0 / static_cast<double>(weights.size(1)));
  const Tensor shares = at::where(total > 0, weights / total, uniform);
  return 1 - entropy(shares, 1) / std::log(static_cast<double>(weights.size(1)));
}

/// Items of each value of a factor, side by side.
struct Groups {
  explicit Groups(const Tensor& values)
      : order(values.argsort()), size(values.bincount()), begin(size.cumsum(0) - size), value(values) {
    shared = (size.index_select(0, values) > 1).nonzero().view({-1});
  }
  Tensor order, size, begin, value;
  Tensor shared;  // items that are not the only ones with their value

  /// Of draws u [1 + kGroup] in (0, 1): the value of some item, then items that have it.
  std::vector<int64_t> draw(const double* u) const {
    const auto pick = [](double share, int64_t n) {
      return std::min(n - 1, static_cast<int64_t>(share * static_cast<double>(n)));
    };
    const int64_t v = value.data_ptr<int64_t>()[shared.data_ptr<int64_t>()[pick(u[0], shared.numel())]];
    const int64_t first = begin.data_ptr<int64_t>()[v], n = size.data_ptr<int64_t>()[v];
    std::vector<int64_t> items;
    for (int64_t i = 1; i <= kGroup; ++i) items.push_back(order.data_ptr<int64_t>()[first + pick(u[i], n)]);
    return items;
  }
};

/// The column of rows [., L] whose variance over `items` is least.
int64_t steadiest(const Tensor& rows, const std::vector<int64_t>& items) {
  const int64_t L = rows.size(1);
  std::vector<double> sum(L), squares(L);
  for (const int64_t i : items) {
    const double* row = rows.data_ptr<double>() + i * L;
    for (int64_t l = 0; l < L; ++l) sum[l] += row[l], squares[l] += row[l] * row[l];
  }
  const auto n = static_cast<double>(items.size());
  for (int64_t l = 0; l < L; ++l) squares[l] -= sum[l] * sum[l] / n;
  return std::min_element(squares.begin(), squares.end()) - squares.begin();
}

}  // namespace

double mutual_information_gap(const Tensor& z, const Factors& factors) {
  const Tensor bins = bins_of(checked(z, factors));
  return mean_gap(bins.size(1), factors.values.size(1), [&](int64_t l, int64_t f) {
    const Tensor table = pair_shares(bins.select(1, l), factors.values.select(1, f)),
                 shares = table.sum(0) / table.sum();
    return mutual_information(table) / entropy(shares, 0).item<double>();
  });
}

double attribute_predictability(const Tensor& z, const Factors& factors) {
  const Tensor codes = checked(z, factors), bins = bins_of(codes);
  return mean_gap(codes.size(1), factors.values.size(1), [&](int64_t l, int64_t f) {
    const Tensor numbers = factors.numbers.select(1, f);
    return has_missing(numbers) ? balanced_accuracy(pair_shares(bins.select(1, l), factors.values.select(1, f)))
                                : squared_correlation(codes.select(1, l), numbers);
  });
}

DciScores dci_scores(const Tensor& z, const Factors& factors, const Rng& rng) {
  const Tensor codes = checked(z, factors), order = rng.fold("dci").permutation(codes.size(0));
  const auto half = [&](const Tensor& items, int64_t f) {
    return LabelledRows{codes.index_select(0, items), factors.values.select(1, f).index_select(0, items)};
  };
  const std::vector<Tensor> halves = order.chunk(2);
  std::vector<Tensor> importance;
  double accuracy = 0;
  for (int64_t f = 0; f < factors.values.size(1); ++f) {
    const TreeFit tree = classification_tree(half(halves[0], f), half(halves[1], f));
    importance.push_back(tree.importance);
    accuracy += tree.accuracy / static_cast<double>(factors.values.size(1));
  }
  const Tensor weights = at::stack(importance, 1), total = weights.sum();  // [L, F]
  const Tensor by_dimension = total.item<double>() > 0 ? weights.sum(1) / total : weights.sum(1);
  return {at::dot(by_dimension, concentration(weights)).item<double>(),
          concentration(weights.t()).mean().item<double>(), accuracy};
}

double factor_vae_score(const Tensor& z, const Factors& factors, const Rng& rng) {
  const Tensor codes = checked(z, factors), varying = (codes.amax(0) > codes.amin(0)).nonzero().view({-1});
  if (varying.numel() == 0) return 0;
  const Tensor kept = codes.index_select(1, varying), rows = ((kept - kept.mean(0)) / kept.std(0)).contiguous();
  const int64_t F = factors.values.size(1);
  std::vector<Groups> groups;
  for (int64_t f = 0; f < F; ++f) groups.emplace_back(factors.values.select(1, f).contiguous());
  const Tensor draws = rng.uniform(at::arange(kVotes + kGuesses, at::kLong), {2 + kGroup}, "groups");
  Tensor votes = at::zeros({varying.numel(), F}, at::kLong);
  int64_t right = 0;
  for (int64_t i = 0; i < kVotes + kGuesses; ++i) {
    const double* u = draws.data_ptr<double>() + i * (2 + kGroup);
    const int64_t f = std::min(F - 1, static_cast<int64_t>(u[0] * static_cast<double>(F)));
    int64_t* of_dimension = votes.data_ptr<int64_t>() + steadiest(rows, groups[f].draw(u + 1)) * F;
    if (i < kVotes)
      ++of_dimension[f];
    else
      right += std::max_element(of_dimension, of_dimension + F) - of_dimension == f;
  }
  return static_cast<double>(right) / static_cast<double>(kGuesses);
}

}  // namespace vem
