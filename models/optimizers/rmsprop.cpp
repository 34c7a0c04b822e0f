// RMSprop (Tieleman and Hinton 2012, lecture 6e), with the mean gradient taken off the mean square where it is centred
// (Graves 2013) and with momentum. The arithmetic is that of torch.optim.RMSprop: epsilon is added to
// the root.
#include "elements.h"

namespace vem {
namespace {

struct RmsPropOptions final : OptimizerOptions {
  RmsPropOptions() { learning_rate = constant_schedule(1e-3); }
  double decay = 0.99, epsilon = 1e-8, momentum = 0;
  bool centered = false;
  void visit(OptionVisitor& v) override {
    OptimizerOptions::visit(v);
    v("decay", decay, {0, 0.999999}, "of the mean of squared gradients");
    v("epsilon", epsilon, positive(), "added to the root of the mean square");
    v("momentum", momentum, {0, 0.999999}, "share of the last step in the next; 0: none");
    v("centered", centered, "divide by the standard deviation of the gradient instead of its root mean square");
  }
};

template <class T, bool kCentered, bool kMomentum>
struct RmsPropRule {
  T *square, *mean, *last;  // those that are not used are null
  T decay, rate, epsilon, momentum;
  VEM_INLINE T operator()(int64_t i, T g) const {
    T spread = square[i] = decay * square[i] + (1 - decay) * g * g;
    if constexpr (kCentered) {
      mean[i] = decay * mean[i] + (1 - decay) * g;
      spread -= mean[i] * mean[i];
    }
    T step = g / (std::sqrt(spread) + epsilon);
    if constexpr (kMomentum) step = last[i] = momentum * last[i] + step;
    return rate * step;
  }
};
template <class T>
using Plain = RmsPropRule<T, false, false>;
template <class T>
using WithMomentum = RmsPropRule<T, false, true>;
template <class T>
using Centered = RmsPropRule<T, true, false>;
template <class T>
using CenteredWithMomentum = RmsPropRule<T, true, true>;
VEM_OPTIMIZER_PASS(Plain)
VEM_OPTIMIZER_PASS(WithMomentum)
VEM_OPTIMIZER_PASS(Centered)
VEM_OPTIMIZER_PASS(CenteredWithMomentum)

class RmsProp final : public Optimizer {
 public:
  RmsProp(const RmsPropOptions& options, const Context& context) : Optimizer(options, context), o_(options) {}

 private:
  std::vector<std::string> moments() const override {
    std::vector<std::string> names{"square"};
    if (o_.centered) names.push_back("mean");
    if (o_.momentum > 0) names.push_back("last");
    return names;
  }

  template <class T, template <class> class Rule>
  void apply_rule(Parameter& p, const Tensor& sums, const Update& u) const {
    const Rule<T> rule{moment<T>(p, "square"),
                       o_.centered ? moment<T>(p, "mean") : nullptr,
                       o_.momentum > 0 ? moment<T>(p, "last") : nullptr,
                       static_cast<T>(o_.decay),
                       static_cast<T>(u.learning_rate),
                       static_cast<T>(o_.epsilon),
                       static_cast<T>(o_.momentum)};
    run(Elements<T>(p, sums, u), rule);
  }

  void apply(Parameter& p, const Tensor& sums, const Update& u) const override {
    AT_DISPATCH_FLOATING_TYPES(p.value.scalar_type(), "rmsprop", [&] {
      using T = scalar_t;
      if (o_.centered && o_.momentum > 0) return apply_rule<T, CenteredWithMomentum>(p, sums, u);
      if (o_.centered) return apply_rule<T, Centered>(p, sums, u);
      if (o_.momentum > 0) return apply_rule<T, WithMomentum>(p, sums, u);
      return apply_rule<T, Plain>(p, sums, u);
    });
  }

  RmsPropOptions o_;
};

}  // namespace

void register_rmsprop(Registry& registry) {
  registry.add<Optimizer, RmsPropOptions>("rmsprop", "steps by the root mean square of the gradient, centred or not",
                                          [](const RmsPropOptions& options, const Optimizer::Context& context) {
                                            return std::make_shared<RmsProp>(options, context);
                                          });
}

}  // namespace vem
