// Priors, expectations and draws of probabilities in groups.
#include "dirichlet_rows.h"

#include "vem/core/error.h"

namespace vem {

void DirichletRowsOptions::visit(OptionVisitor& v) {
  v.when(has_prior(), "estimate is map or posterior", [&] {
    v("concentration", concentration, positive(), "alpha of the symmetric Dirichlet (beta) prior of the probabilities");
  });
}

DirichletRows::DirichletRows(const char* name, const DirichletRowsOptions& options, const Context& context,
                             int64_t num_groups, int64_t num_categories)
    : Observation(context), G_(num_groups), C_(num_categories), concentration_(options.concentration) {
  if (context.estimate == Estimate::ml)
    refuse_without_effect(concentration_ != DirichletRowsOptions().concentration,
                          fmt::format("{}: concentration", name), "estimate is map or posterior");
  if (context.estimate == Estimate::map && concentration_ < 1)
    fail<ConfigError>("{}: concentration must be >= 1 when estimate is map, got {}: below 1 the density has no mode",
                      name, concentration_);
  add_components(std::make_shared<DirichletsFamily>(G_, C_), K());
}

void DirichletRows::set_priors(const Moments&) {
  blocks_[0]->set_prior(at::full({K(), G_ * C_}, concentration_ - 1, at::kDouble));
}

Tensor DirichletRows::expected_probabilities() const {
  const Tensor alpha = (components().eta() + 1).view({K(), G_, C_});
  return (alpha / alpha.sum(-1, true)).view({K(), G_ * C_});
}

Tensor DirichletRows::current_probabilities() const {
  if (context_.estimate == Estimate::posterior) return expected_probabilities();
  const Tensor p = probabilities(point()).view({K(), G_, C_});
  return (p / p.sum(-1, true)).view({K(), G_ * C_});
}

Tensor DirichletRows::draw(const Tensor& index, const Tensor& component, const Tensor& probabilities, const Rng& rng,
                           std::string_view stream) const {
  const Tensor edges = probabilities.view({K(), G_, C_}).cumsum(-1).index_select(0, component);
  const Tensor u = rng.uniform(index, {G_}, stream);
  return (u.unsqueeze(-1) * edges.slice(-1, C_ - 1) >= edges).sum(-1).clamp_max(C_ - 1);
}

}  // namespace vem
