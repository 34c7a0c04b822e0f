// Every schedule at known points.
#include <gtest/gtest.h>

#include "vem/core/config.h"
#include "vem/infer/schedule.h"
#include "vem/models/registry.h"

namespace vem {
namespace {

double value(const std::string& toml, double progress, int64_t iteration = 0) {
  struct Holder final : Options {
    Choice schedule = constant_schedule(7);
    void visit(OptionVisitor& v) override { v("schedule", schedule, "it"); }
  } holder;
  const Registry registry = builtin_registry();
  Config::parse("schedule = " + toml, "test").read(holder, registry);
  Step step;
  step.progress = progress;
  step.num_epochs = 20;
  step.iteration = iteration;
  return registry.create<Schedule>(holder.schedule, {})->at(step);
}

TEST(Schedules, KnownPoints) {
  EXPECT_EQ(value("3", 5), 3);
  const std::string linear = "{kind = \"linear\", from = 0, to = 2, epochs = 4, delay = 1}";
  EXPECT_EQ(value(linear, 0.5), 0);
  EXPECT_EQ(value(linear, 3), 1);
  EXPECT_EQ(value(linear, 30), 2);
  const std::string cosine = "{kind = \"cosine\", from = 1.0, to = 0.0, epochs = 0}";  // the whole run: 20 epochs
  EXPECT_EQ(value(cosine, 0), 1);
  EXPECT_NEAR(value(cosine, 10), 0.5, 1e-15);
  EXPECT_NEAR(value(cosine, 5), 0.5 + std::sqrt(0.125), 1e-15);
  EXPECT_NEAR(value(cosine, 20), 0, 1e-15);
  const std::string steps = "{kind = \"steps\", start = 1.0, factor = 0.5, every = 2}";
  EXPECT_EQ(value(steps, 1.99), 1);
  EXPECT_EQ(value(steps, 4), 0.25);
  EXPECT_NEAR(value("{kind = \"exponential\", start = 2.0, factor = 0.25}", 0.5), 1, 1e-15);
  EXPECT_NEAR(value("{kind = \"power\", exponent = 1.0, delay = 10}", 0, 30), 1 / 40., 1e-15);
  EXPECT_EQ(value("{kind = \"power\", exponent = 0.7, delay = 0}", 0, 0), 1);  // never above one
}

}  // namespace
}  // namespace vem
