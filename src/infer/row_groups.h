// Sums over rows that have the same bits for any number of threads: rows fall into fixed chunks, chunks into a number
// of groups that depends on sizes only, each group is summed in order by one thread, and groups are added in order.
#pragma once

#include <algorithm>

#include "vem/infer/one_thread.h"

namespace vem {

/// Rows of a chunk: its statistics stay in the cache between the two matrix products of an E-step.
constexpr int64_t kRowsPerChunk = 256;

/// Groups for so many chunks whose partial sums have `numel` float64 numbers each: at most 16, and 64 MB in all. At
/// least two (one may be empty), so that a single chunk is run under the same conditions as many.
inline int64_t num_groups(int64_t num_chunks, int64_t numel) {
  return std::clamp<int64_t>((int64_t{1} << 23) / std::max<int64_t>(numel, 1), 2,
                             std::clamp<int64_t>(num_chunks, 2, 16));
}

/// body(first chunk, last chunk) of every group, in the order of groups. Within it every op runs on one thread.
template <class Body>
auto map_groups(int64_t num_chunks, int64_t groups, const Body& body) {
  std::vector<decltype(body(int64_t{}, int64_t{}))> parts(static_cast<size_t>(groups));
  at::parallel_for(0, groups, 1, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;  // a state of the thread
    const OneThreadOfMkl one_thread;
    for (int64_t g = begin; g < end; ++g)
      parts[static_cast<size_t>(g)] = body(g * num_chunks / groups, (g + 1) * num_chunks / groups);
  });
  return parts;
}

/// The sum of body(begin, end) over fixed chunks of `rows` rows; `zero` is what an empty sum gives and sets the shape.
template <class Body>
Tensor sum_chunks(int64_t rows, const Tensor& zero, const Body& body) {
  const int64_t chunks = (rows + kRowsPerChunk - 1) / kRowsPerChunk;
  const auto parts = map_groups(chunks, num_groups(chunks, zero.numel()), [&](int64_t first, int64_t last) {
    Tensor sum = zero.clone();
    for (int64_t c = first; c < last; ++c) sum.add_(body(c * kRowsPerChunk, std::min(rows, (c + 1) * kRowsPerChunk)));
    return sum;
  });
  Tensor total = zero;
  for (const Tensor& part : parts) total = total + part;
  return total;
}

}  // namespace vem
