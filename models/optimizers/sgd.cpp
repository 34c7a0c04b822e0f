// Stochastic gradient steps with momentum (Polyak 1964), Nesterov's too (Sutskever et al. 2013). The arithmetic is that
// of torch.optim.SGD: the learning rate multiplies the velocity, and the first gradient enters it undamped.
#include "elements.h"

namespace vem {
namespace {

struct SgdOptions final : OptimizerOptions {
  SgdOptions() { learning_rate = constant_schedule(1e-2); }
  double momentum = 0, dampening = 0;
  bool nesterov = false;
  void visit(OptionVisitor& v) override {
    OptimizerOptions::visit(v);
    v("momentum", momentum, {0, 0.999999}, "share of the velocity that is kept; 0: no velocity");
    v.when(momentum > 0, "momentum is positive", [&] {
      v("nesterov", nesterov, "look ahead: step by the gradient plus momentum times the velocity");
      v.when(!nesterov, "nesterov is false", [&] {
        v("dampening", dampening, {0, 1}, "share of a gradient that does not enter the velocity");
      });
    });
  }
};

template <class T>
struct PlainRule {
  T rate;
  VEM_INLINE T operator()(int64_t, T g) const { return rate * g; }
};
template <class T>
struct MomentumRule {
  T* velocity;
  T momentum, enters, by_gradient, by_velocity;
  VEM_INLINE T operator()(int64_t i, T g) const {
    const T v = velocity[i] = momentum * velocity[i] + enters * g;
    return by_gradient * g + by_velocity * v;
  }
};
VEM_OPTIMIZER_PASS(PlainRule)
VEM_OPTIMIZER_PASS(MomentumRule)

class Sgd final : public Optimizer {
 public:
  Sgd(const SgdOptions& options, const Context& context) : Optimizer(options, context), o_(options) {}

 private:
  std::vector<std::string> moments() const override {
    return o_.momentum > 0 ? std::vector<std::string>{"velocity"} : std::vector<std::string>{};
  }

  void apply(Parameter& p, const Tensor& sums, const Update& u) const override {
    AT_DISPATCH_FLOATING_TYPES(p.value.scalar_type(), "sgd", [&] {
      using T = scalar_t;
      const Elements<T> elements(p, sums, u);
      if (o_.momentum == 0) return run(elements, PlainRule<T>{static_cast<T>(u.learning_rate)});
      const double enters = u.steps == 1 ? 1 : 1 - o_.dampening;
      const MomentumRule<T> rule{moment<T>(p, "velocity"), static_cast<T>(o_.momentum), static_cast<T>(enters),
                                 static_cast<T>(o_.nesterov ? u.learning_rate : 0),
                                 static_cast<T>(o_.nesterov ? u.learning_rate * o_.momentum : u.learning_rate)};
      run(elements, rule);
    });
  }

  SgdOptions o_;
};

}  // namespace

void register_sgd(Registry& registry) {
  registry.add<Optimizer, SgdOptions>("sgd", "plain gradient steps, with momentum or Nesterov's",
                                      [](const SgdOptions& options, const Optimizer::Context& context) {
                                        return std::make_shared<Sgd>(options, context);
                                      });
}

}  // namespace vem
