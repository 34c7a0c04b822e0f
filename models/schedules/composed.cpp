// Schedules that are made of schedules, and so stand in one line of TOML as tables within a table.
#include "vem/infer/schedule.h"

namespace vem {
namespace {

struct SequenceScheduleOptions final : Options {
  Choice first = constant_schedule(0), then = constant_schedule(1);
  double until = 10;
  void visit(OptionVisitor& v) override {
    v("first", first, "the schedule at first: a warm-up");
    v("until", until, at_least(0), "epochs that it lasts");
    v("then", then, "the one after it, whose epochs and bounds count from there");
  }
};

class Sequence final : public Schedule {
 public:
  Sequence(const SequenceScheduleOptions& options, const Context& context)
      : first_(context.registry.create<Schedule>(options.first, context)),
        then_(context.registry.create<Schedule>(options.then, context)),
        until_(options.until) {}
  double at(const Step& step) const override {
    if (step.progress < until_) return first_->at(step);
    Step later = step;
    later.progress -= until_;
    later.num_epochs -= until_;
    if (step.bounds.defined()) later.bounds = step.bounds.slice(0, static_cast<int64_t>(std::ceil(until_)));
    return then_->at(later);
  }

 private:
  std::shared_ptr<const Schedule> first_, then_;
  double until_;
};

struct ProductScheduleOptions final : Options {
  Choice first = constant_schedule(1), second = constant_schedule(1);
  void visit(OptionVisitor& v) override {
    v("first", first, "a schedule");
    v("second", second, "what it is multiplied by");
  }
};

class Product final : public Schedule {
 public:
  Product(const ProductScheduleOptions& options, const Context& context)
      : first_(context.registry.create<Schedule>(options.first, context)),
        second_(context.registry.create<Schedule>(options.second, context)) {}
  double at(const Step& step) const override { return first_->at(step) * second_->at(step); }

 private:
  std::shared_ptr<const Schedule> first_, second_;
};

template <class ScheduleT, class OptionsT>
void add_composed(Registry& registry, const char* name, const char* summary) {
  registry.add<Schedule, OptionsT>(name, summary, [](const OptionsT& options, const Schedule::Context& context) {
    return std::make_shared<ScheduleT>(options, context);
  });
}

}  // namespace

void register_composed_schedules(Registry& registry) {
  add_composed<Sequence, SequenceScheduleOptions>(registry, "sequence",
                                                  "one schedule, then another: a warm-up before a decay");
  add_composed<Product, ProductScheduleOptions>(registry, "product", "two schedules multiplied");
}

}  // namespace vem
