// Every listed schedule: against torch.optim.lr_scheduler over 30 epochs (tests/golden/schedules.py), and against
// formulas written by hand where torch has none. A schedule without a row fails.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "support/amortised.h"
#include "support/places.h"
#include "vem/infer/schedule.h"

namespace vem {
namespace schedules_test {

constexpr int64_t kEpochs = 30;

/// A line of the golden file: a value an epoch.
std::vector<double> golden(const std::string& name) {
  std::ifstream file(tests_folder() + "/golden/schedules.txt");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string word;
    fields >> word;
    if (word != name) continue;
    std::vector<double> values;
    while (fields >> word) values.push_back(std::strtod(word.c_str(), nullptr));
    return values;
  }
  return {};
}

struct ScheduleOptions final : Options {
  Choice schedule{"schedule", "constant", nullptr};
  void visit(OptionVisitor& v) override { v("schedule", schedule, "it"); }
};

std::shared_ptr<Schedule> make(const std::string& toml) {
  ScheduleOptions options;
  Config::parse("schedule = " + toml, "test").read(options, plugins());
  return plugins().create<Schedule>(options.schedule, {plugins()});
}

Step step_at(double progress, int64_t iteration = 0) {
  Step step;
  step.progress = progress;
  step.epoch = static_cast<int64_t>(progress);
  step.num_epochs = kEpochs;
  step.iteration = iteration;
  step.bounds = at::tensor(golden("bounds"), at::kDouble).slice(0, 0, step.epoch);
  return step;
}

double value(const std::string& toml, double progress, int64_t iteration = 0) {
  return make(toml)->at(step_at(progress, iteration));
}

struct Row {
  std::string kind, options;
  std::string golden;                                   ///< name of a line, or
  std::function<double(double, int64_t)> formula = {};  ///< the value at (progress, iteration)
};

std::vector<Row> rows() {
  const auto at_most_1 = [](double x) { return std::min(1.0, x); };
  return {
      {"constant", "value = 0.3", "", [](double, int64_t) { return 0.3; }},
      {"linear", "from = 0.2, to = 0.8, epochs = 8", "linear"},
      {"linear", "from = 0, to = 2, epochs = 4, delay = 1", "",
       [=](double p, int64_t) { return 2 * std::max(0.0, at_most_1((p - 1) / 4)); }},
      {"cosine", "from = 0.5, to = 0.1, epochs = 30", "cosine"},
      {"cosine", "from = 0.5, to = 0.1, epochs = 0", "cosine"},  // until the run ends
      {"steps", "start = 0.3, factor = 0.5, every = 7", "steps"},
      {"steps", "start = 1.0, factor = 0.1, every = 0.1, min = 1e-20", "",  // 0.3 / 0.1 is below 3
       [](double p, int64_t) { return std::max(1e-20, std::pow(0.1, std::round(10 * p))); }},
      {"exponential", "start = 2.0, factor = 0.9", "exponential"},
      {"exponential", "start = 2.0, factor = 0.9, min = 0.5", "",
       [](double p, int64_t) { return std::max(0.5, 2 * std::exp(p * std::log(0.9))); }},
      {"power", "exponent = 1.0, delay = 10", "", [](double, int64_t t) { return 1 / (static_cast<double>(t) + 10); }},
      {"power", "exponent = 0.7, delay = 0", "",  // never above one
       [=](double, int64_t t) { return t == 0 ? 1 : std::exp(-0.7 * std::log(static_cast<double>(t))); }},
      {"plateau", "start = 1.0, factor = 0.5, patience = 2", "plateau"},
      {"plateau", "start = 1.0, factor = 0.1, patience = 1, cooldown = 3, threshold = 1.5, min = 1e-4",
       "plateau_cooldown"},
      {"piecewise", "epochs = [0, 4, 9, 20], values = [1, 0.1, 0.01, 0.001]", "piecewise"},
      {"piecewise", "epochs = [2, 6, 16], values = [1, 3, -2], linear = true", "",
       [=](double p, int64_t) {
         return 1 + 2 * std::max(0.0, at_most_1((p - 2) / 4)) - 5 * std::max(0.0, at_most_1((p - 6) / 10));
       }},
      {"cyclic", "from = 0.1, to = 0.9, period = 10, rise = 0.3", "triangle"},
      {"cyclic", "from = 0.1, to = 0.9, period = 8, decay = 0.5", "halved_triangle"},
      {"cyclic", "from = 0.7, to = 0.05, period = 6, rise = 1.0, cosine = true", "restarts"},
      {"cyclic", "from = 0, to = 1, period = 0, rise = 0.5, hold = 0.5", "",  // one cycle of Fu et al.
       [=](double p, int64_t) { return at_most_1(2 * p / kEpochs); }},
      {"sequence",
       "first = {kind = \"linear\", from = 0.15, to = 0.6, epochs = 5}, until = 5, then = {kind = \"cosine\", from = "
       "0.6, to = 0.01, epochs = 0}",
       "warmup_then_cosine"},
      {"sequence", "first = 2, until = 3.5, then = {kind = \"exponential\", start = 1.0, factor = 0.5}", "",
       [](double p, int64_t) { return p < 3.5 ? 2 : std::exp2(3.5 - p); }},
      {"product", "first = {kind = \"steps\", start = 0.3, factor = 0.5, every = 7}, second = 1", "steps"},
      {"product", "first = {kind = \"linear\", from = 0, to = 1, epochs = 10}, second = {kind = \"linear\", to = 2}",
       "", [=](double p, int64_t) { return 2 * at_most_1(p / 10) * at_most_1(p / 10); }},
  };
}

TEST(Schedules, KnownPoints) {
  for (const Row& row : rows()) {
    const std::string toml = fmt::format("{{kind = \"{}\", {}}}", row.kind, row.options);
    const std::vector<double> wanted = row.golden.empty() ? std::vector<double>() : golden(row.golden);
    ASSERT_EQ(static_cast<int64_t>(wanted.size()), row.golden.empty() ? 0 : kEpochs) << row.golden;
    for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
      // torch multiplies step by step where we take a power: some thirty roundings
      if (row.formula) {
        const double progress = static_cast<double>(epoch) + 0.3;  // between epochs too
        EXPECT_NEAR(value(toml, progress, 3 * epoch), row.formula(progress, 3 * epoch), 1e-14) << toml << epoch;
      } else {
        EXPECT_NEAR(value(toml, static_cast<double>(epoch)), wanted[static_cast<size_t>(epoch)], 1e-14)
            << toml << " in epoch " << epoch;
      }
    }
  }
}

TEST(Schedules, EveryListedOneHasARow) {
  std::set<std::string> tested;
  for (const Row& row : rows()) tested.insert(row.kind);
  for (const Plugin* plugin : plugins().list("schedule"))
    EXPECT_TRUE(tested.count(plugin->name)) << plugin->name << " needs a row in this table";
}

TEST(Schedules, EveryOneIsOneLineOfToml) {
  for (const Row& row : rows()) {
    ScheduleOptions options, again;
    Config::parse(fmt::format("schedule = {{kind = \"{}\", {}}}", row.kind, row.options), "test")
        .read(options, plugins());
    const std::string text = to_toml(options, plugins());
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
    Config::parse(text, "test").read(again, plugins());
    EXPECT_EQ(to_toml(again, plugins()), text);
  }
}

TEST(Schedules, ANumberIsConstant) { EXPECT_EQ(value("3", 5), 3); }

// A warm-up before a plateau: bounds of the warm-up do not count.
TEST(Schedules, APlateauInASequenceCountsFromThere) {
  Step step = step_at(4);
  step.bounds = at::tensor({9., 8., 1., 2., 2., 2.}, at::kDouble);
  step.progress = 6;
  const std::string plateau = "{kind = \"plateau\", start = 1.0, factor = 0.5, patience = 1}";
  EXPECT_EQ(make(plateau)->at(step), 0.25);  // 9 is never reached again
  EXPECT_EQ(make("{kind = \"sequence\", first = 0, until = 2, then = " + plateau + "}")->at(step), 0.5);
}

TEST(Schedules, RefuseInClearWords) {
  const auto words = [](const std::string& toml) {
    try {
      make(toml);
    } catch (const ConfigError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(words("{kind = \"piecewise\", epochs = [0, 1], values = [1]}"),
            "piecewise: as many values as epochs are expected, got 2 epochs and 1 values");
  EXPECT_EQ(words("{kind = \"piecewise\", epochs = [3, 3], values = [1, 2]}"),
            "piecewise: epochs must rise, got 3 after 3");
  EXPECT_EQ(words("{kind = \"cyclic\", rise = 0.75, hold = 0.5}"),
            "cyclic: rise + hold must be at most 1, got 0.75 + 0.5");
  EXPECT_EQ(words("{kind = \"plateau\", factor = 1.5}"), "plateau: factor must be below 1, got 1.5");
  EXPECT_EQ(words("{kind = \"plato\"}"),
            "test:1: schedule: unknown schedule 'plato'; did you mean 'plateau'? there are: constant, linear, cosine, "
            "steps, exponential, plateau, piecewise, cyclic, power, sequence, product");
}

}  // namespace schedules_test
}  // namespace vem
