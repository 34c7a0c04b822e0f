// How an update passes over memory: once, whatever is switched on. A rule is a functor
//   T operator()(int64_t i, T g) const
// that brings the moments of element i up to date with the gradient g and returns what is added to the value.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "vem/core/error.h"
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
        average_weight(static_cast<T>(u.average_weight)),
        name(p.name),
        update(u.steps) {}

  T* value;
  const T* sum;
  T* average;  ///< null: none is kept
  int64_t size;
  T scale, clip, coupled, keep, average_weight;
  const std::string& name;
  int64_t update;
};

/// The new value of one element.
template <class T, class Rule>
VEM_INLINE T moved(const Elements<T>& e, const Rule& rule, int64_t i) {
  const T p = e.value[i];
  const T g = std::min(std::max(e.scale * e.sum[i], -e.clip), e.clip) - e.coupled * p;
  return e.value[i] = e.keep * p + rule(i, g);
}

/// Returns 0, or NaN where an element of the gradient was not finite: clipping would hide that.
template <class T, class Rule>
VEM_INLINE T move_all(const Elements<T>& e, const Rule& rule, int64_t begin, int64_t end) {
  T check = 0;
  if (e.average == nullptr) {
#pragma omp simd reduction(+ : check)
    for (int64_t i = begin; i < end; ++i) {
      check += 0 * e.sum[i];
      moved(e, rule, i);
    }
    return check;
  }
#pragma omp simd reduction(+ : check)
  for (int64_t i = begin; i < end; ++i) {
    check += 0 * e.sum[i];
    const T p = moved(e, rule, i);
    e.average[i] += e.average_weight * (p - e.average[i]);
  }
  return check;
}

/// Defines pass() for a rule in both precisions. Functions and not a template: target_clones names clones by function.
#define VEM_OPTIMIZER_PASS(...)                                                                                    \
  VEM_CLONES float pass(const Elements<float>& e, const __VA_ARGS__<float>& rule, int64_t begin, int64_t end) {    \
    return move_all(e, rule, begin, end);                                                                          \
  }                                                                                                                \
  VEM_CLONES double pass(const Elements<double>& e, const __VA_ARGS__<double>& rule, int64_t begin, int64_t end) { \
    return move_all(e, rule, begin, end);                                                                          \
  }

/// Runs pass() over all elements, on every thread that pays. NumericError if the gradient is not finite.
template <class T, class Rule>
void run(const Elements<T>& e, const Rule& rule) {
  constexpr int64_t kGrain = 65536;
  std::atomic<bool> finite{true};
  at::parallel_for(0, e.size, kGrain, [&](int64_t begin, int64_t end) {
    if (pass(e, rule, begin, end) != 0) finite = false;
  });
  if (!finite) fail<NumericError>("m_step: the gradient of {} is not finite at its update {}", e.name, e.update);
}

template <class T>
T* moment(Parameter& p, const char* name) {
  return p.slots.at(name).data_ptr<T>();
}

}  // namespace vem
