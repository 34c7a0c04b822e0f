// Sorting sequences by length, so that few of those that run side by side end before the others.
#include "chain_layout.h"

#include <numeric>

#include "vem/core/error.h"

namespace vem {
namespace {

// Sequences of a group: enough for a step to be a product of matrices, few enough to stay in the cache.
constexpr int64_t kWidth = 32;
// Numbers in one of the arrays of a group of several sequences.
constexpr int64_t kGroupNumbers = int64_t{1} << 17;

Tensor plain(const Tensor& t) { return t.detach().to(at::kDouble).contiguous(); }

}  // namespace

Potentials::Potentials(const Chain& chain)
    : log_lik(plain(chain.log_lik)),
      log_start(plain(chain.log_start).view({-1})),
      log_transition(plain(chain.log_transition)),
      offsets(chain.offsets.defined() ? chain.offsets.contiguous() : at::arange(chain.log_lik.size(0) + 1, at::kLong)) {
  if (log_lik.dim() != 2) fail<Error>("chain: log_lik has {} dimensions but [rows, states] is expected", log_lik.dim());
  rows = log_lik.size(0);
  K = log_lik.size(1);
  items = offsets.size(0) - 1;
  if (log_start.size(0) != K || log_transition.sizes() != at::IntArrayRef({K, K}))
    fail<Error>("chain: log_start [{}] and log_transition [{}] do not fit log_lik [{}, {}]", log_start.size(0),
                fmt::join(log_transition.sizes(), ", "), rows, K);
  if (items < 0 || offset(items) != rows)
    fail<Error>("chain: offsets end at row {} but log_lik has {} rows", items < 0 ? 0 : offset(items), rows);
}

SequenceGroup::SequenceGroup(const Potentials& p, std::vector<int64_t> of) : items(std::move(of)), first{0} {
  for (const int64_t item : items) begin.push_back(p.offset(item));
  for (size_t running = items.size(); running > 0; --running)  // until the last of them ends
    for (int64_t t = steps(), length = p.length(items[running - 1]); t < length; ++t)
      first.push_back(first.back() + static_cast<int64_t>(running));
}

std::vector<SequenceGroup> sequence_groups(const Potentials& p) {
  std::vector<int64_t> order(static_cast<size_t>(p.items));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return p.length(a) > p.length(b); });
  while (!order.empty() && p.length(order.back()) == 0) order.pop_back();
  std::vector<SequenceGroup> groups;
  for (size_t i = 0; i < order.size();) {
    const int64_t longest = p.length(order[i]) * p.K;
    const auto width = static_cast<size_t>(std::clamp<int64_t>(kGroupNumbers / longest, 1, kWidth));
    const size_t end = std::min(order.size(), i + width);
    groups.emplace_back(
        p, std::vector<int64_t>(order.begin() + static_cast<int64_t>(i), order.begin() + static_cast<int64_t>(end)));
    i = end;
  }
  return groups;
}

}  // namespace vem
