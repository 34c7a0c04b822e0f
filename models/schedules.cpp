// The schedules: numbers as functions of training progress. Epochs are counted with the fraction of the current one.
#include "vem/infer/schedule.h"

namespace vem {
namespace {

struct ConstantOptions final : Options {
  double value = 1;
  void visit(OptionVisitor& v) override { v("value", value, {}, "the number itself"); }
};

/// From one value to another within some epochs, then constant: the options of `linear` and `cosine`.
struct RampOptions final : Options {
  double from = 0, to = 1, epochs = 10, delay = 0;
  void visit(OptionVisitor& v) override {
    v("from", from, {}, "value at the start");
    v("to", to, {}, "value at the end and after");
    v("epochs", epochs, at_least(0), "length of the ramp in epochs; 0: until the run ends");
    v("delay", delay, at_least(0), "epochs at the first value before the ramp begins");
  }
  /// Share of the ramp that is done, in [0, 1].
  double done(const Step& step) const {
    const double length = epochs > 0 ? epochs : step.num_epochs - delay;
    return length > 0 ? std::min(1.0, std::max(0.0, (step.progress - delay) / length)) : 1.0;
  }
};

struct StepsOptions final : Options {
  double start = 1e-3, factor = 0.1, every = 10;
  void visit(OptionVisitor& v) override {
    v("start", start, {}, "value at the start");
    v("factor", factor, positive(), "what the value is multiplied by each time");
    v("every", every, positive(), "epochs between two changes");
  }
};

struct ExponentialOptions final : Options {
  double start = 1e-3, factor = 0.95;
  void visit(OptionVisitor& v) override {
    v("start", start, {}, "value at the start");
    v("factor", factor, positive(), "what the value is multiplied by over one epoch, continuously");
  }
};

struct PowerOptions final : Options {
  double exponent = 0.7, delay = 1;
  void visit(OptionVisitor& v) override {
    v("exponent", exponent, {0.5, 1, true}, "kappa, the forgetting rate; above 1/2 for convergence");
    v("delay", delay, at_least(0), "tau, which slows the first updates");
  }
};

/// A schedule that is a function of its options and the step.
template <class OptionsT>
class FunctionSchedule final : public Schedule {
 public:
  using Function = double (*)(const OptionsT&, const Step&);
  FunctionSchedule(const OptionsT& options, Function function) : options_(options), function_(function) {}
  double at(const Step& step) const override { return function_(options_, step); }

 private:
  OptionsT options_;
  Function function_;
};

template <class OptionsT>
void add(Registry& registry, const char* name, const char* summary, double (*function)(const OptionsT&, const Step&)) {
  registry.add<Schedule, OptionsT>(name, summary, [function](const OptionsT& options, const Schedule::Context&) {
    return std::make_shared<FunctionSchedule<OptionsT>>(options, function);
  });
}

}  // namespace

void register_schedules(Registry& registry) {
  add<ConstantOptions>(registry, "constant", "one number; a bare number in TOML is short for it",
                       [](const ConstantOptions& o, const Step&) { return o.value; });
  add<RampOptions>(registry, "linear", "a straight line between two values: warm-up and annealing",
                   [](const RampOptions& o, const Step& s) { return o.from + (o.to - o.from) * o.done(s); });
  add<RampOptions>(registry, "cosine", "half a cosine wave between two values (Loshchilov and Hutter 2017)",
                   [](const RampOptions& o, const Step& s) {
                     return o.to + (o.from - o.to) * 0.5 * (1 + std::cos(M_PI * o.done(s)));
                   });
  add<StepsOptions>(registry, "steps", "multiplied by a factor every so many epochs",
                    [](const StepsOptions& o, const Step& s) {
                      return o.start * std::pow(o.factor, std::floor(s.progress / o.every));
                    });
  add<ExponentialOptions>(
      registry, "exponential", "multiplied by a factor each epoch, continuously",
      [](const ExponentialOptions& o, const Step& s) { return o.start * std::pow(o.factor, s.progress); });
  add<PowerOptions>(registry, "power", "(t + delay)^-exponent over updates t from 0 (Hoffman et al. 2013, eq. 26)",
                    [](const PowerOptions& o, const Step& s) {
                      const double t = static_cast<double>(s.iteration) + o.delay;
                      return t > 1 ? std::pow(t, -o.exponent) : 1.0;
                    });
}

Choice constant_schedule(double value) {
  const auto options = std::make_shared<ConstantOptions>();
  options->value = value;
  return {"schedule", "constant", options};
}

}  // namespace vem
