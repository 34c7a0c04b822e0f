// Components of all models in one observation; an allocation that keeps each model to its own.
#include "side_by_side.h"

#include "vem/core/error.h"

namespace vem {
namespace {

// Numbers in the parameters of all components: as many as stay in the cache beside a chunk of rows.
constexpr int64_t kNumbersAtOnce = int64_t{1} << 15;

/// Copies of an allocation that explain the same rows independently: columns r K .. (r + 1) K of log_lik belong to the
/// r-th. In expect(), the bound is [copies].
class Copies final : public Allocation {
 public:
  explicit Copies(std::vector<std::shared_ptr<Allocation>> copies) : copies_(std::move(copies)) {}

  std::vector<std::shared_ptr<ConjugateBlock>> blocks() const override {
    std::vector<std::shared_ptr<ConjugateBlock>> all;
    for (const auto& copy : copies_)
      for (const auto& block : copy->blocks()) all.push_back(block);
    return all;
  }
  void set_priors() override {
    for (const auto& copy : copies_) copy->set_priors();
  }
  Tensor log_norm(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const override {
    const std::vector<Tensor> parts = split(log_lik);
    Tensor sum = copies_[0]->log_norm(parts[0], batch, globals);
    for (size_t r = 1; r < parts.size(); ++r) sum = sum + copies_[r]->log_norm(parts[r], batch, globals);
    return sum;
  }
  Counts expect(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const override {
    const std::vector<Tensor> parts = split(log_lik);
    std::vector<Tensor> bounds, marginals;
    Counts all;
    for (size_t r = 0; r < parts.size(); ++r) {
      Counts counts = copies_[r]->expect(parts[r], batch, globals);
      bounds.push_back(counts.bound);
      marginals.push_back(counts.marginals);
      all.sums.merge(counts.sums);
    }
    all.bound = at::stack(bounds);
    all.marginals = marginals.size() == 1 ? marginals[0] : at::cat(marginals, 1);
    return all;
  }
  bool independent_rows() const override { return copies_[0]->independent_rows(); }
  int64_t per_state() const override { return copies_[0]->per_state(); }
  Tensor sample(const Tensor&, const Rng&) const override {
    fail<Error>("restarts: several models side by side have no row in common to draw");
  }

 private:
  std::vector<Tensor> split(const Tensor& log_lik) const {
    return log_lik.chunk(static_cast<int64_t>(copies_.size()), 1);
  }

  std::vector<std::shared_ptr<Allocation>> copies_;
};

Factored make(const Factored& part, const Choice& allocation, const Choice& observation, int64_t num_states,
              int64_t size) {
  Observation::Context context = part.observation().context();
  const Registry& registry = *context.registry;
  std::vector<std::shared_ptr<Allocation>> copies;
  for (int64_t r = 0; r < size; ++r)
    copies.push_back(registry.create<Allocation>(allocation, {fmt::format("{}.", r), num_states, context.estimate}));
  context.num_components *= size;
  return {std::make_shared<Copies>(copies), registry.create<Observation>(observation, context)};
}

/// copy(theirs, ours) for what the r-th of `all` has and what `part` has: whole blocks of the allocation, rows of those
/// of the components.
template <class Copy>
void for_tensors(const Factored& part, const Factored& all, int64_t r, const Copy& copy) {
  const at::NoGradGuard no_grad;
  const auto ours = part.blocks(), theirs = all.blocks();
  const size_t own = part.allocation().blocks().size(), copies = all.allocation().blocks().size();
  for (size_t b = 0; b < ours.size(); ++b) {
    const bool shared = b >= own;
    const TensorMap state = ours[b]->state();
    const TensorMap wide = theirs[shared ? copies + b - own : static_cast<size_t>(r) * own + b]->state();
    auto it = wide.begin();  // keys differ in the name of their block alone
    for (const auto& [key, value] : state) {
      const int64_t rows = value.size(0);
      const Tensor whole = (it++)->second.detach();
      copy(shared ? whole.slice(0, r * rows, (r + 1) * rows) : whole, value.detach());
    }
  }
}

}  // namespace

SideBySide::SideBySide(Factored& part, const Choice& allocation, const Choice& observation, int64_t num_states,
                       const Moments& moments, int64_t size)
    : part_(part), all_(make(part, allocation, observation, num_states, size)) {
  all_.set_priors(moments);
}

int64_t SideBySide::most(const Factored& part, const Choice& allocation, const Choice& observation,
                         int64_t num_states) {
  if (!part.allocation().independent_rows()) return 1;
  const Factored two = make(part, allocation, observation, num_states, 2);
  const auto &ours = part.observation().blocks(), &theirs = two.observation().blocks();
  for (size_t b = 0; b < ours.size(); ++b)
    if (theirs[b]->t().size(0) != 2 * ours[b]->t().size(0)) return 1;
  return std::max<int64_t>(1, kNumbersAtOnce / part.observation().point().numel());
}

void SideBySide::take(int64_t r) {
  for_tensors(part_, all_, r, [](const Tensor& theirs, const Tensor& ours) { theirs.copy_(ours); });
}

void SideBySide::give(int64_t r) {
  for_tensors(part_, all_, r, [](const Tensor& theirs, const Tensor& ours) { ours.copy_(theirs); });
}

Expectation SideBySide::expect(const RowReader& rows, const Batch& batch) const {
  return all_.expect(rows, batch, all_.point());
}

void SideBySide::pass(const RowReader& rows, const Batch& batch, const Rng& rng) {
  const Expectation total = expect(rows, batch);
  for (const auto& block : all_.blocks()) block->m_step(total, Step(), rng);
}

}  // namespace vem
