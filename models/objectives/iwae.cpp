// The importance-weighted bound, log 1/S sum_s p(x, z_s) / q(z_s | x) (Burda, Grosse, Salakhutdinov 2016, equation 8).
#include "vem/infer/objective.h"

namespace vem {
namespace {

struct IwaeOptions final : Options {
  int64_t num_samples = 5;
  void visit(OptionVisitor& v) override { v("num_samples", num_samples, {1, 100000}, "draws of z an item"); }
};

class Iwae final : public Objective {
 public:
  explicit Iwae(const IwaeOptions& options) : num_samples_(options.num_samples) {}
  ObjectiveValue operator()(const Trace& trace, const Step&) const override {
    Tensor log_weight = trace.log_px;
    for (const Latent& latent : trace.latents) log_weight = log_weight + latent.log_p() - latent.log_q();
    const Tensor bound = at::logsumexp(log_weight, 0) - std::log(static_cast<double>(log_weight.size(0)));
    return {bound, bound, {}};
  }
  int64_t num_samples() const override { return num_samples_; }

 private:
  int64_t num_samples_;
};

}  // namespace

void register_iwae_objective(Registry& registry) {
  registry.add<Objective, IwaeOptions>(
      "iwae", "importance-weighted bound over several samples",
      [](const IwaeOptions& options, const Objective::Context&) { return std::make_shared<Iwae>(options); });
}

}  // namespace vem
