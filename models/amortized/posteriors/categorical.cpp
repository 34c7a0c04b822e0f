// Discrete latents: latent_dim numbers are so many independent categories, one-hot. Their draws have no derivative;
// four ways to a gradient of E_q[f(z)], of which enumeration and score function have the right mean:
//   enumerate          sum over all states of q(z) f(z), exactly
//   score-function     (f(z_s) - the mean of the other f) grad log q(z_s) (Kool, van Hoof and Welling 2019, "Buy 4
//                      REINFORCE samples, get a baseline for free!", equation 8)
//   straight-through   z is a draw, and its slope that of the relaxed draw (Jang, Gu and Poole 2017, section 2.2)
//   relaxed            z is relaxed in training, where the bound is that of another model
// Legend: M categories, K classes each, L = M K latent dimensions, S draws or states.
#include "one_hots.h"
#include "vem/core/error.h"
#include "vem/infer/posterior.h"

namespace vem {
namespace {

constexpr int64_t kMostStates = 4096;  // that are enumerated

enum class CategoricalGradient { enumerate, score_function, straight_through, relaxed };

struct CategoricalPosteriorOptions final : Options {
  int64_t num_classes = 10;
  CategoricalGradient gradient = CategoricalGradient::straight_through;
  Choice temperature = constant_schedule(0.5);
  bool by_gumbel() const {
    return gradient == CategoricalGradient::straight_through || gradient == CategoricalGradient::relaxed;
  }
  void visit(OptionVisitor& v) override {
    v("num_classes", num_classes, {2, 65536}, "classes of a category; latent_dim / num_classes is how many there are");
    v("gradient", gradient,
      {{"enumerate", CategoricalGradient::enumerate},
       {"score-function", CategoricalGradient::score_function},
       {"straight-through", CategoricalGradient::straight_through},
       {"relaxed", CategoricalGradient::relaxed}},
      "how the encoder learns: by all states, by two or more draws that are each other's baseline, by draws with the "
      "slope of relaxed ones, or by relaxed draws, with which a training bound is none");
    v.when(by_gumbel(), "gradient is straight-through or relaxed",
           [&] { v("temperature", temperature, "of relaxed draws: a number above 0 or a schedule"); });
  }
};

class CategoricalPosterior final : public Posterior {
 public:
  CategoricalPosterior(const CategoricalPosteriorOptions& o, const Context& context)
      : o_(o), L_(context.latent_dim), dtype_(context.dtype), M_(L_ / o.num_classes) {
    if (L_ % o_.num_classes != 0)
      fail<ConfigError>("posterior categorical: num_classes must divide latent_dim = {}, got {}", L_, o_.num_classes);
    if (o_.by_gumbel()) temperature_ = context.registry->create<Schedule>(o_.temperature, {*context.registry});
    if (o_.gradient == CategoricalGradient::enumerate) states_ = all_states();
  }
  int64_t num_parameters() const override { return L_; }
  int64_t num_noise() const override { return L_; }
  bool discrete() const override { return true; }
  std::shared_ptr<const Distribution> at(const Tensor& parameters) const override {
    return std::make_shared<OneHots>(parameters, o_.num_classes);
  }

  int64_t num_states() const override { return o_.gradient == CategoricalGradient::enumerate ? states_.size(0) : 1; }
  Tensor states(const Tensor& parameters, const Tensor& noise, const Step& step) const override {
    if (o_.gradient == CategoricalGradient::enumerate) return states_.expand({-1, parameters.size(-2), -1});
    const OneHots q(parameters, o_.num_classes);
    if (o_.gradient == CategoricalGradient::score_function) return q.rsample(noise);
    const double temperature = step.weight("temperature");
    if (!(temperature > 0))
      fail<ConfigError>("posterior categorical: temperature must be above 0, got {}", temperature);
    const Tensor soft = q.relaxed(noise, temperature);
    if (o_.gradient == CategoricalGradient::relaxed && step.training) return soft;
    return q.rsample(noise) + (soft - soft.detach());
  }
  States states_are() const override {
    if (o_.by_gumbel()) return States::differentiable;
    return o_.gradient == CategoricalGradient::enumerate ? States::all : States::scored;
  }
  Tensor expected(const Tensor& f, const Distribution& q, const Tensor& z) const override {
    if (o_.by_gumbel()) return f;
    const Tensor whole = q.log_prob(z), log_q = f.dim() == 3 ? whole.unsqueeze(-1) : whole;
    if (o_.gradient == CategoricalGradient::enumerate)
      return static_cast<double>(states_.size(0)) * log_q.exp() * f;  // of each state there are as many draws
    const auto S = static_cast<double>(f.size(0));
    const Tensor value = f.detach(), others = (value.sum(0, true) - value) / (S - 1);
    return f + (value - others) * (log_q - log_q.detach());
  }
  void check_samples(int64_t num_samples) const override {
    if (o_.gradient == CategoricalGradient::score_function && num_samples < 2)
      fail<ConfigError>(
          "posterior categorical: gradient = \"score-function\" compares draws, so objective.num_samples must be at "
          "least 2, got {}",
          num_samples);
    if (o_.gradient == CategoricalGradient::enumerate && num_samples != 1)
      fail<ConfigError>(
          "posterior categorical: gradient = \"enumerate\" looks at every state, objective.num_samples = {} has no "
          "effect; leave it out",
          num_samples);
  }
  Schedules schedules() const override { return temperature_ ? Schedules{{"temperature", temperature_}} : Schedules(); }
  std::vector<std::pair<std::string, Tensor>> named(const Tensor& parameters) const override {
    return {{"probabilities", OneHots(parameters, o_.num_classes).mean()}};
  }

 private:
  /// [K^M, 1, L].
  Tensor all_states() const {
    const int64_t K = o_.num_classes;
    int64_t count = 1;
    for (int64_t m = 0; m < M_ && count <= kMostStates; ++m) count *= K;
    if (count > kMostStates)
      fail<ConfigError>(
          "posterior categorical: {} categories of {} classes have more than {} states; enumerate fewer, or choose "
          "another gradient",
          M_, K, kMostStates);
    const Tensor state = at::arange(count, at::kLong);
    std::vector<Tensor> parts;
    int64_t stride = 1;
    for (int64_t m = 0; m < M_; ++m, stride *= K)
      parts.push_back(at::one_hot(state.div(stride, "floor").remainder(K), K));
    return at::cat(parts, -1).to(dtype_).unsqueeze(1);
  }

  CategoricalPosteriorOptions o_;
  int64_t L_;
  at::ScalarType dtype_;
  int64_t M_;
  std::shared_ptr<const Schedule> temperature_;
  Tensor states_;
};

}  // namespace

void register_categorical_posterior(Registry& registry) {
  registry.add<Posterior, CategoricalPosteriorOptions>(
      "categorical", "independent categories, one-hot",
      [](const CategoricalPosteriorOptions& options, const Posterior::Context& context) {
        return std::make_shared<CategoricalPosterior>(options, context);
      });
}

}  // namespace vem
