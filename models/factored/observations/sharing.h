// What the components of a normal observation share: nothing, one covariance (tied), or one variance a component
// (spherical); and how their covariances are made (low rank). A block holds the shared parameters once; rows are
// evaluated with the t of each component.
#pragma once

#include <memory>
#include <string>

#include "vem/core/types.h"
#include "vem/dist/exponential_family.h"

namespace vem {

/// Nothing is shared: the block's rows are the components.
class Sharing {
 public:
  Sharing(std::shared_ptr<const ExponentialFamily> family, int64_t rows) : family_(std::move(family)), rows_(rows) {}
  virtual ~Sharing() = default;
  const std::shared_ptr<const ExponentialFamily>& family() const { return family_; }
  int64_t rows() const { return rows_; }

  /// t of the block to that of every component [K, P], linear; and its adjoint for sums.
  virtual Tensor expand(const Tensor& t) const { return t; }
  virtual Tensor collapse(const Tensor& sums) const { return sums; }
  /// eta of the block to that of every component's own marginal distribution [K, P].
  virtual Tensor marginals(const Tensor& eta) const { return eta; }
  /// The block's prior from that of one component [1, P].
  virtual Tensor prior(const Tensor& eta) const { return eta.expand({rows_, -1}).contiguous(); }
  /// What a block at t says beside means and covariances, by name, and the names in order.
  virtual TensorMap describe(const Tensor&) const { return {}; }
  virtual std::vector<std::string> parameters() const { return {}; }

 private:
  std::shared_ptr<const ExponentialFamily> family_;
  int64_t rows_;
};

std::unique_ptr<const Sharing> tied_covariance(int64_t num_components, int64_t num_features, double variance_floor);
std::unique_ptr<const Sharing> spherical_variance(int64_t num_components, int64_t num_features, double variance_floor);
/// Each component's covariance is of that rank beside its noise: "loadings" [K, D, L] and "noise" [K, D].
std::unique_ptr<const Sharing> low_rank_covariance(int64_t num_components, int64_t num_features, int64_t rank,
                                                   bool isotropic, double variance_floor);

}  // namespace vem
