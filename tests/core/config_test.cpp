// Configuration: what is read, what is refused and in which words, and that what is written reads back.
#include "vem/core/config.h"

#include <gtest/gtest.h>

namespace vem {
namespace {

struct FlatOptions final : Options {
  double value = 1;
  void visit(OptionVisitor& v) override { v("value", value, {}, "the number"); }
};
struct RampOptions final : Options {
  double from = 0, to = 1;
  void visit(OptionVisitor& v) override {
    v("from", from, {}, "start");
    v("to", to, at_least(0), "end");
  }
};
struct MixedOptions final : Options {
  int64_t num_components = 10;
  void visit(OptionVisitor& v) override { v("num_components", num_components, {1, 4096}, "components"); }
};
struct PlainOptions final : Options {
  void visit(OptionVisitor&) override {}
};
struct Thing {
  static constexpr const char* kKind = "prior";
  struct Context {};
};
struct Curve {
  static constexpr const char* kKind = "schedule";
  struct Context {};
};

enum class Mode { plain, careful };

struct RootOptions final : Options {
  int64_t size = 3;
  double rate = 0.5;
  bool flag = false;
  std::string name = "it";
  std::vector<int64_t> widths{4, 4};
  Mode mode = Mode::plain;
  int64_t inner = 5;
  Choice prior{"prior", "standard", nullptr};
  Choice weight{"schedule", "constant", nullptr};
  void visit(OptionVisitor& v) override {
    v("size", size, {1, 100}, "how many");
    v("rate", rate, positive(), "how fast");
    v("flag", flag, "whether");
    v("name", name, "who");
    v("widths", widths, at_least(1), "layers");
    v("mode", mode, {{"plain", Mode::plain}, {"careful", Mode::careful}}, "how");
    v.when(mode == Mode::careful, "mode is careful", [&] { v("inner", inner, at_least(1), "inner steps"); });
    v("prior", prior, "the prior");
    v("weight", weight, "a schedule");
  }
};

Registry registry() {
  Registry r;
  const auto none = [](const auto&, const auto&) { return nullptr; };
  r.add<Thing, PlainOptions>("standard", "standard", none);
  r.add<Thing, MixedOptions>("mixture", "mixture", none);
  r.add<Curve, FlatOptions>("constant", "constant", none);
  r.add<Curve, RampOptions>("linear", "line", none);
  r.add_preset("prior", "pair", "mixture", "prior.num_components = 2\nprior.nothing = 9", "two of them");
  return r;
}

RootOptions read(const std::string& text, const std::vector<std::string>& sets = {}) {
  Config config = Config::parse(text, "a.toml");
  for (const auto& s : sets) config.set(s);
  RootOptions options;
  config.read(options, registry());
  return options;
}

std::string error_of(const std::string& text, const std::vector<std::string>& sets = {}) {
  try {
    read(text, sets);
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no error";
}

const MixedOptions& mixed(const RootOptions& o) { return dynamic_cast<const MixedOptions&>(*o.prior.options); }

TEST(Config, ReadsEveryType) {
  const RootOptions o =
      read("size = 7\nrate = 2\nflag = true\nname = \"x\"\nwidths = [1, 2, 3]\nmode = \"careful\"\ninner = 9\n");
  EXPECT_EQ(o.size, 7);
  EXPECT_EQ(o.rate, 2.0);
  EXPECT_TRUE(o.flag);
  EXPECT_EQ(o.name, "x");
  EXPECT_EQ(o.widths, (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(o.mode, Mode::careful);
  EXPECT_EQ(o.inner, 9);
}

TEST(Config, APluginIsChosenByWordOrTable) {
  EXPECT_EQ(mixed(read("prior = \"mixture\"")).num_components, 10);
  EXPECT_EQ(mixed(read("[prior]\nkind = \"mixture\"\nnum_components = 4")).num_components, 4);
  EXPECT_EQ(mixed(read("", {"prior=mixture", "prior.num_components=5"})).num_components, 5);
  EXPECT_EQ(mixed(read("prior = \"standard\"", {"prior=mixture"})).num_components, 10);
  // another choice leaves the options of the first one behind
  EXPECT_EQ(read("[prior]\nkind = \"mixture\"\nnum_components = 4", {"prior=standard"}).prior.name, "standard");
}

TEST(Config, APresetIsItsBaseWithOtherDefaults) {
  const RootOptions o = read("prior = \"pair\"");
  EXPECT_EQ(o.prior.name, "mixture");
  EXPECT_EQ(mixed(o).num_components, 2);
  EXPECT_EQ(mixed(read("[prior]\nkind = \"pair\"\nnum_components = 6")).num_components,
            6);  // its other default has no effect here, and that is fine
}

TEST(Config, ANumberIsAConstantSchedule) {
  EXPECT_EQ(dynamic_cast<const FlatOptions&>(*read("weight = 4").weight.options).value, 4.0);
  EXPECT_EQ(dynamic_cast<const FlatOptions&>(*read("", {"weight=0.25"}).weight.options).value, 0.25);
  const RootOptions o = read("", {"weight={kind=\"linear\", from=1, to=2}"});
  EXPECT_EQ(dynamic_cast<const RampOptions&>(*o.weight.options).to, 2.0);
}

TEST(Config, RefusesInClearWords) {
  EXPECT_EQ(error_of("\nsize = 0"), "a.toml:2: size must be in [1, 100], got 0");
  EXPECT_EQ(error_of("rate = 0"), "a.toml:1: rate must be > 0, got 0.0");
  EXPECT_EQ(error_of("rate = nan"), "a.toml:1: rate must be > 0, got nan");
  EXPECT_EQ(error_of("size = \"3\""), "a.toml:1: size must be a whole number, got \"3\"");
  EXPECT_EQ(error_of("size = 3.5"), "a.toml:1: size must be a whole number, got 3.5");
  EXPECT_EQ(error_of("size = [3]"), "a.toml:1: size must be a whole number, got [3]");
  EXPECT_EQ(error_of("flag = 1"), "a.toml:1: flag must be true or false, got 1");
  EXPECT_EQ(error_of("widths = [1, 0]"), "a.toml:1: widths must be >= 1, got 0");
  EXPECT_EQ(error_of("mode = \"carefull\""),
            "a.toml:1: mode must be one of plain, careful, got \"carefull\"; did you mean \"careful\"?");
  EXPECT_EQ(error_of("sise = 3"), "a.toml:1: unknown key sise; did you mean size?");
  EXPECT_EQ(error_of("inner = 3"), "a.toml:1: inner has no effect in this run; it takes effect when mode is careful");
  EXPECT_EQ(error_of("[prior]\nnum_components = 3"),
            "a.toml:2: prior.num_components has no effect in this run; it takes effect when prior is \"mixture\"");
  EXPECT_EQ(error_of("prior = \"mixtur\""),
            "a.toml:1: prior: unknown prior 'mixtur'; did you mean 'mixture'? there are: standard, mixture, pair");
  EXPECT_EQ(error_of("prior = 3"), "a.toml:1: prior must be the name of a prior, got 3");
  EXPECT_EQ(error_of("", {"size"}), "--set size: key=value is expected, for example --set train.epochs=20");
  EXPECT_EQ(error_of("", {"size=0"}), "--set: size must be in [1, 100], got 0");
  EXPECT_EQ(error_of("", {"widths=[1, 2"}).rfind("--set widths=[1, 2: Error while parsing array", 0), 0u);
  EXPECT_EQ(error_of("size = "), "a.toml:1: Error while parsing key-value pair: encountered end-of-file");
}

TEST(Config, WhatIsWrittenReadsBackTheSame) {
  RootOptions first = read(
      "size = 7\nname = \"a \\\"b\\\"\"\nrate = 0.1\n[prior]\nkind = \"pair\"\n[weight]\nkind = \"linear\"\nto = 3\n");
  const std::string text = to_toml(first, registry());
  EXPECT_EQ(text,
            "size = 7\nrate = 0.1\nflag = false\nname = \"a \\\"b\\\"\"\nwidths = [4, 4]\nmode = \"plain\"\n"
            "weight = {kind = \"linear\", from = 0.0, to = 3.0}\n\n[prior]\nkind = \"mixture\"\nnum_components = 2\n");
  RootOptions second = read(text);
  EXPECT_EQ(to_toml(second, registry()), text);
}

TEST(Config, ABareScheduleIsWrittenAsANumber) {
  RootOptions options = read("weight = 2");
  EXPECT_NE(to_toml(options, registry()).find("weight = 2.0\n"), std::string::npos);
}

TEST(Config, DescribeListsConditions) {
  RootOptions options;
  const auto rows = describe(options, registry());
  const auto inner = std::find_if(rows.begin(), rows.end(), [](const OptionInfo& r) { return r.path == "inner"; });
  ASSERT_NE(inner, rows.end());
  EXPECT_EQ(inner->default_value, "5");
  EXPECT_EQ(inner->range, ">= 1");
  EXPECT_EQ(inner->condition, "mode is careful");
}

TEST(Registry, NamesAreUniqueAndNearest) {
  Registry r = registry();
  EXPECT_THROW((r.add<Thing, PlainOptions>("standard", "again", [](const auto&, const auto&) { return nullptr; })),
               Error);
  EXPECT_EQ(r.resolve("prior", "pair").name, "mixture");
  EXPECT_EQ(nearest("lerning_rate", {"learning_rate", "epochs"}), "learning_rate");
  EXPECT_EQ(nearest("zzzzzz", {"learning_rate", "epochs"}), "");
}

}  // namespace
}  // namespace vem
