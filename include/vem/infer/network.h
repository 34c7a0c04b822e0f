// Neural networks of an amortised model: encoders and decoders alike map rows to rows.
#pragma once

#include <memory>

#include "vem/core/registry.h"
#include "vem/infer/block.h"

namespace vem {

/// Parameters live in a gradient block under "<prefix>."; a network holds only the leaves.
class Network {
 public:
  static constexpr const char* kKind = "network";
  struct Context {
    GradientBlock& block;
    std::string prefix;  ///< "encoder", "decoder"
    Shape input;         ///< shape of one row: {features}, or {channels, height, width} where the row is an image
    Shape output;        ///< likewise; flattened to [rows, product] either way
    at::ScalarType dtype;
  };
  virtual ~Network() = default;
  /// [rows, inputs] -> [rows, outputs]; leading dimensions beyond one are flattened by the caller.
  virtual Tensor forward(const Tensor& x) const = 0;
  /// Draws the initial weights: uniform on +-1/sqrt(fan in), the default of torch.nn.
  virtual void initialize(const Rng& rng) = 0;
  /// The bias of the last layer [outputs], for data-dependent starts.
  virtual Tensor output_bias() const = 0;
};

}  // namespace vem
