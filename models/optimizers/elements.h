// How an update passes over memory: once, whatever is switched on. A rule is a functor
//   T operator()(int64_t i, T g) const
// that brings the moments of element i up to date with the gradient g and returns what is added to the value.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "vem/core/target_clones.h"
#include "vem/infer/optimizer.h"

namespace vem {

/// One parameter, its gradient sums and the numbers of an Update in its own precision.
template <class T>
struct Elements {
  Elements(Parameter& p, const Tensor& sums, const Update& u)
      : value(p.value.data_ptr<T>()),
        sum(sums.data_ptr<T>()),
        average(u.average_weight > 0 ? p.slots.at("average").data_ptr<T>() : nullptr),
        size(p.value.numel()),
        scale(static_cast<T>(u.scale)),
        clip(static_cast<T>(u.clip)),
        coupled(static_cast<T>(u.coupled)),
        keep(static_cast<T>(u.keep)),
        average_weight(static_cast<T>(u.average_weight)) {}

  T* value;
  const T* sum;
  T* average;  ///< null: none is kept
  int64_t size;
  T scale, clip, coupled, keep, average_weight;
};

/// The new value of one element.
template <class T, class Rule>
VEM_INLINE T moved(const Elements<T>& e, const Rule& rule, int64_t i) {
  const T p = e.value[i];
  const T g = std::min(std::max(e.scale * e.sum[i], -e.clip), e.clip) - e.coupled * p;
  return e.value[i] = e.keep * p + rule(i, g);
}

template <class T, class Rule>
VEM_INLINE void move_all(const Elements<T>& e, const Rule& rule, int64_t begin, int64_t end) {
  if (e.average == nullptr) {
    VEM_INDEPENDENT
    for (int64_t i = begin; i < end; ++i) moved(e, rule, i);
    return;
  }
  VEM_INDEPENDENT
  for (int64_t i = begin; i < end; ++i) {
    const T p = moved(e, rule, i);
    e.average[i] += e.average_weight * (p - e.average[i]);
  }
}

/// Defines pass() for a rule in both precisions. Functions and not a template: target_clones names clones by function.
#define VEM_OPTIMIZER_PASS(...)                                                                                  \
  VEM_CLONES void pass(const Elements<float>& e, const __VA_ARGS__<float>& rule, int64_t begin, int64_t end) {   \
    move_all(e, rule, begin, end);                                                                               \
  }                                                                                                              \
  VEM_CLONES void pass(const Elements<double>& e, const __VA_ARGS__<double>& rule, int64_t begin, int64_t end) { \
    move_all(e, rule, begin, end);                                                                               \
  }

/// Runs pass() over all elements, on every thread that pays.
template <class T, class Rule>
void run(const Elements<T>& e, const Rule& rule) {
  constexpr int64_t kGrain = 65536;
  at::parallel_for(0, e.size, kGrain, [&](int64_t begin, int64_t end) { pass(e, rule, begin, end); });
}

template <class T>
T* moment(Parameter& p, const char* name) {
  return p.slots.at(name).data_ptr<T>();
}

}  // namespace vem
