// A normal posterior with few directions in which dimensions depend on each other, N(mean, W W' + diag(std^2)) with W
// [L, R] (Ong, Nott and Smith 2018, "Gaussian variational approximation with a factor covariance structure"). Numbers
// a row: the mean, the log of std, and W by rows: O(L R^2) a density where `full` takes O(L^2) numbers.
#include "vem/core/error.h"
#include "vem/dist/multivariate_normal.h"
#include "vem/dist/soft_bound.h"
#include "vem/infer/posterior.h"

namespace vem {
namespace {

struct LowRankOptions final : Options {
  int64_t rank = 1;
  void visit(OptionVisitor& v) override {
    v("rank", rank, {1, 65536}, "directions of dependence, below latent_dim; with all of them `full` is cheaper");
  }
};

class LowRankPosterior final : public Posterior {
 public:
  LowRankPosterior(const LowRankOptions& options, int64_t latent_dim) : L_(latent_dim), R_(options.rank) {
    if (R_ >= L_ && R_ > 1) fail<ConfigError>("posterior low-rank: rank must be below latent_dim = {}, got {}", L_, R_);
  }
  int64_t num_parameters() const override { return 2 * L_ + L_ * R_; }
  int64_t num_noise() const override { return L_ + R_; }
  std::shared_ptr<const Distribution> at(const Tensor& parameters) const override {
    const auto part = parts(parameters);
    return std::make_shared<LowRankNormal>(part[0], part[2], (2 * part[1]).exp());
  }
  std::vector<std::pair<std::string, Tensor>> named(const Tensor& parameters) const override {
    const auto part = parts(parameters);
    return {{"mean", part[0]}, {"log_std", part[1]}, {"factor", part[2]}};
  }

 private:
  std::vector<Tensor> parts(const Tensor& parameters) const {
    std::vector<Tensor> part = parameters.split_with_sizes({L_, L_, L_ * R_}, -1);
    part[1] = soft_bound(part[1]);
    part[2] = part[2].unflatten(-1, {L_, R_});
    return part;
  }

  int64_t L_, R_;
};

}  // namespace

void register_low_rank_posterior(Registry& registry) {
  registry.add<Posterior, LowRankOptions>("low-rank", "normal with few directions of dependence",
                                          [](const LowRankOptions& options, const Posterior::Context& context) {
                                            return std::make_shared<LowRankPosterior>(options, context.latent_dim);
                                          });
}

}  // namespace vem
