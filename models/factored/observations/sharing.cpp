// Tied and low-rank covariances and spherical variances, by their own families.
#include "sharing.h"

#include "vem/core/error.h"
#include "vem/dist/low_rank_normal.h"
#include "vem/dist/spherical_normal_gamma.h"
#include "vem/dist/tied_normal_wishart.h"

namespace vem {
namespace {

class TiedCovariance final : public Sharing {
 public:
  TiedCovariance(int64_t K, int64_t D, double floor)
      : Sharing(std::make_shared<TiedNormalWishartFamily>(K, D, floor), 1), tied_(K, D, floor) {}
  Tensor expand(const Tensor& t) const override { return tied_.expand(t); }
  Tensor collapse(const Tensor& sums) const override { return tied_.collapse(sums); }
  Tensor marginals(const Tensor& eta) const override { return tied_.marginals(eta); }
  Tensor prior(const Tensor& eta) const override { return tied_.tied(eta); }

 private:
  TiedNormalWishartFamily tied_;
};

class LowRankCovariance final : public Sharing {
 public:
  LowRankCovariance(int64_t K, const LowRankNormalFamily& family)
      : Sharing(std::make_shared<LowRankNormalFamily>(family), K), family_(family) {}
  Tensor expand(const Tensor& t) const override { return family_.normal_part(t); }
  Tensor collapse(const Tensor& sums) const override { return family_.padded(sums); }
  Tensor prior(const Tensor& eta) const override { return Sharing::prior(family_.padded(eta)); }
  TensorMap describe(const Tensor& t) const override {
    const LowRankNormalFamily::Factors f = family_.factors(t);
    return {{"loadings", f.loadings}, {"noise", f.noise}};
  }
  std::vector<std::string> parameters() const override { return {"loadings", "noise"}; }

 private:
  LowRankNormalFamily family_;
};

class SphericalVariance final : public Sharing {
 public:
  SphericalVariance(int64_t K, int64_t D, double floor)
      : Sharing(std::make_shared<SphericalNormalGammaFamily>(D, floor), K), spherical_(D, floor) {}
  Tensor expand(const Tensor& t) const override { return spherical_.expand(t); }
  Tensor collapse(const Tensor& sums) const override { return spherical_.collapse(sums); }
  Tensor marginals(const Tensor& eta) const override { return spherical_.marginals(eta); }
  Tensor prior(const Tensor& eta) const override { return Sharing::prior(spherical_.shared(eta)); }

 private:
  SphericalNormalGammaFamily spherical_;
};

}  // namespace

std::unique_ptr<const Sharing> tied_covariance(int64_t num_components, int64_t num_features, double variance_floor) {
  return std::make_unique<TiedCovariance>(num_components, num_features, variance_floor);
}

std::unique_ptr<const Sharing> spherical_variance(int64_t num_components, int64_t num_features, double variance_floor) {
  return std::make_unique<SphericalVariance>(num_components, num_features, variance_floor);
}

std::unique_ptr<const Sharing> low_rank_covariance(int64_t num_components, int64_t num_features, int64_t rank,
                                                   bool isotropic, double variance_floor) {
  using Noise = LowRankNormalFamily::Noise;
  return std::make_unique<LowRankCovariance>(
      num_components,
      LowRankNormalFamily(num_features, rank, isotropic ? Noise::isotropic : Noise::diagonal, variance_floor));
}

}  // namespace vem
