// Adding expectations and laying them out in flat buffers.
#include "vem/core/expectation.h"

#include "vem/core/error.h"

namespace vem {
namespace {

void add(TensorMap& into, const TensorMap& other) {
  for (const auto& [key, value] : other) {
    Tensor& sum = into[key];
    sum = sum.defined() ? sum + value : value;
  }
}

Tensor plus(const Tensor& a, const Tensor& b) { return !a.defined() ? b : b.defined() ? a + b : a; }

/// Calls f on every tensor, in an order that every rank shares.
template <class E, class F>
void for_each_tensor(E& e, F f) {
  f(e.count);
  f(e.bound);
  for (auto& entry : e.sums) f(entry.second);
  for (auto& entry : e.metrics) f(entry.second);
}

}  // namespace

Expectation& Expectation::operator+=(const Expectation& other) {
  if (!local.empty() || !other.local.empty())
    fail<Error>("expectation: per-item state does not add; take `local` out first");
  count = plus(count, other.count);
  bound = plus(bound, other.bound);
  add(sums, other.sums);
  add(metrics, other.metrics);
  return *this;
}

Expectation& Expectation::operator-=(const Expectation& other) {
  if (!other.local.empty()) fail<Error>("expectation: per-item state does not subtract; take `local` out first");
  count = count - other.count;
  bound = bound - other.bound;
  for (const auto& [key, value] : other.sums) sums.at(key) = sums.at(key) - value;
  for (const auto& [key, value] : other.metrics) metrics.at(key) = metrics.at(key) - value;
  return *this;
}

std::map<at::ScalarType, Tensor> Expectation::pack() const {
  std::map<at::ScalarType, std::vector<Tensor>> parts;
  for_each_tensor(*this, [&](const Tensor& t) { parts[t.scalar_type()].push_back(t.reshape({-1})); });
  std::map<at::ScalarType, Tensor> buffers;
  for (const auto& [type, tensors] : parts) buffers[type] = at::cat(tensors);
  return buffers;
}

void Expectation::unpack(const std::map<at::ScalarType, Tensor>& buffers) {
  std::map<at::ScalarType, int64_t> begin;
  for_each_tensor(*this, [&](Tensor& t) {
    int64_t& from = begin[t.scalar_type()];
    t = buffers.at(t.scalar_type()).slice(0, from, from + t.numel()).view(t.sizes());
    from += t.numel();
  });
}

}  // namespace vem
