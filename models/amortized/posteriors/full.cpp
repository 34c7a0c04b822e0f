// A normal posterior whose dimensions depend on each other. Numbers a row: the mean, the log of the Cholesky factor's
// diagonal s, and below it, by rows, the factor in units of the diagonal: L = diag(s) (I + B). So what an encoder gets
// wrong about B moves a dimension by parts of its own width, however narrow that is.
#include "triangle.h"
#include "vem/dist/multivariate_normal.h"
#include "vem/dist/soft_bound.h"
#include "vem/infer/posterior.h"

namespace vem {
namespace {

struct FullOptions final : Options {
  void visit(OptionVisitor&) override {}
};

class FullPosterior final : public Posterior {
 public:
  explicit FullPosterior(int64_t latent_dim) : latent_dim_(latent_dim), below_(latent_dim) {}
  int64_t num_parameters() const override { return 2 * latent_dim_ + below_.numel(); }
  int64_t num_noise() const override { return latent_dim_; }
  std::shared_ptr<const Distribution> at(const Tensor& parameters) const override {
    return std::make_shared<FullNormal>(mean(parameters), cholesky(parameters));
  }
  std::vector<std::pair<std::string, Tensor>> named(const Tensor& parameters) const override {
    return {{"mean", mean(parameters)}, {"cholesky", cholesky(parameters)}};
  }

 private:
  Tensor mean(const Tensor& parameters) const { return parameters.narrow(-1, 0, latent_dim_); }
  Tensor cholesky(const Tensor& parameters) const {
    const Tensor scale = soft_bound(parameters.narrow(-1, latent_dim_, latent_dim_)).exp();
    return at::diag_embed(scale) + scale.unsqueeze(-1) * below_(parameters.slice(-1, 2 * latent_dim_));
  }

  int64_t latent_dim_;
  Triangle below_;
};

}  // namespace

void register_full_posterior(Registry& registry) {
  registry.add<Posterior, FullOptions>("full", "normal with dependent dimensions",
                                       [](const FullOptions&, const Posterior::Context& context) {
                                         return std::make_shared<FullPosterior>(context.latent_dim);
                                       });
}

}  // namespace vem
