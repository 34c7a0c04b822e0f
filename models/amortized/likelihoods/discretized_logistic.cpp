// Pixels of 256 levels (or another number): a discretised logistic, or a mixture of several for each feature (Salimans
// et al. 2017). The decoder gives the mean and log scale of each component and, of several, the logits of their
// weights.
#include "vem/dist/discretized_logistic.h"

#include "vem/dist/mixture.h"
#include "vem/dist/soft_bound.h"
#include "vem/infer/likelihood.h"

namespace vem {
namespace {

struct DiscretizedOptions final : Options {
  int64_t num_levels = 256, num_components = 1;
  double min_scale = 1e-3;
  void visit(OptionVisitor& v) override {
    v("num_levels", num_levels, {2, 65536}, "levels of a feature, equally spaced on [0, 1]");
    v("num_components", num_components, {1, 100}, "logistics that are mixed for each feature");
    v("min_scale", min_scale, positive(), "floor of the scale; a level is 1 / (num_levels - 1)");
  }
};

class DiscretizedLikelihood final : public IndependentLikelihood {
 public:
  explicit DiscretizedLikelihood(const DiscretizedOptions& options) : o_(options) {}
  int64_t parameters_per_feature() const override { return o_.num_components == 1 ? 2 : 3 * o_.num_components; }
  Tensor mean(const Tensor& outputs) const override {
    const Parts p = parts(outputs);
    const Tensor means = DiscretizedLogistic::mean(p.mean, p.scale, o_.num_levels);
    return p.logits.defined() ? (at::softmax(p.logits, -1) * means).sum(-1) : means;
  }
  /// Components lie evenly within two standard deviations of the mean.
  Tensor output_bias(const Tensor& mean, const Tensor& variance) const override {
    const Tensor std = variance.sqrt();
    const int64_t K = o_.num_components;
    std::vector<Tensor> means, scales, logits;
    for (int64_t k = 0; k < K; ++k) {
      means.push_back(mean + std * (K == 1 ? 0 : 4 * static_cast<double>(k) / static_cast<double>(K - 1) - 2));
      scales.push_back((std * (std::sqrt(3) / M_PI) - o_.min_scale).clamp_min(o_.min_scale).log());
      logits.push_back(-0.5 * ((means.back() - mean) / std.clamp_min(1e-6)).square());
    }
    std::vector<Tensor> all = means;
    all.insert(all.end(), scales.begin(), scales.end());
    if (K > 1) all.insert(all.end(), logits.begin(), logits.end());
    return at::cat(all);
  }
  Range support() const override { return {0, 1, false}; }

 protected:
  std::shared_ptr<const Distribution> at(const Tensor& outputs) const override {
    const Parts p = parts(outputs);
    const auto components = std::make_shared<DiscretizedLogistic>(p.mean, p.scale, o_.num_levels);
    if (!p.logits.defined()) return components;
    return std::make_shared<Mixture>(Categorical(p.logits), components);
  }

 private:
  /// [..., D], or [..., D, components] of several.
  struct Parts {
    Tensor mean, scale, logits;
  };
  Parts parts(const Tensor& outputs) const {
    const auto all = outputs.chunk(o_.num_components == 1 ? 2 : 3, -1);
    const auto by_feature = [&](size_t i) {
      return o_.num_components == 1 ? all[i] : at::stack(all[i].chunk(o_.num_components, -1), -1);
    };
    return {by_feature(0), soft_bound(by_feature(1)).exp() + o_.min_scale,
            o_.num_components == 1 ? Tensor() : by_feature(2)};
  }

  DiscretizedOptions o_;
};

}  // namespace

void register_discretized_logistic(Registry& registry) {
  registry.add<Likelihood, DiscretizedOptions>("discretized-logistic",
                                               "pixels of 256 levels; one logistic or a mixture of them",
                                               [](const DiscretizedOptions& options, const Likelihood::Context&) {
                                                 return std::make_shared<DiscretizedLikelihood>(options);
                                               });
}

}  // namespace vem
