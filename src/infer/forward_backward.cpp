// Forward-backward over groups of sequences, in a fixed order of sums, and its place in autograd.
#include "vem/infer/forward_backward.h"

#include <torch/csrc/autograd/custom_function.h>

#include <mutex>

#include "chain_logs.h"
#include "chain_sweep.h"
#include "row_groups.h"
#include "vem/core/error.h"

namespace vem {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Sweeps forward over all items, filtered marginals into `filtered` unless null. regular(sweep, sum) for every group,
/// then lost(item, sequence in logarithms, sum) for those of its items that went out of range. log_norm [N] on the way;
/// sums are added up in the order of groups.
template <class Regular, class Lost>
std::pair<Tensor, Tensor> sweep_groups(const Potentials& p, double* filtered, const Tensor& zero,
                                       const Regular& regular, const Lost& lost) {
  const Transitions transitions(p);
  const std::vector<SequenceGroup> groups = sequence_groups(p);
  const Tensor log_norm = at::zeros({p.items}, at::kDouble);
  double* const norms = log_norm.data_ptr<double>();
  const auto num = static_cast<int64_t>(groups.size());
  const auto sweep_group = [&](const SequenceGroup& group, const Tensor& sum) {
    Sweep sweep(p, transitions, group);
    sweep.forward(filtered);
    regular(sweep, sum);
    for (size_t s = 0; s < group.items.size(); ++s) {
      const int64_t item = group.items[s];
      norms[item] = sweep.log_norm(s);
      if (!sweep.lost(s)) continue;
      const LogSweep in_logs(p, item);
      norms[item] = in_logs.log_norm();
      lost(item, in_logs, sum);
    }
  };
  const auto parts = map_groups(num, num_groups(num, zero.numel()), [&](int64_t first, int64_t last) {
    Tensor sum = zero.clone();
    for (int64_t g = first; g < last; ++g) sweep_group(groups[static_cast<size_t>(g)], sum);
    return sum;
  });
  Tensor total = zero;
  for (const Tensor& part : parts) total = total + part;
  return {log_norm, total};
}

/// Sum over items of the first rows of marginals.
Tensor sum_of_starts(const Potentials& p, const Tensor& marginals) {
  const Tensor begin = p.offsets.slice(0, 0, -1), filled = begin.lt(p.offsets.slice(0, 1));
  return marginals.index_select(0, begin.masked_select(filled)).sum(0);
}

class LogNorm final : public torch::autograd::Function<LogNorm> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& log_lik, const Tensor& log_start,
                        const Tensor& log_transition, const Tensor& offsets) {
    context->save_for_backward({log_lik, log_start, log_transition, offsets});
    return chain_filter({log_lik, log_start, log_transition, offsets}).log_norm;
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    if (at::GradMode::is_enabled()) fail<Error>("chain_log_norm: has no second derivative");
    const variable_list saved = context->get_saved_variables();
    const ChainCounts counts = forward_backward({saved[0], saved[1], saved[2], saved[3]}, gradients[0]);
    return {counts.marginals.to(saved[0].scalar_type()), counts.start.view(saved[1].sizes()), counts.transitions,
            Tensor()};
  }
};

}  // namespace

ChainCounts forward_backward(const Chain& chain, const Tensor& weight) {
  at::NoGradGuard no_grad;
  const Potentials p(chain);
  const Tensor weights = weight.to(at::kDouble).contiguous(), marginals = at::empty({p.rows, p.K}, at::kDouble);
  if (weights.dim() != 1 || weights.size(0) != p.items)
    fail<Error>("forward_backward: weight has shape [{}] but [{}] is expected", fmt::join(weights.sizes(), ", "),
                p.items);
  const double* const w = weights.data_ptr<double>();
  double* const m = marginals.data_ptr<double>();
  const auto [log_norm, transitions] = sweep_groups(
      p, nullptr, at::zeros({p.K, p.K}, at::kDouble),
      [&](Sweep& sweep, const Tensor& sum) {
        sweep.backward(w, m);
        sum.add_(sweep.transition_sums());
      },
      [&](int64_t item, const LogSweep& sweep, const Tensor& sum) {
        sweep.backward(w[item], m, sum.data_ptr<double>());
      });
  return {log_norm, marginals, sum_of_starts(p, marginals), transitions};
}

Tensor chain_log_norm(const Chain& chain) {
  return LogNorm::apply(chain.log_lik, chain.log_start, chain.log_transition, Potentials(chain).offsets);
}

ChainFilter chain_filter(const Chain& chain) { return filter(Potentials(chain), false); }

ChainFilter filter(const Potentials& p, bool in_logs) {
  at::NoGradGuard no_grad;
  const Tensor marginals = at::empty({p.rows, p.K}, at::kDouble);
  std::vector<std::pair<int64_t, Tensor>> lost;
  std::mutex mutex;
  const Tensor log_norm = sweep_groups(
                              p, marginals.data_ptr<double>(), at::zeros({}, at::kDouble), [](Sweep&, const Tensor&) {},
                              [&](int64_t item, const LogSweep& sweep, const Tensor&) {
                                const std::lock_guard<std::mutex> lock(mutex);
                                lost.emplace_back(item, sweep.log_filtered());
                              })
                              .first;
  if (in_logs) marginals.log_();
  for (const auto& [item, rows] : lost)
    marginals.slice(0, p.offset(item), p.offset(item + 1)).copy_(in_logs ? rows : rows.exp());
  return {marginals, log_norm};
}

}  // namespace vem
