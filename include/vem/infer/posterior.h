// q(z | x): a family of distributions over the latents, by the numbers that an encoder (or per-item state) gives.
#pragma once

#include <memory>

#include "vem/core/registry.h"
#include "vem/dist/normal.h"

namespace vem {

class Posterior {
 public:
  static constexpr const char* kKind = "posterior";
  struct Context {
    int64_t latent_dim;
  };
  virtual ~Posterior() = default;
  /// Numbers a row: the width of an encoder's output.
  virtual int64_t num_parameters() const = 0;
  /// q at parameters [rows, num_parameters].
  virtual std::shared_ptr<const Distribution> at(const Tensor& parameters) const = 0;
  /// The parameters by name ("mean", "log_std" [rows, L]), for `encode`.
  virtual std::vector<std::pair<std::string, Tensor>> named(const Tensor& parameters) const = 0;
};

}  // namespace vem
