// Invertible maps of a latent vector: what makes a simple posterior flexible (Rezende and Mohamed 2015).
// Legend: S samples, R rows, L latent dimensions, P numbers a row that the encoder gives.
#pragma once

#include <memory>
#include <utility>

#include "vem/core/registry.h"
#include "vem/infer/block.h"

namespace vem {

class Flow {
 public:
  static constexpr const char* kKind = "flow";
  struct Context {
    int64_t latent_dim;
    at::ScalarType dtype;
    GradientBlock& block;  ///< for parameters of its own, below `prefix`
    std::string prefix;    ///< "posterior.0."
  };
  virtual ~Flow() = default;
  /// P: amortised parameters of the map, or a context that it depends on.
  virtual int64_t num_parameters() const = 0;
  /// The image of z [S, R, L] and log |det| of its Jacobian [S, R], given parameters [R, P].
  virtual std::pair<Tensor, Tensor> operator()(const Tensor& z, const Tensor& parameters) const = 0;
  virtual void initialize(const Rng&) {}
};

}  // namespace vem
