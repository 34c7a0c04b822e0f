// A normal posterior with independent dimensions: the parameters are the mean and the log standard deviation.
#include "vem/dist/soft_bound.h"
#include "vem/infer/posterior.h"

namespace vem {
namespace {

struct DiagonalOptions final : Options {
  void visit(OptionVisitor&) override {}
};

class DiagonalPosterior final : public Posterior {
 public:
  explicit DiagonalPosterior(int64_t latent_dim) : latent_dim_(latent_dim) {}
  int64_t num_parameters() const override { return 2 * latent_dim_; }
  int64_t num_noise() const override { return latent_dim_; }
  bool independent() const override { return true; }
  std::shared_ptr<const Distribution> at(const Tensor& parameters) const override {
    const auto [mean, log_std] = split(parameters);
    return std::make_shared<DiagonalNormal>(mean, log_std);
  }
  std::vector<std::pair<std::string, Tensor>> named(const Tensor& parameters) const override {
    const auto [mean, log_std] = split(parameters);
    return {{"mean", mean}, {"log_std", log_std}};
  }

 private:
  std::pair<Tensor, Tensor> split(const Tensor& parameters) const {
    const auto halves = parameters.split(latent_dim_, -1);  // one node whose gradient is one cat
    return {halves[0], soft_bound(halves[1])};
  }
  int64_t latent_dim_;
};

}  // namespace

void register_diagonal_posterior(Registry& registry) {
  registry.add<Posterior, DiagonalOptions>("diagonal", "normal with independent dimensions",
                                           [](const DiagonalOptions&, const Posterior::Context& context) {
                                             return std::make_shared<DiagonalPosterior>(context.latent_dim);
                                           });
}

}  // namespace vem
