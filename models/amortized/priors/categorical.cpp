// What discrete latents come from: independent categories, all classes alike or with learned probabilities.
#include "../posteriors/one_hots.h"
#include "vem/core/error.h"
#include "vem/infer/prior.h"

namespace vem {
namespace {

struct CategoricalPriorOptions final : PriorOptions {
  bool learned = false;
  void visit(OptionVisitor& v) override {
    v("learned", learned, "learn the probabilities of the classes; otherwise all are alike");
  }
};

class CategoricalPrior final : public Prior {
 public:
  CategoricalPrior(const CategoricalPriorOptions& o, const Context& c) : L_(c.latent_dim), dtype_(c.dtype) {
    const auto q = c.posterior ? c.posterior->at(at::zeros({1, c.posterior->num_parameters()}, dtype_)) : nullptr;
    const auto* one_hots = dynamic_cast<const OneHots*>(q.get());
    if (!one_hots) fail<ConfigError>("prior categorical: it goes with posterior categorical only");
    K_ = one_hots->num_classes();
    logits_ = o.learned ? c.block->add(c.prefix + ".logits", {L_}, dtype_) : at::zeros({L_}, dtype_);
  }
  bool discrete() const override { return true; }
  Tensor log_prob(const Tensor& z, const Batch& batch, const TensorMap&) const override {
    return batch.per_item(p().log_prob(z));
  }
  /// Of each category.
  Tensor kl(const Distribution& q, const Batch& batch, const TensorMap&) const override {
    const Tensor& log_q = dynamic_cast<const OneHots&>(q).log_probs();
    return batch.per_item((log_q.exp() * (log_q - p().log_probs())).sum(-1), -2);
  }
  Tensor sample(const Tensor& index, const Rng& rng) const override { return p().sample(index, rng.fold("prior")); }
  std::vector<Method> methods() const override {
    Method method{"prior_probabilities", "of the classes of each category", {}, {"p"}, {}};
    method.call = [this](const std::vector<Tensor>&, const Rng&) {
      return std::vector<Tensor>{p().log_probs().exp().detach()};
    };
    return {method};
  }

 private:
  OneHots p() const { return {logits_, K_}; }

  int64_t L_;
  at::ScalarType dtype_;
  int64_t K_ = 0;
  Tensor logits_;
};

}  // namespace

void register_categorical_prior(Registry& registry) {
  registry.add<Prior, CategoricalPriorOptions>(
      "categorical", "independent categories, for the posterior of that name",
      [](const CategoricalPriorOptions& options, const Prior::Context& context) {
        return std::make_shared<CategoricalPrior>(options, context);
      });
}

}  // namespace vem
