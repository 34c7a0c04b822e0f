// The README against the program: plug-ins, commands, keys, files and code that it names.
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <sstream>

#include "../src/cli/run_options.h"
#include "support/command_line.h"
#include "support/places.h"
#include "vem/cli/run.h"
#include "vem/models/registry.h"

namespace vem {
namespace readme_test {

namespace fs = std::filesystem;

fs::path root() { return fs::path(tests_folder()).parent_path(); }

const std::string& readme() {
  static const std::string text = read_bytes((root() / "README.md").string());
  return text;
}

const Registry& plugins() {
  static const Registry registry = builtin_registry();
  return registry;
}

std::vector<std::string> matches(const std::string& text, const std::string& pattern, int group = 1) {
  const std::regex regex(pattern);
  std::vector<std::string> found;
  for (std::sregex_iterator it(text.begin(), text.end(), regex); it != std::sregex_iterator(); ++it)
    found.push_back((*it)[group]);
  return found;
}

/// What stands between ```language and ```.
std::vector<std::string> code_blocks(const std::string& language) {
  return matches(readme(), "```" + language + "\n([^`]*)```");
}

/// Everything that is set as code inside a line.
std::vector<std::string> inline_code() { return matches(readme(), "[^`]`([^`\n]+)`"); }

std::set<std::string> words_of(const std::string& cell) {
  const auto words = matches(cell, "`([^`]+)`");
  return {words.begin(), words.end()};
}

TEST(Readme, ListsEveryPlugInInTheRowOfItsKind) {
  std::map<std::string, std::string> rows;  // by kind, the cell of names
  const std::regex row("\n\\| ([a-z-]+) \\| ([^|]+) \\|[^|]+\\|(?=\n)");
  for (std::sregex_iterator it(readme().begin(), readme().end(), row); it != std::sregex_iterator(); ++it)
    rows[(*it)[1]] += (*it)[2];
  std::set<std::string> names;
  for (const Plugin* plugin : plugins().list()) {
    names.insert(plugin->name);
    EXPECT_TRUE(words_of(rows[plugin->kind]).count(plugin->name))
        << "README.md, \"What composes with what\", row " << plugin->kind << ": `" << plugin->name << "` is missing";
  }
  for (const Plugin* plugin : plugins().list())
    for (const std::string& word : words_of(rows[plugin->kind]))
      EXPECT_TRUE(names.count(word) || !std::regex_match(word, std::regex("[a-z0-9-]+")))
          << "README.md, row " << plugin->kind << ": nothing is called `" << word << "`";
}

/// The commands of the README as words, without the program's name and the remark behind them.
std::vector<std::vector<std::string>> commands() {
  std::string text;
  for (const std::string& block : code_blocks("sh")) text += block;
  for (const std::string& code : inline_code()) text += code + "\n";
  std::vector<std::vector<std::string>> found;
  for (const std::string& line : matches(text, "(?:^|\n|/|time -v )vem( [^\n#]*)")) {
    std::istringstream in(line);
    found.push_back({std::istream_iterator<std::string>(in), {}});
  }
  return found;
}

void expect_trainable(const std::vector<std::string>& words) {
  if (words.size() < 2 || words[1][0] == '-' || std::isupper(words[1][0])) return;
  const std::string& what = words[1];
  Config config;
  if (what.find(".toml") != std::string::npos)
    config = Config::load((root() / what).string());
  else
    config.set("model=" + what);
  for (size_t i = 2; i + 1 < words.size(); ++i)
    if (words[i] == "--set") config.set(words[i + 1]);
  RunOptions options;
  EXPECT_NO_THROW(config.read(options, plugins())) << "README.md: vem " << fmt::format("{}", fmt::join(words, " "));
}

TEST(Readme, ItsCommandsExist) {
  const auto all = commands();
  EXPECT_GE(all.size(), 12u);
  for (const auto& words : all) {
    const std::string line = fmt::format("README.md: vem {}", fmt::join(words, " "));
    if (std::isupper(words.at(0)[0])) continue;  // `vem VERB`
    const Outcome help = vem({words[0], "--help"});
    EXPECT_EQ(help.code, 0) << line << "\n" << help.err;
    for (const std::string& word : words) {
      if (word[0] != '-') continue;
      EXPECT_TRUE(std::regex_search(help.out, std::regex("[ ,]" + word + "[ ,\n]"))) << line << ": no option " << word;
    }
    if (words[0] == "train") expect_trainable(words);
    EXPECT_FALSE(words[0] == "list" && words.size() > 1 && plugins().list(words.back()).empty()) << line;
  }
}

/// Every path that some model's configuration may have.
std::set<std::string> known_keys() {
  std::set<std::string> keys;
  for (const Plugin* plugin : plugins().list("model")) {
    RunOptions options;
    Config::parse("model = \"" + plugin->name + "\"", "test").read(options, plugins());
    for (const OptionInfo& row : describe(options, plugins())) {
      keys.insert(row.path);
      keys.insert(std::regex_replace(row.path, std::regex("\\.kind$"), ""));
    }
  }
  return keys;
}

TEST(Readme, ItsKeysExist) {
  const std::set<std::string> keys = known_keys();
  int found = 0;
  for (const std::string& code : inline_code()) {
    std::smatch key;
    if (!std::regex_search(code, key, std::regex("^((?:model|data|train)\\.[a-z_.]+)(?: = .*)?$"))) continue;
    EXPECT_TRUE(keys.count(key[1])) << "README.md: `" << code << "`: there is no such option";
    ++found;
  }
  EXPECT_GE(found, 5);
}

TEST(Readme, ItsConfigurationsAreRead) {
  const auto blocks = code_blocks("toml");
  EXPECT_FALSE(blocks.empty());
  for (const std::string& block : blocks) {
    RunOptions options;
    EXPECT_NO_THROW(Config::parse(block, "README.md").read(options, plugins())) << block;
  }
}

TEST(Readme, ItsFilesExist) {
  for (const std::string& code :
       matches(readme(), "((?:experiments|tests|models|include|src|\\.github)/[A-Za-z0-9_./-]+)"))
    EXPECT_TRUE(fs::exists(root() / code)) << "README.md: " << code;
}

// Code that nobody compiles rots: each block is part of a program that the tests build and run.
TEST(Readme, ItsCodeIsThatOfTheExamples) {
  std::string compiled;
  for (const auto& entry : fs::recursive_directory_iterator(root() / "tests/package"))
    if (entry.is_regular_file()) compiled += read_bytes(entry.path().string());
  int found = 0;
  for (const char* language : {"cpp", "cmake"})
    for (const std::string& block : code_blocks(language)) {
      EXPECT_NE(compiled.find(block), std::string::npos) << "README.md: not in tests/package:\n" << block;
      ++found;
    }
  EXPECT_GE(found, 2);
}

TEST(Experiments, EveryConfigurationIsValid) {
  for (const auto& entry : fs::recursive_directory_iterator(root() / "experiments")) {
    if (entry.path().extension() != ".toml") continue;
    RunOptions options;
    EXPECT_NO_THROW(Config::load(entry.path().string()).read(options, plugins())) << entry.path();
  }
}

}  // namespace readme_test
}  // namespace vem
