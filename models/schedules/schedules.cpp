// The schedules: numbers as functions of training progress. Epochs are counted with the fraction of the current one.
#include "vem/infer/schedule.h"

#include "vem/core/error.h"
#include "vem/core/infinity.h"

namespace vem {
namespace {

struct ConstantOptions final : Options {
  double value = 1;
  void visit(OptionVisitor& v) override { v("value", value, {}, "the number itself"); }
};

/// Multiples of a length that are over; a rounding error below a multiple counts as the multiple.
double whole(double multiples) { return std::floor(multiples + 1e-9); }

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

/// What `steps`, `exponential` and `plateau` share: a value that factors make smaller.
struct DecayOptions : Options {
  double start = 1e-3, factor = 0.1, min = 0;
  void visit(OptionVisitor& v) override {
    v("start", start, {}, "value at the start");
    v("factor", factor, positive(), "what the value is multiplied by each time");
    v("min", min, {}, "the value falls no lower than this");
  }
  double after(double times) const { return std::max(min, start * std::pow(factor, times)); }
};

struct StepsOptions final : DecayOptions {
  double every = 10;
  void visit(OptionVisitor& v) override {
    DecayOptions::visit(v);
    v("every", every, positive(), "epochs between two changes");
  }
};

struct ExponentialDecayOptions final : DecayOptions {
  ExponentialDecayOptions() { factor = 0.95; }
};

struct PlateauOptions final : DecayOptions {
  int64_t patience = 10, cooldown = 0;
  double threshold = 0;
  void visit(OptionVisitor& v) override {
    DecayOptions::visit(v);
    v("patience", patience, at_least(0), "epochs in a row without a better bound that are let pass");
    v("cooldown", cooldown, at_least(0), "epochs after a change that do not count");
    v("threshold", threshold, at_least(0), "nats per item by which a better bound must beat the best");
  }
};

struct PiecewiseOptions final : Options {
  bool linear = false;
  std::vector<double> epochs{0, 10}, values{1e-3, 1e-4};
  void visit(OptionVisitor& v) override {
    v("epochs", epochs, at_least(0), "where the pieces begin, rising; before the first its value holds already");
    v("values", values, {}, "as many values");
    v("linear", linear, "a straight line from each value to the next instead of a jump");
  }
};

struct CyclicOptions final : Options {
  double from = 0, to = 1, period = 10, rise = 0.5, hold = 0, decay = 1;
  bool cosine = false;
  void visit(OptionVisitor& v) override {
    v("from", from, {}, "value at the start of a cycle");
    v("to", to, {}, "value at its height");
    v("period", period, at_least(0), "length of a cycle in epochs; 0: until the run ends");
    v("rise", rise, {0, 1}, "share of the cycle in which the value goes from the one to the other");
    v("hold", hold, {0, 1}, "share in which it stays there; it goes back in the rest");
    v("decay", decay, {0, 1, true}, "what the distance between the two is multiplied by each cycle");
    v("cosine", cosine, "go by half a cosine wave instead of a straight line");
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

double plateau(const PlateauOptions& o, const Step& step) {
  double best = -kInfinity;
  int64_t bad = 0, cooling = 0, reductions = 0;
  const int64_t epochs = step.bounds.defined() ? step.bounds.numel() : 0;
  for (int64_t i = 0; i < epochs; ++i) {
    const double bound = step.bounds.data_ptr<double>()[i];
    const bool better = bound > best + o.threshold;
    if (better) best = bound;
    bad = better || cooling > 0 ? 0 : bad + 1;
    cooling = std::max<int64_t>(0, cooling - 1);
    if (bad <= o.patience) continue;
    ++reductions;
    cooling = o.cooldown;
    bad = 0;
  }
  return o.after(static_cast<double>(reductions));
}

double piecewise(const PiecewiseOptions& o, const Step& step) {
  const auto next = std::upper_bound(o.epochs.begin(), o.epochs.end(), step.progress);
  const auto i = static_cast<size_t>(next - o.epochs.begin());  // pieces that have begun
  if (i == 0) return o.values.front();
  if (!o.linear || i == o.values.size()) return o.values[i - 1];
  const double share = (step.progress - o.epochs[i - 1]) / (o.epochs[i] - o.epochs[i - 1]);
  return o.values[i - 1] + share * (o.values[i] - o.values[i - 1]);
}

double cyclic(const CyclicOptions& o, const Step& step) {
  const double period = o.period > 0 ? o.period : std::max(step.num_epochs, 1e-9);
  const double cycles = whole(step.progress / period), x = std::max(0.0, step.progress / period - cycles);
  double height = x < o.rise ? x / o.rise : x < o.rise + o.hold ? 1 : (1 - x) / (1 - o.rise - o.hold);
  if (o.cosine) height = 0.5 * (1 - std::cos(M_PI * height));
  return o.from + (o.to - o.from) * std::pow(o.decay, cycles) * height;
}

// ---- checks between options ----

template <class OptionsT>
void check_schedule(const OptionsT&) {}

void check_schedule(const PiecewiseOptions& o) {
  if (o.epochs.empty() || o.epochs.size() != o.values.size())
    fail<ConfigError>("piecewise: as many values as epochs are expected, got {} epochs and {} values", o.epochs.size(),
                      o.values.size());
  for (size_t i = 1; i < o.epochs.size(); ++i)
    if (!(o.epochs[i] > o.epochs[i - 1]))
      fail<ConfigError>("piecewise: epochs must rise, got {} after {}", o.epochs[i], o.epochs[i - 1]);
}

void check_schedule(const CyclicOptions& o) {
  if (o.rise + o.hold > 1) fail<ConfigError>("cyclic: rise + hold must be at most 1, got {} + {}", o.rise, o.hold);
}

void check_schedule(const PlateauOptions& o) {
  if (o.factor >= 1) fail<ConfigError>("plateau: factor must be below 1, got {}", o.factor);
}

template <class OptionsT>
void add_schedule(Registry& registry, const char* name, const char* summary,
                  double (*function)(const OptionsT&, const Step&)) {
  registry.add<Schedule, OptionsT>(name, summary, [function](const OptionsT& options, const Schedule::Context&) {
    check_schedule(options);
    return std::make_shared<FunctionSchedule<OptionsT>>(options, function);
  });
}

}  // namespace

void register_schedules(Registry& registry) {
  add_schedule<ConstantOptions>(registry, "constant", "one number; a bare number in TOML is short for it",
                                [](const ConstantOptions& o, const Step&) { return o.value; });
  add_schedule<RampOptions>(registry, "linear", "a straight line between two values: warm-up and annealing",
                            [](const RampOptions& o, const Step& s) { return o.from + (o.to - o.from) * o.done(s); });
  add_schedule<RampOptions>(registry, "cosine", "half a cosine wave between two values (Loshchilov and Hutter 2017)",
                            [](const RampOptions& o, const Step& s) {
                              return o.to + (o.from - o.to) * 0.5 * (1 + std::cos(M_PI * o.done(s)));
                            });
  add_schedule<StepsOptions>(registry, "steps", "multiplied by a factor every so many epochs",
                             [](const StepsOptions& o, const Step& s) { return o.after(whole(s.progress / o.every)); });
  add_schedule<ExponentialDecayOptions>(
      registry, "exponential", "multiplied by a factor over each epoch, continuously",
      [](const ExponentialDecayOptions& o, const Step& s) { return o.after(s.progress); });
  add_schedule<PlateauOptions>(
      registry, "plateau",
      "multiplied by a factor when the validation (else training) bound has not risen for some epochs", plateau);
  add_schedule<PiecewiseOptions>(registry, "piecewise", "a table of values, with jumps or straight lines between them",
                                 piecewise);
  add_schedule<CyclicOptions>(
      registry, "cyclic", "up, hold and down again: cyclic rates (Smith 2017), KL annealing (Fu et al. 2019)", cyclic);
  add_schedule<PowerOptions>(registry, "power",
                             "(t + delay)^-exponent over updates t from 0 (Hoffman et al. 2013, eq. 26)",
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
