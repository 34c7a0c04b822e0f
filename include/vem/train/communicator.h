// How processes (or threads) add their sums: the only communication there is.
#pragma once

#include <functional>

#include "vem/core/types.h"

namespace vem {

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int64_t rank() const = 0;
  virtual int64_t size() const = 0;
  /// The sum over ranks of equally shaped tensors, the same bits on every rank. Every rank must call it.
  virtual Tensor all_reduce_sum(const Tensor& tensor) = 0;
};

/// One process: copies nothing.
class LocalCommunicator final : public Communicator {
 public:
  int64_t rank() const override { return 0; }
  int64_t size() const override { return 1; }
  Tensor all_reduce_sum(const Tensor& tensor) override { return tensor; }
};

/// Runs body(communicator) on `size` threads as so many ranks that add in rank order. Rethrows the first error; an
/// error on one rank ends the waiting of the others.
void run_ranks(int64_t size, const std::function<void(Communicator&)>& body);

}  // namespace vem
