// Independent rows of a mixture: one weight a component, with a Dirichlet prior (Bishop, PRML, section 10.2).
// The posterior over components has the closed form r_nk = softmax_k(log_lik_nk + t_k) (10.49), one pass over the rows.
#include <limits>

#include "vem/core/error.h"
#include "vem/dist/dirichlet.h"
#include "vem/infer/allocation.h"
#include "vem/infer/observation.h"

namespace vem {
namespace {

struct MixtureWeightsOptions final : ConjugateOptions {
  double concentration = 1;

  void visit(OptionVisitor& v) override {
    v.when(has_prior(), "estimate is map or posterior", [&] {
      v("concentration", concentration, positive(), "alpha of the symmetric Dirichlet prior of the weights");
    });
  }
};

template <class T>
constexpr T kInfinity = std::numeric_limits<T>::infinity();
// Responsibilities below exp of this count as zero, before they turn into denormal numbers, which are slow.
template <class T>
constexpr T kNegligible = sizeof(T) == 4 ? -70 : -650;

struct Normalized {
  double bound = 0;
  std::vector<double> sums;
};

/// Turns joint [rows, K] into weighted responsibilities in place; sums and bound in float64 whatever T is.
template <class T>
Normalized normalize(const Tensor& joint, const Tensor& log_weights, const Tensor& row_weight) {
  const int64_t rows = joint.size(0), K = joint.size(1);
  T* const begin = joint.data_ptr<T>();
  const T* t = log_weights.data_ptr<T>();
  const double* weight = row_weight.data_ptr<double>();
  std::vector<T> largest(static_cast<size_t>(rows));
  for (int64_t n = 0; n < rows; ++n) {
    T* r = begin + n * K;
    T top = -kInfinity<T>;
    for (int64_t k = 0; k < K; ++k) top = std::max(top, r[k] += t[k]);
    for (int64_t k = 0; k < K; ++k) r[k] = r[k] - top < kNegligible<T> ? -kInfinity<T> : r[k] - top;
    largest[static_cast<size_t>(n)] = top;
  }
  joint.exp_();  // vectorised, unlike std::exp
  Normalized total{0, std::vector<double>(static_cast<size_t>(K))};
  for (int64_t n = 0; n < rows; ++n) {
    T* r = begin + n * K;
    double z = 0;
    for (int64_t k = 0; k < K; ++k) z += r[k];
    if (weight[n] != 0) total.bound += weight[n] * (largest[static_cast<size_t>(n)] + std::log(z));
    const auto scale = static_cast<T>(weight[n] / z);
    for (int64_t k = 0; k < K; ++k) total.sums[static_cast<size_t>(k)] += r[k] *= scale;
  }
  return total;
}

class MixtureWeights final : public Allocation {
 public:
  MixtureWeights(const MixtureWeightsOptions& options, const Context& context)
      : prefix_(context.prefix),
        prior_(at::full({1, context.num_components}, options.concentration - 1, at::kDouble)),
        weights_(std::make_shared<ConjugateBlock>(context.prefix + "weights",
                                                  std::make_shared<DirichletFamily>(context.num_components), 1,
                                                  context.estimate)) {}

  std::vector<std::shared_ptr<ConjugateBlock>> blocks() const override { return {weights_}; }
  void set_priors() override { weights_->set_prior(prior_); }

  Tensor log_norm(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const override {
    return batch.per_item(at::logsumexp(log_joint(log_lik, globals), -1));
  }
  Tensor log_joint(const Tensor& log_lik, const TensorMap& globals) const override {
    return log_lik + globals.at(weights_->key()).to(log_lik.scalar_type());
  }
  Tensor log_weights() const override {
    if (weights_->estimate() != Estimate::posterior) return weights_->t().detach();
    const Tensor alpha = weights_->eta() + 1;
    return (alpha / alpha.sum(-1, true)).log();
  }

  Counts expect(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const override {
    at::NoGradGuard no_grad;
    const Tensor joint = log_lik.detach().clone(at::MemoryFormat::Contiguous);
    const Tensor t = globals.at(weights_->key()).detach().to(joint.scalar_type()).contiguous();
    const Tensor row_weight = batch.row_weight().contiguous();
    const Normalized total = joint.scalar_type() == at::kFloat ? normalize<float>(joint, t, row_weight)
                                                               : normalize<double>(joint, t, row_weight);
    return {at::scalar_tensor(total.bound, at::kDouble),
            joint,
            {{weights_->key(), at::tensor(total.sums).view({1, -1})}},
            {}};
  }

  Tensor sample(int64_t n, const TensorMap&, const Rng& rng) const override {
    const Tensor edges = log_weights().exp().cumsum(-1).squeeze(0).contiguous();
    const Tensor u = rng.uniform(at::arange(n, at::kLong), {}, "component") * edges[-1];
    return at::searchsorted(edges, u.contiguous()).clamp_max(edges.size(0) - 1);
  }
  std::string sample_script() const override {
    const bool posterior = weights_->estimate() == Estimate::posterior;
    return fmt::format("torch.multinomial({}[0], n, True)", posterior
                                                                ? fmt::format("(self.{}weights.eta + 1.0)", prefix_)
                                                                : fmt::format("torch.exp(self.{}weights.t)", prefix_));
  }

 private:
  std::string prefix_;
  Tensor prior_;
  std::shared_ptr<ConjugateBlock> weights_;
};

std::shared_ptr<Allocation> create(const MixtureWeightsOptions& options, const Allocation::Context& context) {
  if (context.estimate == Estimate::ml)
    refuse_without_effect(options.concentration != MixtureWeightsOptions().concentration,
                          "mixture-weights: concentration", "estimate is map or posterior");
  if (context.estimate == Estimate::map && options.concentration < 1)
    fail<ConfigError>(
        "mixture-weights: concentration must be >= 1 when estimate is map, got {}: below 1 the density of "
        "the weights has no mode",
        options.concentration);
  return std::make_shared<MixtureWeights>(options, context);
}

}  // namespace

void register_mixture_weights(Registry& registry) {
  registry.add<Allocation, MixtureWeightsOptions>("mixture-weights", "independent rows, a weight a component", create);
}

}  // namespace vem
