// Adam (Kingma and Ba 2015, algorithm 1) as one fused pass over each parameter, and clipping of the gradient's norm.
// The arithmetic is that of torch.optim.Adam; tests compare a trajectory.
#include "vem/core/target_clones.h"
#include "vem/infer/optimizer.h"

namespace vem {
namespace {

struct AdamOptions final : Options {
  Choice learning_rate = constant_schedule(1e-3);
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, clip_norm = 0;
  void visit(OptionVisitor& v) override {
    v("learning_rate", learning_rate, "step size: a number or a schedule");
    v("beta1", beta1, {0, 0.999999}, "decay of the mean of gradients");
    v("beta2", beta2, {0, 0.999999}, "decay of the mean of squared gradients");
    v("epsilon", epsilon, positive(), "added to the root of the mean square");
    v("clip_norm", clip_norm, at_least(0),
      "largest norm of the gradient per item, over all parameters; 0: no clipping");
  }
};

/// The numbers that are the same for every element of one update.
template <class T>
struct Coefficients {
  T scale, beta1, beta2, step, root, epsilon;  // gradient = scale * sum; root = 1 / sqrt(1 - beta2^t)
};

// Two functions and not a template: target_clones names clones by function.
#define VEM_ADAM_PASS(T, SQRT)                                                                                   \
  VEM_CLONES void adam_pass(T* __restrict p, const T* __restrict g, T* __restrict m, T* __restrict v, int64_t n, \
                            Coefficients<T> c) {                                                                 \
    for (int64_t i = 0; i < n; ++i) {                                                                            \
      const T gradient = c.scale * g[i];                                                                         \
      m[i] = c.beta1 * m[i] + (1 - c.beta1) * gradient;                                                          \
      v[i] = c.beta2 * v[i] + (1 - c.beta2) * gradient * gradient;                                               \
      p[i] += c.step * m[i] / (SQRT(v[i]) * c.root + c.epsilon);                                                 \
    }                                                                                                            \
  }
VEM_ADAM_PASS(float, __builtin_sqrtf)
VEM_ADAM_PASS(double, __builtin_sqrt)
#undef VEM_ADAM_PASS

class Adam final : public Optimizer {
 public:
  Adam(const AdamOptions& options, const Context& context)
      : options_(options),
        learning_rate_(context.registry.create<Schedule>(options.learning_rate, {context.registry})) {}

  std::vector<std::string> slots() const override { return {"first", "second"}; }
  std::shared_ptr<const Schedule> learning_rate() const override { return learning_rate_; }

  void update(std::vector<Parameter>& parameters, const std::vector<Tensor>& sums, const Tensor& count, int64_t steps,
              double learning_rate) const override {
    double scale = 1 / count.item<double>();
    if (options_.clip_norm > 0) scale *= clip(sums, scale);
    const double t = static_cast<double>(steps);
    for (size_t i = 0; i < parameters.size(); ++i) {
      Parameter& p = parameters[i];
      const Tensor sum = sums[i].contiguous();  // the gradient of a weight can come transposed
      AT_DISPATCH_FLOATING_TYPES(p.value.scalar_type(), "adam", [&] {
        const Coefficients<scalar_t> c{static_cast<scalar_t>(scale),
                                       static_cast<scalar_t>(options_.beta1),
                                       static_cast<scalar_t>(options_.beta2),
                                       static_cast<scalar_t>(learning_rate / (1 - std::pow(options_.beta1, t))),
                                       static_cast<scalar_t>(1 / std::sqrt(1 - std::pow(options_.beta2, t))),
                                       static_cast<scalar_t>(options_.epsilon)};
        const int64_t grain = 65536;
        scalar_t *value = p.value.data_ptr<scalar_t>(), *first = p.slots.at("first").data_ptr<scalar_t>(),
                 *second = p.slots.at("second").data_ptr<scalar_t>();
        const scalar_t* gradient = sum.data_ptr<scalar_t>();
        at::parallel_for(0, p.value.numel(), grain, [&](int64_t begin, int64_t end) {
          adam_pass(value + begin, gradient + begin, first + begin, second + begin, end - begin, c);
        });
      });
    }
  }

 private:
  /// What the gradient is multiplied by so that its norm is at most clip_norm.
  double clip(const std::vector<Tensor>& sums, double scale) const {
    double square = 0;
    for (const Tensor& sum : sums) square += sum.pow(2).sum().item<double>();
    const double norm = std::sqrt(square) * scale;
    return norm > options_.clip_norm ? options_.clip_norm / norm : 1.0;
  }

  AdamOptions options_;
  std::shared_ptr<const Schedule> learning_rate_;
};

}  // namespace

Choice default_optimizer() { return {"optimizer", "adam", nullptr}; }

void register_adam(Registry& registry) {
  registry.add<Optimizer, AdamOptions>("adam", "adaptive moments (Kingma and Ba 2015), one fused pass",
                                       [](const AdamOptions& options, const Optimizer::Context& context) {
                                         return std::make_shared<Adam>(options, context);
                                       });
}

}  // namespace vem
