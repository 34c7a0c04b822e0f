// p(z | parents): a family of distributions, the same as of posteriors, whose parameters a network makes of the
// parents.
#include "vem/dist/kl.h"
#include "vem/dist/normal_function.h"
#include "vem/infer/network.h"
#include "vem/infer/prior.h"

namespace vem {
namespace {

struct ConditionalPriorOptions final : PriorOptions {
  Choice family{"posterior", "diagonal", nullptr}, network{"network", "mlp", nullptr};
  void visit(OptionVisitor& v) override {
    v("family", family, "family of p(z | parents), whose density must be known everywhere");
    v("network", network, "network from the parents to its parameters");
  }
};

/// p(z | parents) at given parents: a distribution of its own for each row.
class PriorOfRows final : public Prior {
 public:
  explicit PriorOfRows(std::shared_ptr<const Distribution> rows) : p_(std::move(rows)) {}
  std::shared_ptr<const Distribution> of_rows() const override { return p_; }
  Tensor log_prob(const Tensor& z, const Batch& batch, const TensorMap&) const override {
    return batch.per_item(p_->log_prob(z));
  }
  Tensor kl(const Distribution& q, const Batch& batch, const TensorMap&) const override {
    const auto *a = dynamic_cast<const DiagonalNormal*>(&q), *b = dynamic_cast<const DiagonalNormal*>(p_.get());
    if (a && b) {  // by dimension
      const auto both =
          at::broadcast_tensors({(a->mean() - b->mean()) * (-b->log_std()).exp(), a->log_std() - b->log_std()});
      return batch.per_item(normal_kl_to_standard(both[0], both[1]), -2);
    }
    const Tensor whole = vem::kl(q, *p_);
    return whole.defined() ? batch.per_item(whole).unsqueeze(-1) : whole;
  }
  /// One draw for each row.
  Tensor sample(const Tensor& /*index*/, const Rng& rng) const override { return p_->sample({}, rng.fold("prior")); }

 private:
  std::shared_ptr<const Distribution> p_;
};

class ConditionalPrior final : public Prior {
 public:
  ConditionalPrior(const ConditionalPriorOptions& o, const Context& c) {
    if (c.num_given == 0)
      fail<ConfigError>("prior conditional: it is p(z | parents), and {} has no parents",
                        c.prefix.substr(c.prefix.find('.') + 1));
    family_ =
        c.registry.create<Posterior>(o.family, {c.latent_dim, c.dtype, c.block, &c.registry, c.prefix + ".family"});
    if (family_->flows() || family_->discrete())
      fail<ConfigError>(
          "prior conditional: its family is one of real numbers whose density is known everywhere, got {}",
          o.family.name);
    const auto make = [&](GradientBlock& block) {
      return c.registry.create<Network>(o.network,
                                        {block, c.prefix, {c.num_given}, {family_->num_parameters()}, c.dtype});
    };
    network_ = make(*c.block);
    stopped_ = make(*c.block->stopped());
  }
  bool conditional() const override { return true; }
  std::shared_ptr<const Prior> at(const Tensor& parents, bool stopped) const override {
    const Network& network = stopped ? *stopped_ : *network_;
    const Tensor flat = parents.dim() == 3 ? parents.flatten(0, 1) : parents, parameters = network.forward(flat);
    return std::make_shared<PriorOfRows>(
        family_->at(parents.dim() == 3 ? parameters.unflatten(0, {parents.size(0), parents.size(1)}) : parameters));
  }
  void initialize(const Tensor& /*rows*/, const Rng& rng) override { network_->initialize(rng); }
  Tensor log_prob(const Tensor&, const Batch&, const TensorMap&) const override { fail_alone(); }
  Tensor kl(const Distribution&, const Batch&, const TensorMap&) const override { fail_alone(); }
  Tensor sample(const Tensor&, const Rng&) const override { fail_alone(); }

 private:
  [[noreturn]] static void fail_alone() {
    fail<Error>("prior conditional: only at() of it, given parents, has a density");
  }

  std::shared_ptr<Posterior> family_;
  std::shared_ptr<Network> network_, stopped_;
};

}  // namespace

void register_conditional_prior(Registry& registry) {
  registry.add<Prior, ConditionalPriorOptions>(
      "conditional", "p(z | parents) by a network, for groups that have parents",
      [](const ConditionalPriorOptions& options, const Prior::Context& context) {
        return std::make_shared<ConditionalPrior>(options, context);
      });
}

}  // namespace vem
