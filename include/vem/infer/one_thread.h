// A part of the work on one thread, however many there are: products, factorisations and sums of LibTorch and BLAS are
// split into as many parts as there are threads, and so rounded in as many ways.
#pragma once

#include <ATen/Parallel.h>

#include <optional>

#include "vem/core/types.h"

extern "C" int MKL_Set_Num_Threads_Local(int) __attribute__((weak));  // null where LibTorch has another BLAS

namespace vem {

/// Keeps the matrix products of this thread on it: MKL does not notice that it is inside a parallel region, and splits
/// long sums into as many parts as the caller has threads.
class OneThreadOfMkl {
 public:
  OneThreadOfMkl() : before_(MKL_Set_Num_Threads_Local ? MKL_Set_Num_Threads_Local(1) : 0) {}
  ~OneThreadOfMkl() {
    if (MKL_Set_Num_Threads_Local) MKL_Set_Num_Threads_Local(before_);
  }
  OneThreadOfMkl(const OneThreadOfMkl&) = delete;
  OneThreadOfMkl& operator=(const OneThreadOfMkl&) = delete;

 private:
  int before_;
};

/// body(), with the same bits for any number of threads: every op in it runs on the thread of the caller alone, since
/// it is inside a parallel region whose second thread has nothing to do.
template <class Body>
auto on_one_thread(const Body& body) {
  std::optional<decltype(body())> result;
  at::parallel_for(0, 2, 1, [&](int64_t begin, int64_t) {
    if (begin > 0) return;
    const OneThreadOfMkl one_thread;
    result = body();
  });
  return *std::move(result);
}

}  // namespace vem
