// Merge, delete and birth for components of independent rows. Merges are tried in the order in which responsibilities
// overlap (Ueda, Nakano, Ghahramani and Hinton 2000, "SMEM algorithm for mixture models", equation 3.5); a birth splits
// the rows of a component by k-means into it and an empty one (after Hughes and Sudderth 2013, "Memoized online
// variational inference for Dirichlet process mixture models", section 4).
#include <limits>

#include "model.h"
#include "vem/core/error.h"
#include "vem/core/infinity.h"
#include "vem/infer/kmeans.h"

namespace vem {
namespace {

/// What a move sees of the model and of all rows: [N, K] numbers are formed a part at a time.
struct View {
  RowReader rows;                                      // as the factors take them
  RowReader log_joint;                                 // [rows, K]
  std::function<Tensor(const Tensor& places)> points;  // rows between which distances mean something
  Tensor weight;                                       // [N]

  RowReader responsibilities() const {
    return [log_joint = log_joint](int64_t begin, int64_t end) { return at::softmax(log_joint(begin, end), 1); };
  }
  /// Weighted inner products of the responsibilities of components [K, K]. Since those of a row sum to 1, the sums of
  /// its rows are mass().
  Tensor overlap() const {
    return sum([](const Tensor& r, const Tensor& w) { return at::mm((r * w).t(), r); });
  }
  /// Rows that each component explains [K].
  Tensor mass() const {
    return sum([](const Tensor& r, const Tensor& w) { return (r * w).sum(0); });
  }

 private:
  /// f(responsibilities, weights [rows, 1]) of parts of the rows, added up.
  template <class F>
  Tensor sum(const F& f) const {
    const RowReader r = responsibilities();
    Tensor total;
    for_parts(weight.size(0), [&](int64_t begin, int64_t end) {
      const Tensor part = f(r(begin, end), weight.slice(0, begin, end).unsqueeze(1));
      total = total.defined() ? total + part : part;
    });
    return total;
  }
};

/// Indices of components with rows, those with the fewest first.
std::vector<int64_t> occupied(const Tensor& mass) {
  std::vector<int64_t> components;
  const Tensor order = mass.argsort();
  for (int64_t i = 0; i < mass.numel(); ++i)
    if (mass[order[i]].item<double>() > kEmpty) components.push_back(order[i].item<int64_t>());
  return components;
}

/// New responsibilities, then the M-step that they give.
class RowMove : public Move {
 public:
  using Look = std::function<View(const Batch&)>;
  RowMove(const Factored& part, Look look) : part_(part), look_(std::move(look)) {}
  bool propose(const Batch& all, int64_t attempt, const Rng& rng) override {
    const View view = look_(all);
    const RowReader r = changed(view, attempt, rng);
    if (!r) return false;
    const Expectation total = part_.assign(view.rows, all, r);
    for (const auto& block : part_.blocks()) block->m_step(total, Step(), rng);
    return true;
  }

 protected:
  /// New responsibilities, or null.
  virtual RowReader changed(const View& view, int64_t attempt, const Rng& rng) const = 0;

 private:
  const Factored& part_;
  Look look_;
};

class Merge final : public RowMove {
 public:
  using RowMove::RowMove;
  std::string name() const override { return "merge"; }

 protected:
  RowReader changed(const View& view, int64_t attempt, const Rng&) const override {
    const Tensor every = view.overlap();
    const std::vector<int64_t> components = occupied(every.sum(1));
    const auto n = static_cast<int64_t>(components.size());
    if (n < 2 || attempt >= std::min<int64_t>(n * (n - 1) / 2, kMostPairs)) return {};
    const Tensor own = at::tensor(components, at::kLong);
    const Tensor overlap = every.index_select(0, own).index_select(1, own), norm = overlap.diagonal().sqrt();
    const Tensor cosine = (overlap / at::outer(norm, norm)).triu(1);  // of pairs i < j; others 0
    const int64_t place = cosine.flatten().argsort(0, true)[attempt].item<int64_t>();
    const int64_t into = components[static_cast<size_t>(place / n)], from = components[static_cast<size_t>(place % n)];
    if (into == from) return {};
    return [r = view.responsibilities(), into, from](int64_t begin, int64_t end) {
      const Tensor merged = r(begin, end);
      merged.select(1, into).add_(merged.select(1, from));
      merged.select(1, from).zero_();
      return merged;
    };
  }

 private:
  static constexpr int64_t kMostPairs = 20;
};

class Delete final : public RowMove {
 public:
  using RowMove::RowMove;
  std::string name() const override { return "delete"; }

 protected:
  /// Its rows go to the other components as if it had never been there; those that no other explains, to all of them.
  RowReader changed(const View& view, int64_t attempt, const Rng&) const override {
    const std::vector<int64_t> components = occupied(view.mass());
    if (components.size() < 2 || attempt >= static_cast<int64_t>(components.size())) return {};
    const Tensor gone = at::tensor({components[static_cast<size_t>(attempt)]}, at::kLong);
    return [log_joint = view.log_joint, gone](int64_t begin, int64_t end) {
      constexpr double kLowest = -std::numeric_limits<double>::max();
      return at::softmax(log_joint(begin, end).clamp_min(kLowest).index_fill(1, gone, -kInfinity), 1);
    };
  }
};

class Birth final : public RowMove {
 public:
  using RowMove::RowMove;
  std::string name() const override { return "birth"; }

 protected:
  RowReader changed(const View& view, int64_t attempt, const Rng& rng) const override {
    const Tensor mass = view.mass();
    const std::vector<int64_t> components = occupied(mass);
    // The first that is free: sticks that are passed over have a price.
    const int64_t free = (mass <= kEmpty).to(at::kLong).argmax().item<int64_t>();
    const auto n = static_cast<int64_t>(components.size());
    if (attempt >= n || n == mass.numel()) return {};
    const int64_t parent = components[static_cast<size_t>(n - 1 - attempt)];  // the largest first
    std::vector<Tensor> parts;
    const RowReader before = view.responsibilities();
    for_parts(view.weight.size(0), [&](int64_t begin, int64_t end) {
      const Tensor in_parent = before(begin, end).select(1, parent) > 0.5;
      parts.push_back(in_parent.logical_and(view.weight.slice(0, begin, end) > 0).nonzero().squeeze(1) + begin);
    });
    const Tensor rows = at::cat(parts), r_moved = moved(view, rows, rng.fold("birth"));
    return [r = before, r_moved, parent, free](int64_t begin, int64_t end) {
      const Tensor split = r(begin, end);
      if (!r_moved.defined()) return split;  // nothing to split: the loop will not keep it
      const Tensor here = r_moved.slice(0, begin, end), own = split.select(1, parent).clone();
      split.select(1, free).copy_(at::where(here, own, split.select(1, free)));
      split.select(1, parent).masked_fill_(here, 0);
      return split;
    };
  }

 private:
  /// Which of all rows [N] bool are in the second cluster of these; undefined where they do not make two. Of many, a
  /// part is clustered and the others are as their nearest centre.
  static Tensor moved(const View& view, const Tensor& rows, const Rng& rng) {
    const int64_t n = rows.numel();
    if (n < 4) return {};
    const Tensor some =
        n <= kClustered ? rows : rows.index_select(0, at::arange(kClustered, at::kLong) * n / kClustered);
    try {
      const KMeans two = kmeans(view.points(some), view.weight.index_select(0, some), 2, rng);
      const RowReader points = [&](int64_t begin, int64_t end) { return view.points(rows.slice(0, begin, end)); };
      const Tensor labels = n <= kClustered ? two.labels : nearest_center(points, n, two.centers);
      return at::zeros({view.weight.size(0)}, at::kBool).index_fill_(0, rows.index({labels.eq(1)}), true);
    } catch (const DataError&) {
      return {};  // all of its rows are equal
    }
  }
  static constexpr int64_t kClustered = 20000;
};

}  // namespace

std::vector<std::shared_ptr<Move>> FactoredModel::moves() const {
  if (!part_.allocation().independent_rows()) return {};
  const auto look = [this](const Batch& all) {
    const RowReader x = scaled_rows(all);
    const Tensor t = part_.observation().point();
    const auto log_joint = [this, x, t, point = part_.point()](int64_t begin, int64_t end) {
      return part_.allocation().log_joint(part_.observation().log_prob(x(begin, end), t), point);
    };
    return View{x, log_joint, points_of(all).at, all.row_weight()};
  };
  return {std::make_shared<Birth>(part_, look), std::make_shared<Merge>(part_, look),
          std::make_shared<Delete>(part_, look)};
}

}  // namespace vem
