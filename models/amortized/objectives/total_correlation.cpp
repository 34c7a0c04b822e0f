// The KL term in three parts with weights of their own (Chen et al. 2018, "Isolating sources of disentanglement",
// equation 2): information I(x; z), total correlation of the aggregate posterior q(z), and the KL of each dimension.
// q(z) is estimated from the batch: weighted (their equation S2, a lower bound), or stratified (their appendix C.2,
// with the mean over the places that an item may take, so that the order of a batch means nothing; without bias).
#include "vem/infer/aggregate.h"
#include "vem/infer/objective.h"

namespace vem {
namespace {

enum class AggregateEstimator { weighted, stratified };

struct TotalCorrelationOptions final : Options {
  double information = 1, dimensions = 1;
  Choice correlation = constant_schedule(6);
  AggregateEstimator estimator = AggregateEstimator::stratified;
  int64_t num_samples = 1;
  void visit(OptionVisitor& v) override {
    v("information", information, at_least(0), "weight of I(x; z) (alpha)");
    v("correlation", correlation, "weight of the total correlation of q(z) (beta): a number or a schedule");
    v("dimensions", dimensions, at_least(0), "weight of the KL of each dimension to its prior (gamma)");
    v("estimator", estimator,
      {{"weighted", AggregateEstimator::weighted}, {"stratified", AggregateEstimator::stratified}},
      "q(z) from a batch: a lower bound, or without bias");
    v("num_samples", num_samples, {1, 10000}, "draws of z an item");
  }
};

class TotalCorrelation final : public Objective {
 public:
  TotalCorrelation(const TotalCorrelationOptions& options, const Context& context)
      : o_(options), correlation_(context.registry.create<Schedule>(options.correlation, {context.registry})) {}

  ObjectiveValue operator()(const Trace& trace, const Step& step) const override {
    const Tensor log_px = mean_over_samples(trace.log_px);
    Tensor kl, paid;
    for (const Latent& latent : trace.latents) {
      const Tensor log_q = latent.log_q(), log_p = latent.log_p(), own = mean_over_samples(log_q - log_p);
      kl = kl.defined() ? kl + own : own;
      if (!step.training) continue;
      const auto [joint, product] = aggregate_density(latent.q(), latent.z(), log_weight(latent.weight(), step));
      const Tensor bent =
          mean_over_samples(o_.information * (log_q - joint) + step.weight("correlation") * (joint - product) +
                            o_.dimensions * (product - log_p));
      paid = paid.defined() ? paid + bent : bent;
    }
    const Tensor bound = log_px - kl;
    return {bound, step.training ? log_px - paid : bound, {}};
  }
  int64_t num_samples() const override { return o_.num_samples; }
  bool additive() const override { return false; }
  Needs needs() const override { return Needs::independent; }
  Schedules schedules() const override { return {{"correlation", correlation_}}; }

 private:
  /// log of the weight of item j in q(z_i) [items, items]. An item that weighs w counts as w items alike.
  Tensor log_weight(const Tensor& weight, const Step& step) const {
    const Tensor total = weight.sum(), size = at::clamp_min(total, step.total_weight);  // of the batch, of all data
    if (o_.estimator == AggregateEstimator::weighted) return (weight / (size * total)).log().unsqueeze(0);
    // Of an item's N - 1 others, total - 1 are here: each stands for so many of them.
    const Tensor share = at::where(total > 1, (size - 1) / (size * (total - 1)), at::zeros_like(total));
    const Tensor own = at::where(weight > 0, 1 / size - share, at::zeros_like(weight));
    return ((weight * share).unsqueeze(0) + own.diag()).clamp_min(0).log();
  }

  TotalCorrelationOptions o_;
  std::shared_ptr<const Schedule> correlation_;
};

}  // namespace

void register_total_correlation(Registry& registry) {
  registry.add<Objective, TotalCorrelationOptions>(
      "total-correlation",
      "information, total correlation and dimensions weighted apart (beta-TCVAE); of a batch, no sum over items",
      [](const TotalCorrelationOptions& options, const Objective::Context& context) {
        return std::make_shared<TotalCorrelation>(options, context);
      });
}

}  // namespace vem
