// A conjugate mixture as the prior of a deep model: allocation x observation, updated in closed form by the same loop.
// It has no mathematics of its own: log p(z) and KL(q || p) are the part's log_norm at a point and at E_q[s]
// (Johnson et al. 2016, "Composing graphical models with neural networks", section 4; Jiang et al. 2017, VaDE).
#include "../../factored/model.h"
#include "vem/infer/kmeans.h"
#include "vem/infer/prior.h"

namespace vem {
namespace {

constexpr int64_t kPseudoItems = 512;  // draws of N(0, I) that the start is fitted to

struct MixturePriorOptions final : PriorOptions {
  int64_t num_components = 10;
  Estimate estimate = Estimate::posterior;
  Choice allocation{"allocation", "mixture-weights", nullptr}, observation{"observation", "normal", nullptr};
  bool conjugate() const override { return true; }
  void visit(OptionVisitor& v) override {
    v("num_components", num_components, {1, 4096}, "components of the mixture");
    v("estimate", estimate, {{"map", Estimate::map}, {"posterior", Estimate::posterior}},
      "whether components are points or have a posterior of their own; with one, the bound takes the expected log "
      "density, and draws and likelihoods the predictive density, which is never smaller");
    ConjugateOptions::tell(allocation, estimate);
    ConjugateOptions::tell(observation, estimate);
    v("allocation", allocation, "which component a latent belongs to");
    v("observation", observation, "family of a component");
  }
};

class MixturePrior final : public Prior {
 public:
  MixturePrior(const MixturePriorOptions& o, const Context& c)
      : latent_dim_(c.latent_dim),
        dtype_(c.dtype),
        part_(make_part(o.allocation, o.observation,
                        {c.latent_dim, at::kDouble, o.estimate, o.num_components, c.prefix + ".", {}, &c.registry})) {}

  /// Rows that are items of their own go through the part at once, ragged items a sample at a time.
  Tensor log_prob(const Tensor& z, const Batch& batch, const TensorMap& globals) const override {
    if (batch.offsets.defined()) {
      std::vector<Tensor> samples;
      for (const Tensor& sample : z.unbind(0))
        samples.push_back(part_.log_norm(part_.observation().statistics(sample), batch, globals));
      return at::stack(samples).to(z.scalar_type());
    }
    const Tensor rows = z.reshape({-1, latent_dim_});
    const Tensor log_p = part_.log_norm(part_.observation().statistics(rows), rows_of(rows.size(0)), globals);
    return log_p.view({z.size(0), z.size(1)}).to(z.scalar_type());
  }
  /// Of a posterior the mixture of Student-t that sample() draws from; at a point log_prob() is a density already.
  Tensor log_predictive(const Tensor& z, const Batch& batch, const TensorMap& globals) const override {
    if (part_.observation().context().estimate != Estimate::posterior) return log_prob(z, batch, globals);
    const Tensor rows = z.reshape({-1, latent_dim_}).to(at::kDouble);
    const Tensor log_p = at::logsumexp(part_.observation().log_predictive(rows) + part_.allocation().log_weights(), -1);
    return batch.per_item(log_p.view({z.size(0), z.size(1)}).to(z.scalar_type()));
  }
  Tensor kl(const Distribution& q, const Batch& batch, const TensorMap& globals) const override {
    const Tensor entropy = batch.per_item(q.entropy());
    const Tensor log_p = part_.log_norm(part_.observation().statistics(q), batch, globals);
    return (-entropy - log_p.to(entropy.scalar_type())).unsqueeze(-1);
  }
  std::vector<std::shared_ptr<Block>> blocks() const override {
    const auto blocks = part_.blocks();
    return {blocks.begin(), blocks.end()};
  }
  /// As if kPseudoItems draws of N(0, I) had been seen, sorted into cells by k-means so that components differ.
  void initialize(const Tensor& /*rows*/, const Rng& rng) override {
    part_.set_priors({at::zeros({latent_dim_}, at::kDouble), at::eye(latent_dim_, at::kDouble)});
    const Tensor x = rng.normal(at::arange(kPseudoItems, at::kLong), {latent_dim_}, "pseudo items");
    const Batch batch = rows_of(kPseudoItems);
    const Tensor cells = kmeans(x, batch.weight, part_.num_components(), rng).labels;
    part_.start(x, batch, at::one_hot(cells, part_.num_components()).to(at::kDouble), rng);
  }
  Tensor sample(const Tensor& index, const Rng& rng) const override {
    return part_.sample(index, rng).first.to(dtype_);
  }

  std::vector<Method> methods() const override {
    return {{"prior_components",
             "weights [K], means [K, L] and Cholesky factors of covariances [K, L, L] of the prior",
             {},
             {"weights", "means", "factors"},
             [this](const std::vector<Tensor>&, const Rng&) {
               const TensorMap components = part_.observation().describe(part_.observation().point());
               const auto full = components.find("covariances");
               const Tensor factors = full != components.end() ? at::linalg_cholesky(full->second)
                                                               : at::diag_embed(components.at("variances").sqrt());
               return std::vector<Tensor>{part_.allocation().log_weights().exp().view({-1}), components.at("means"),
                                          factors};
             }}};
  }
  /// Of a chain over the rows of an item, no row belongs to a component by itself.
  bool independent_rows() const override { return part_.allocation().independent_rows(); }
  bool clusters() const override { return independent_rows(); }
  Tensor responsibilities(const Distribution& q, const TensorMap& globals) const override {
    const Tensor log_lik =
        part_.observation().log_lik(part_.observation().statistics(q), part_.observation().point(globals));
    return at::softmax(part_.allocation().log_joint(log_lik, globals), -1).to(dtype_);
  }

 private:
  /// Items without anything but their number: rows of z are independent items of the part.
  static Batch rows_of(int64_t n) {
    Batch batch;
    batch.index = at::arange(n, at::kLong);
    batch.weight = at::ones({n}, at::kDouble);
    return batch;
  }

  int64_t latent_dim_;
  at::ScalarType dtype_;
  Factored part_;
};

}  // namespace

void register_mixture_prior(Registry& registry) {
  registry.add<Prior, MixturePriorOptions>("mixture", "conjugate mixture, updated in closed form by the same loop",
                                           [](const MixturePriorOptions& options, const Prior::Context& context) {
                                             return std::make_shared<MixturePrior>(options, context);
                                           });
}

}  // namespace vem
