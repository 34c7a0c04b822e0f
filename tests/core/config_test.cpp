// Configuration: what is read, what is refused and in which words, and that what is written reads back.
#include "vem/core/config.h"

#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "vem/core/error.h"
#include "vem/core/names.h"

namespace vem {
namespace config_test {

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

/// A schedule that is made of schedules.
struct PairOptions final : Options {
  Choice first{"schedule", "constant", nullptr}, then{"schedule", "constant", nullptr};
  double until = 5;
  void visit(OptionVisitor& v) override {
    v("first", first, "at first");
    v("until", until, {}, "until when");
    v("then", then, "and then");
  }
};
struct GroupedOptions final : Options {
  std::vector<double> points{0.5, 2};
  Sections groups{[] { return std::make_shared<RampOptions>(); }};
  Choice weight{"schedule", "constant", nullptr};
  void visit(OptionVisitor& v) override {
    v("points", points, at_least(0), "places");
    v("groups", groups, "there is a group of that name");
    v("weight", weight, "a schedule");
  }
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
  r.add<Curve, PairOptions>("pair", "one after the other", none);
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

// A file may be called anything: what is given as a value is no TOML.
TEST(Config, ValuesAreTakenAsTheyAre) {
  for (const std::string name : {"O'Brien.csv", "a \"b\" = [1] # c.csv", "'", "\"", "\\", "7", "true",
                                 "two\nlines\t\x7f", "na\xc3\xafve \xe2\x80\x98x\xe2\x80\x99", ""}) {
    Config config = Config::parse("name = \"other\"", "a.toml");
    config.set("name=" + toml_string(name));
    RootOptions options;
    config.read(options, registry());
    EXPECT_EQ(options.name, name);
    EXPECT_EQ(read(to_toml(options, registry())).name, name);  // and is written and read again unchanged
  }
}

// TOML is UTF-8, but the name of a file need not be: other bytes are characters for private use.
TEST(Config, BytesThatAreNoUtf8AreSpelled) {
  for (const std::string name :
       {"caf\xe9.csv", "\xff", "a\xc3", "\xc3\xa9\xc3", "\xe2\x80\xff\xe2\x80\x98", "\xc0\x80\xed\xa0\x80",
        "\xf4\x90\x80\x80\xf0\x9f\x8e\xb2", "\xee\xbe\x80 \xee\xbf\xbf", "\\uEFE9\xe9", "\x80\n\x1b"}) {
    RootOptions options;
    options.name = name;
    const std::string text = to_toml(options, registry());
    EXPECT_EQ(read(text).name, name) << text;
    EXPECT_EQ(utf8_length(text.substr(0, 1)), 1u);
    for (const unsigned char c : name == "caf\xe9.csv" ? text : std::string()) EXPECT_LT(c, 0x80);
    Config config;
    config.set("name=" + name);  // as it stands on a command line
    config.read(options, registry());
    EXPECT_EQ(options.name, name);
  }
  EXPECT_EQ(toml_string("caf\xe9.csv"), "\"caf\\uEFE9.csv\"");
  EXPECT_EQ(read("name = \"caf\\uEFE9.csv\"").name, "caf\xe9.csv");
}

TEST(Names, OnOneLineOfAMessage) {
  EXPECT_EQ(one_line("na\xc3\xafve 'a' \\n"), "na\xc3\xafve 'a' \\n");
  EXPECT_EQ(one_line("a\nb\tc\rd\x1b[1m\x7f"), "a\\nb\\tc\\rd\\x1B[1m\\x7F");
  EXPECT_EQ(one_line("caf\xe9 \xe2\x80 \xc2\x9b"), "caf\\xE9 \\xE2\\x80 \\xC2\\x9B");
  for (const char* text : {"a", "\xc3\xa9", "\xe2\x80\x98", "\xf0\x9f\x8e\xb2"})
    EXPECT_EQ(utf8_length(text), std::string(text).size());
  for (const char* text :
       {"", "\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf5\x80\x80\x80", "\xe2\x80"})
    EXPECT_EQ(utf8_length(text), 0u) << text;
}

TEST(Config, AWordOfSetNeedsNoQuotes) {
  for (const std::string name : {"O'Brien.csv", "a b = 1.csv", "a#b.csv", "5\nsize = 9"})
    EXPECT_EQ(read("", {"name=" + name}).name, name);
  EXPECT_EQ(read("", {"name=\"a # b\""}).name, "a # b");
  EXPECT_EQ(error_of("", {"name=2019"}), "--set: name must be a string, got 2019");
  EXPECT_EQ(read("", {"name=5\nsize = 9"}).size, 3);
}

TEST(Names, AreListedBetweenCommas) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(listed_names("a, b  c ,d", "o"), (Names{"a", "b  c", "d"}));
  EXPECT_EQ(listed_names(R"( "b, left" , c"d, " x ","say ""yes""")", "o"),
            (Names{"b, left", "c\"d", " x ", "say \"yes\""}));
  EXPECT_EQ(listed_names("", "o"), Names{});
  EXPECT_EQ(listed_names("a,,b, ", "o"), (Names{"a", "b"}));
  EXPECT_EQ(message_of<ConfigError>([] { listed_names("a, \"b", "data.columns"); }),
            "data.columns: a quote is not closed in a, \"b");
  EXPECT_EQ(message_of<ConfigError>([] { listed_names("\"a\" b", "data.columns"); }),
            "data.columns: a comma is expected after the name in quotes, got 'b'");
}

TEST(Config, ABareScheduleIsWrittenAsANumber) {
  RootOptions options = read("weight = 2");
  EXPECT_NE(to_toml(options, registry()).find("weight = 2.0\n"), std::string::npos);
}

GroupedOptions read_grouped(const std::string& text) {
  GroupedOptions options;
  Config::parse(text, "a.toml").read(options, registry());
  return options;
}

TEST(Config, SectionsAreNamedByTheUser) {
  GroupedOptions o = read_grouped("points = [1, 0.5]\n[groups.a]\nto = 3\n[groups.b.c]\nfrom = 2\n");
  EXPECT_EQ(o.points, (std::vector<double>{1, 0.5}));
  ASSERT_EQ(o.groups.entries.size(), 2u);
  EXPECT_EQ(dynamic_cast<const RampOptions&>(*o.groups.entries.at("a")).to, 3);
  EXPECT_EQ(dynamic_cast<const RampOptions&>(*o.groups.entries.at("b.c")).from, 2);
  const std::string text = to_toml(o, registry());
  EXPECT_EQ(text,
            "points = [1.0, 0.5]\nweight = 1.0\n\n[groups.a]\nfrom = 0.0\nto = 3.0\n\n[groups.b.c]\nfrom = 2.0\n"
            "to = 1.0\n");
  GroupedOptions again = read_grouped(text);
  EXPECT_EQ(to_toml(again, registry()), text);
  GroupedOptions none = read_grouped("");
  EXPECT_EQ(to_toml(none, registry()), "points = [0.5, 2.0]\nweight = 1.0\n");
  const auto rows = describe(none, registry());
  EXPECT_EQ(rows.at(1).path, "groups.NAME.from");
  EXPECT_EQ(rows.at(1).condition, "there is a group of that name");
}

// What stands between the section and the first field is the name: a field may be a choice with options of its own.
TEST(Config, FieldsOfSectionsMayHaveFields) {
  struct Outer final : Options {
    Sections groups{[] { return std::make_shared<PairOptions>(); }};
    void visit(OptionVisitor& v) override { v("groups", groups, "there is a group of that name"); }
  } o, again;
  const std::string text =
      "[groups.a.b]\nfirst = {kind = \"pair\", first = 3.0, until = 2.0, then = 4.0}\nuntil = 5.0\nthen = 1.0\n\n"
      "[groups.c]\nfirst = 1.0\nuntil = 7.0\nthen = 1.0\n";
  Config::parse(text, "a.toml").read(o, registry());
  ASSERT_EQ(o.groups.entries.size(), 2u);
  EXPECT_EQ(o.groups.entries.begin()->first, "a.b");
  EXPECT_EQ(to_toml(o, registry()), text);
  Config::parse("groups.a.b.first.then = 4\ngroups.a.b.first.kind = \"pair\"", "b.toml").read(again, registry());
  EXPECT_EQ(again.groups.entries.count("a.b"), 1u);
}

TEST(Config, SectionsAndListsRefuseInClearWords) {
  const auto words = [](const std::string& text) {
    try {
      read_grouped(text);
    } catch (const ConfigError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(words("[groups.a]\nform = 3"), "a.toml:2: unknown key groups.a.form; did you mean groups.a.from?");
  EXPECT_EQ(words("[groups.a]\nto = -1"), "a.toml:2: groups.a.to must be >= 0, got -1.0");
  EXPECT_EQ(words("groups.to = 1").rfind("a.toml:1: unknown key groups.to", 0), 0u);
  EXPECT_EQ(words("points = [1, -1]"), "a.toml:1: points must be >= 0, got -1.0");
  EXPECT_EQ(words("points = [\"a\"]"), "a.toml:1: points must be an array of numbers, got [\"a\"]");
}

TEST(Config, SchedulesStandWithinSchedules) {
  const std::string line =
      "weight = {kind = \"pair\", first = {kind = \"linear\", from = 0.0, to = 1.0}, until = 5.0, then = "
      "{kind = \"pair\", first = 3.0, until = 2.0, then = 4.0}}\n";
  GroupedOptions o = read_grouped(line);
  EXPECT_EQ(to_toml(o, registry()), "points = [0.5, 2.0]\n" + line);
  // the search for keys without effect looks into every schedule once, and ends
  EXPECT_THROW(read_grouped("weight = {kind = \"pair\", frist = 2}"), ConfigError);
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

}  // namespace config_test
}  // namespace vem
