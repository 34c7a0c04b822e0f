// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
// A draw is a pure function of (seed, stream, folds, epoch, item, place in the item, draw), so results depend neither
// on batches, nor on ranks, nor on threads, and a resume needs no generator state.
#pragma once

#include <array>
#include <string_view>

#include "vem/core/types.h"

namespace vem {

/// Philox4x32 with ten rounds: four words from a counter of four words and a key.
std::array<uint32_t, 4> philox4x32(const std::array<uint32_t, 4>& counter, uint64_t key);

/// An immutable key. Streams are named by purpose ("posterior", "binarize"), so two purposes never share numbers.
class Rng {
 public:
  explicit Rng(uint64_t seed) : key_(seed) {}
  /// A key for samplers that an export records: its numbers come from LibTorch's own random operations, shaped by their
  /// tensor arguments, so that a trace of the sampler draws anew for any number of rows. Streams and folds are ignored.
  static Rng recorded();
  /// Whether this is recorded(). A sampler that loops over the numbers of a tensor, which a trace would freeze, then
  /// calls LibTorch's operation for its distribution instead.
  bool is_recorded() const { return recorded_; }

  /// The same key in another epoch.
  Rng at(int64_t epoch) const;
  /// An independent key: inner iterations, restarts, purposes.
  Rng fold(uint64_t tag) const;
  Rng fold(std::string_view tag) const;

  /// Uniform on (0, 1). index [rows] int64 names the items; place [rows] (optional) tells rows of one item apart.
  /// Returns [rows, *shape] of `dtype` (float32 or float64).
  Tensor uniform(const Tensor& index, const Shape& shape, std::string_view stream, at::ScalarType dtype = at::kDouble,
                 const Tensor& place = {}) const;
  /// Standard normal by Box-Muller, computed in float64; arguments as in uniform().
  Tensor normal(const Tensor& index, const Shape& shape, std::string_view stream, at::ScalarType dtype = at::kDouble,
                const Tensor& place = {}) const;
  /// float32 ones with probability x / scale, else zeros: x [rows, ...] uint8 or floating, whose comparison with a
  /// uniform number is in float32. Equals uniform(index, ..., at::kFloat, place) < x / scale.
  Tensor bernoulli(const Tensor& index, const Tensor& x, double scale, std::string_view stream,
                   const Tensor& place = {}) const;
  /// Gamma(concentration, rate 1), float64, the shape of its argument (Marsaglia and Tsang 2000).
  Tensor gamma(const Tensor& concentration, std::string_view stream) const;
  /// A random order of 0 .. n-1, int64.
  Tensor permutation(int64_t n) const;

 private:
  Rng(uint64_t key, uint32_t epoch, bool recorded) : key_(key), epoch_(epoch), recorded_(recorded) {}

  uint64_t key_;
  uint32_t epoch_ = 0;
  bool recorded_ = false;
};

}  // namespace vem
