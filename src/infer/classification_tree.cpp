#include "classification_tree.h"

#include <array>
#include <numeric>

namespace vem {
namespace {

constexpr size_t kDeepest = 16;
constexpr double kTie = 1e-7;  // nats of all items together, above the rounding of running sums

using Items = std::vector<int64_t>;

template <class T>
std::vector<T> to_vector(const Tensor& t) {
  const Tensor values = t.contiguous();
  return {values.data_ptr<T>(), values.data_ptr<T>() + values.numel()};
}

struct TreeRows {
  explicit TreeRows(const LabelledRows& rows) : label(to_vector<int64_t>(rows.label)) {
    for (const Tensor& column : rows.x.unbind(1)) x.push_back(to_vector<double>(column));
  }
  std::vector<std::vector<double>> x;  // by dimension
  Items label;
};

struct Split {
  double gain = 0, threshold = 0;  // fall of entropy times items; values up to the threshold go left
  size_t dimension = 0;
};

class Grower {
 public:
  Grower(const LabelledRows& train, const LabelledRows& held_out)
      : train_(train), held_out_(held_out), classes_(static_cast<size_t>(train.label.max().item<int64_t>()) + 1) {
    const size_t n = train_.label.size();
    for (size_t i = 0; i <= n; ++i) n_log_n_.push_back(i == 0 ? 0 : static_cast<double>(i) * std::log(i));
    for (const auto& column : train_.x) {
      order_.emplace_back(n);
      std::iota(order_.back().begin(), order_.back().end(), 0);
      std::stable_sort(order_.back().begin(), order_.back().end(),
                       [&](int64_t a, int64_t b) { return column[a] < column[b]; });
    }
    for (auto& gain : gain_) gain.resize(train_.x.size());
    Items held(held_out_.label.size());
    std::iota(held.begin(), held.end(), 0);
    grow(0, n, held, 0);
  }

  TreeFit fit() const {
    const auto held = static_cast<double>(held_out_.label.size());
    const double best = static_cast<double>(*std::max_element(right_.begin(), right_.end())) / held;
    const double enough = held * (best - std::sqrt(best * (1 - best) / held));
    const auto depth =
        std::find_if(right_.begin(), right_.end(), [&](auto right) { return static_cast<double>(right) >= enough; }) -
        right_.begin();
    const Tensor gain = at::tensor(gain_[depth], at::kDouble), total = gain.sum();
    return {total.item<double>() > 0 ? gain / total : gain, static_cast<double>(right_[depth]) / held};
  }

 private:
  /// The node of training items order_[.][begin .. end) and held-out items `held`: a leaf of the tree of this depth,
  /// and of deeper ones too unless it is split.
  void grow(size_t begin, size_t end, const Items& held, size_t depth) {
    Items counts(classes_);
    for (size_t i = begin; i < end; ++i) ++counts[train_.label[order_[0][i]]];
    const int64_t guess = std::max_element(counts.begin(), counts.end()) - counts.begin();
    const int64_t right =
        std::count_if(held.begin(), held.end(), [&](int64_t i) { return held_out_.label[i] == guess; });
    const Split best = depth < kDeepest ? best_split(begin, end, counts) : Split();
    const size_t last = best.gain > 0 ? depth : kDeepest;
    for (size_t d = depth; d <= last; ++d) right_[d] += right;
    if (last == kDeepest) return;
    for (size_t d = depth + 1; d <= kDeepest; ++d) gain_[d][best.dimension] += best.gain;
    const auto left = [&](const TreeRows& rows, int64_t i) { return rows.x[best.dimension][i] <= best.threshold; };
    size_t middle = begin;
    for (Items& order : order_)
      middle = std::stable_partition(order.begin() + begin, order.begin() + end,
                                     [&](int64_t i) { return left(train_, i); }) -
               order.begin();
    Items held_left, held_right;
    for (const int64_t i : held) (left(held_out_, i) ? held_left : held_right).push_back(i);
    grow(begin, middle, held_left, depth + 1);
    grow(middle, end, held_right, depth + 1);
  }

  // The entropy of n items, n_c of each class, times n is n log n - sum_c n_c log n_c; both sums run along the order.
  Split best_split(size_t begin, size_t end, const Items& counts) const {
    double of_all = 0;
    for (const int64_t n : counts) of_all += n_log_n_[n];
    Split best;
    for (size_t l = 0; l < order_.size(); ++l) {
      Items left(classes_), right = counts;
      double of_left = 0, of_right = of_all;
      const auto value = [&](size_t i) { return train_.x[l][order_[l][i]]; };
      for (size_t i = begin; i + 1 < end; ++i) {
        int64_t &a = left[train_.label[order_[l][i]]], &b = right[train_.label[order_[l][i]]];
        of_left += n_log_n_[a + 1] - n_log_n_[a];
        of_right += n_log_n_[b - 1] - n_log_n_[b];
        ++a, --b;
        const double here = value(i), next = value(i + 1);
        if (here == next) continue;
        const size_t n = end - begin, n_left = i + 1 - begin;
        const double gain = n_log_n_[n] - of_all - (n_log_n_[n_left] - of_left) - (n_log_n_[n - n_left] - of_right);
        if (gain <= best.gain + kTie) continue;
        const double between = here + (next - here) / 2;
        best = {gain, between < next ? between : here, l};
      }
    }
    return best;
  }

  TreeRows train_, held_out_;
  size_t classes_;
  std::vector<double> n_log_n_;
  std::vector<Items> order_;                            // by dimension: training items by value, node by node
  std::array<std::vector<double>, kDeepest + 1> gain_;  // by depth of the tree and dimension
  std::array<int64_t, kDeepest + 1> right_{};           // by depth: held-out items predicted
};

}  // namespace

TreeFit classification_tree(const LabelledRows& train, const LabelledRows& held_out) {
  return Grower(train, held_out).fit();
}

}  // namespace vem
