// Adam (Kingma and Ba 2015, algorithm 1). The arithmetic is that of torch.optim.Adam; tests compare a trajectory.
#include "elements.h"

namespace vem {
namespace {

struct AdamOptions final : OptimizerOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  void visit(OptionVisitor& v) override {
    OptimizerOptions::visit(v);
    v("beta1", beta1, {0, 0.999999}, "decay of the mean of gradients");
    v("beta2", beta2, {0, 0.999999}, "decay of the mean of squared gradients");
    v("epsilon", epsilon, positive(), "added to the root of the mean square");
  }
};

template <class T>
struct AdamRule {
  T *first, *second;
  T beta1, beta2, step, root, epsilon;  // root = 1 / sqrt(1 - beta2^t)
  VEM_INLINE T operator()(int64_t i, T g) const {
    const T m = beta1 * first[i] + (1 - beta1) * g, v = beta2 * second[i] + (1 - beta2) * g * g;
    first[i] = m;
    second[i] = v;
    return step * m / (std::sqrt(v) * root + epsilon);
  }
};
VEM_OPTIMIZER_PASS(AdamRule)

class Adam final : public Optimizer {
 public:
  Adam(const AdamOptions& options, const Context& context) : Optimizer(options, context), o_(options) {}

 private:
  std::vector<std::string> moments() const override { return {"first", "second"}; }

  void apply(Parameter& p, const Tensor& sums, const Update& u) const override {
    AT_DISPATCH_FLOATING_TYPES(p.value.scalar_type(), "adam", [&] {
      using T = scalar_t;
      const auto t = static_cast<double>(u.steps);
      const AdamRule<T> rule{moment<T>(p, "first"),
                             moment<T>(p, "second"),
                             static_cast<T>(o_.beta1),
                             static_cast<T>(o_.beta2),
                             static_cast<T>(u.learning_rate / (1 - std::pow(o_.beta1, t))),
                             static_cast<T>(1 / std::sqrt(1 - std::pow(o_.beta2, t))),
                             static_cast<T>(o_.epsilon)};
      run(Elements<T>(p, sums, u), rule);
    });
  }

  AdamOptions o_;
};

}  // namespace

Choice default_optimizer() { return {"optimizer", "adam", nullptr}; }

void register_adam(Registry& registry) {
  registry.add<Optimizer, AdamOptions>("adam", "adaptive moments (Kingma and Ba 2015)",
                                       [](const AdamOptions& options, const Optimizer::Context& context) {
                                         return std::make_shared<Adam>(options, context);
                                       });
}

}  // namespace vem
