// Merge, delete and birth for components of independent rows. Merges are tried in the order in which responsibilities
// overlap (Ueda, Nakano, Ghahramani and Hinton 2000, "SMEM algorithm for mixture models", equation 3.5); a birth splits
// the rows of a component by k-means into it and an empty one (after Hughes and Sudderth 2013, "Memoized online
// variational inference for Dirichlet process mixture models", section 4).
#include <limits>

#include "factored_model.h"
#include "vem/core/error.h"
#include "vem/infer/kmeans.h"

namespace vem {
namespace {

/// Responsibilities [N, K] of all rows, then new ones, then the M-step that they give.
class RowMove : public Move {
 public:
  RowMove(const Factored& part, std::function<Tensor(const Tensor&)> scaled)
      : part_(part), scaled_(std::move(scaled)) {}
  bool propose(const Batch& all, int64_t attempt, const Rng& rng) override {
    const Tensor x = scaled_(all.at("x"));
    const Tensor log_lik = part_.observation().log_prob(x, part_.observation().point());
    const Tensor log_joint = part_.allocation().log_joint(log_lik, part_.point());
    const Tensor r = changed(log_joint, part_.observation().coordinates(x), all.row_weight(), attempt, rng);
    if (!r.defined()) return false;
    const Expectation total = part_.assign(x, all, r);
    for (const auto& block : part_.blocks()) block->m_step(total, Step(), rng);
    return true;
  }

 protected:
  /// New responsibilities, or an undefined tensor.
  virtual Tensor changed(const Tensor& log_joint, const Tensor& points, const Tensor& weight, int64_t attempt,
                         const Rng& rng) const = 0;
  /// Indices of components with rows, those with the fewest first.
  static std::vector<int64_t> occupied(const Tensor& mass) {
    std::vector<int64_t> components;
    const Tensor order = mass.argsort();
    for (int64_t i = 0; i < mass.numel(); ++i)
      if (mass[order[i]].item<double>() > kEmpty) components.push_back(order[i].item<int64_t>());
    return components;
  }
  static Tensor mass_of(const Tensor& r, const Tensor& weight) { return at::mv(r.t(), weight); }

 private:
  const Factored& part_;
  std::function<Tensor(const Tensor&)> scaled_;
};

class Merge final : public RowMove {
 public:
  using RowMove::RowMove;
  std::string name() const override { return "merge"; }

 protected:
  Tensor changed(const Tensor& log_joint, const Tensor&, const Tensor& weight, int64_t attempt,
                 const Rng&) const override {
    const Tensor r = at::softmax(log_joint, 1);
    const std::vector<int64_t> components = occupied(mass_of(r, weight));
    const auto n = static_cast<int64_t>(components.size());
    if (n < 2 || attempt >= std::min<int64_t>(n * (n - 1) / 2, kMostPairs)) return {};
    const Tensor own = r.index_select(1, at::tensor(components, at::kLong));
    const Tensor overlap = at::mm((own * weight.unsqueeze(1)).t(), own), norm = overlap.diagonal().sqrt();
    const Tensor cosine = (overlap / at::outer(norm, norm)).triu(1);  // of pairs i < j; others 0
    const int64_t place = cosine.flatten().argsort(0, true)[attempt].item<int64_t>();
    const int64_t into = components[static_cast<size_t>(place / n)], from = components[static_cast<size_t>(place % n)];
    if (into == from) return {};
    Tensor merged = r.clone();
    merged.select(1, into).add_(r.select(1, from));
    merged.select(1, from).zero_();
    return merged;
  }

 private:
  static constexpr int64_t kMostPairs = 20;
};

class Delete final : public RowMove {
 public:
  using RowMove::RowMove;
  std::string name() const override { return "delete"; }

 protected:
  /// Its rows go to the other components as if it had never been there.
  Tensor changed(const Tensor& log_joint, const Tensor&, const Tensor& weight, int64_t attempt,
                 const Rng&) const override {
    const std::vector<int64_t> components = occupied(mass_of(at::softmax(log_joint, 1), weight));
    if (components.size() < 2 || attempt >= static_cast<int64_t>(components.size())) return {};
    const Tensor gone = at::tensor({components[static_cast<size_t>(attempt)]}, at::kLong);
    return at::softmax(log_joint.index_fill(1, gone, -std::numeric_limits<double>::infinity()), 1);
  }
};

class Birth final : public RowMove {
 public:
  using RowMove::RowMove;
  std::string name() const override { return "birth"; }

 protected:
  Tensor changed(const Tensor& log_joint, const Tensor& points, const Tensor& weight, int64_t attempt,
                 const Rng& rng) const override {
    const Tensor r = at::softmax(log_joint, 1), mass = mass_of(r, weight);
    const std::vector<int64_t> components = occupied(mass);
    // The first that is free: sticks that are passed over have a price.
    const int64_t free = (mass <= kEmpty).to(at::kLong).argmax().item<int64_t>();
    const auto n = static_cast<int64_t>(components.size());
    if (attempt >= n || n == mass.numel()) return {};
    const int64_t parent = components[static_cast<size_t>(n - 1 - attempt)];  // the largest first
    const Tensor rows = r.select(1, parent).gt(0.5).logical_and(weight > 0).nonzero().squeeze(1);
    if (rows.numel() < 4) return r;  // nothing to split: the loop will not keep it
    Tensor labels;
    try {
      labels = kmeans(points.index_select(0, rows), weight.index_select(0, rows), 2, rng.fold("birth")).labels;
    } catch (const DataError&) {
      return r;  // all of its rows are equal
    }
    const Tensor moved = rows.index_select(0, labels.eq(1).nonzero().squeeze(1));
    Tensor split = r.clone();
    split.select(1, free).index_copy_(0, moved, r.select(1, parent).index_select(0, moved));
    split.select(1, parent).index_fill_(0, moved, 0);
    return split;
  }
};

}  // namespace

std::vector<std::shared_ptr<Move>> FactoredModel::moves() const {
  if (!part_.allocation().independent_rows()) return {};
  const auto scaled_rows = [this](const Tensor& x) { return scaled(x); };
  return {std::make_shared<Birth>(part_, scaled_rows), std::make_shared<Merge>(part_, scaled_rows),
          std::make_shared<Delete>(part_, scaled_rows)};
}

}  // namespace vem
