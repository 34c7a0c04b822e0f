// VampPrior: the mean of the posterior over K pseudo-inputs, p(z) = 1/K sum_k q(z | u_k) (Tomczak and Welling 2018,
// equation 9). The u_k begin as rows of the training data and are learned with the encoder, or stay.
#include "vem/infer/aggregate.h"
#include "vem/infer/prior.h"

namespace vem {
namespace {

constexpr double kEdge = 0.02;  // share of the range that pseudo-inputs keep away from its ends at the start

struct VampOptions final : PriorOptions {
  int64_t num_components = 500;
  bool learned = true;
  void visit(OptionVisitor& v) override {
    v("num_components", num_components, {1, 65536}, "pseudo-inputs");
    v("learned", learned, "learn the pseudo-inputs; otherwise they stay the rows that they begin as");
  }
};

class VampPrior final : public Prior {
 public:
  VampPrior(const VampOptions& options, const Context& context) : o_(options), c_(context) {
    const Shape shape{o_.num_components, c_.num_features};
    if (o_.learned)
      pseudo_inputs_ = c_.block->add(pseudo_inputs_name(), shape, c_.dtype);
    else
      c_.constants->add(pseudo_inputs_name(), at::zeros(shape, c_.dtype));
  }
  bool uses_encoder() const override { return true; }

  Tensor log_prob(const Tensor& z, const Batch& batch, const TensorMap&) const override {
    const Tensor share = at::full({}, -std::log(static_cast<double>(o_.num_components)), z.options());
    return batch.per_item(mixture_log_density(*components(), z, share));
  }
  Tensor kl(const Distribution&, const Batch&, const TensorMap&) const override { return {}; }

  /// Rows drawn without replacement as long as there are any, a little inside the range, where gradients go both ways.
  void initialize(const Tensor& rows, const Rng& rng) override {
    const Tensor order = rng.permutation(rows.size(0)),
                 chosen = order.index_select(0, at::arange(o_.num_components, at::kLong).remainder(rows.size(0)));
    Tensor start = rows.index_select(0, chosen);
    if (std::isfinite(c_.range.min) && std::isfinite(c_.range.max)) {
      const double edge = kEdge * (c_.range.max - c_.range.min);
      start = start.clamp(c_.range.min + edge, c_.range.max - edge);
    }
    if (o_.learned)
      pseudo_inputs_.detach().copy_(start);
    else
      c_.constants->set(pseudo_inputs_name(), start);
  }

  Tensor sample(const Tensor& index, const Rng& rng) const override {
    const at::NoGradGuard no_grad;
    const Tensor u = rng.uniform(index, {}, "component");
    const Tensor k = (u * static_cast<double>(o_.num_components)).to(at::kLong).clamp_max(o_.num_components - 1);
    return c_.posterior->at(parameters().index_select(0, k))->sample({}, rng.fold("prior"));
  }
  std::vector<Method> methods() const override {
    Method method{"prior_components", "parameters of q(z | u) at the pseudo-inputs", {}, c_.posterior->names(), {}};
    method.call = [this](const std::vector<Tensor>&, const Rng&) {
      const at::NoGradGuard no_grad;
      std::vector<Tensor> all;
      for (const auto& entry : c_.posterior->named(parameters())) all.push_back(entry.second);
      return all;
    };
    return {method};
  }

 private:
  Tensor pseudo_inputs() const {
    return (o_.learned ? pseudo_inputs_ : c_.constants->get(pseudo_inputs_name())).clamp(c_.range.min, c_.range.max);
  }
  std::string pseudo_inputs_name() const { return c_.prefix + ".pseudo_inputs"; }
  Tensor parameters() const { return c_.encode(pseudo_inputs()); }
  std::shared_ptr<const Distribution> components() const { return c_.posterior->at(parameters()); }

  VampOptions o_;
  Context c_;
  Tensor pseudo_inputs_;  // [K, D], where they are learned
};

}  // namespace

void register_vamp_prior(Registry& registry) {
  registry.add<Prior, VampOptions>("vamp", "mean of the encoder's posteriors at learned pseudo-inputs",
                                   [](const VampOptions& options, const Prior::Context& context) {
                                     return std::make_shared<VampPrior>(options, context);
                                   });
}

}  // namespace vem
