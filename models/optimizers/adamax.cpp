// Adamax (Kingma and Ba 2015, algorithm 2): the largest gradient seen, forgotten slowly, in the place of Adam's root
// mean square. The arithmetic is that of torch.optim.Adamax, which adds epsilon to each new gradient's size.
#include "elements.h"

namespace vem {
namespace {

struct AdamaxOptions final : OptimizerOptions {
  AdamaxOptions() { learning_rate = constant_schedule(2e-3); }
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  void visit(OptionVisitor& v) override {
    OptimizerOptions::visit(v);
    v("beta1", beta1, {0, 0.999999}, "decay of the mean of gradients");
    v("beta2", beta2, {0, 0.999999}, "decay of the largest gradient");
    v("epsilon", epsilon, positive(), "added to the size of a gradient");
  }
};

template <class T>
struct AdamaxRule {
  T *first, *largest;
  T beta1, beta2, step, epsilon;
  VEM_INLINE T operator()(int64_t i, T g) const {
    const T m = beta1 * first[i] + (1 - beta1) * g, u = std::max(beta2 * largest[i], std::abs(g) + epsilon);
    first[i] = m;
    largest[i] = u;
    return step * m / u;
  }
};
VEM_OPTIMIZER_PASS(AdamaxRule)

class Adamax final : public Optimizer {
 public:
  Adamax(const AdamaxOptions& options, const Context& context) : Optimizer(options, context), o_(options) {}

 private:
  std::vector<std::string> moments() const override { return {"first", "largest"}; }

  void apply(Parameter& p, const Tensor& sums, const Update& u) const override {
    AT_DISPATCH_FLOATING_TYPES(p.value.scalar_type(), "adamax", [&] {
      using T = scalar_t;
      const double correction = 1 - std::pow(o_.beta1, static_cast<double>(u.steps));
      const AdamaxRule<T> rule{moment<T>(p, "first"),
                               moment<T>(p, "largest"),
                               static_cast<T>(o_.beta1),
                               static_cast<T>(o_.beta2),
                               static_cast<T>(u.learning_rate / correction),
                               static_cast<T>(o_.epsilon)};
      run(Elements<T>(p, sums, u), rule);
    });
  }

  AdamaxOptions o_;
};

}  // namespace

void register_adamax(Registry& registry) {
  registry.add<Optimizer, AdamaxOptions>("adamax", "Adam by the largest gradient (Kingma and Ba 2015)",
                                         [](const AdamaxOptions& options, const Optimizer::Context& context) {
                                           return std::make_shared<Adamax>(options, context);
                                         });
}

}  // namespace vem
