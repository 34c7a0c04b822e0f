// From argv to a verb, and from an error to an exit code.
#include "vem/cli/run.h"

#include <sysexits.h>

#include <cerrno>
#include <csignal>
#include <set>
#include <system_error>

#include "message.h"
#include "signals.h"
#include "streams.h"
#include "vem/core/activity.h"
#include "vem/core/error.h"
#include "vem/core/names.h"
#include "vem/core/warning.h"
#include "vem/data/mapped_files.h"
#include "verbs.h"

namespace vem {
namespace {

std::string usage() {
  std::string text =
      "vem " VEM_VERSION ": variational EM on LibTorch\n\nUsage: vem VERB [OPTIONS]; vem VERB --help says more\n\n";
  for (const Verb& verb : verbs()) text += fmt::format("  {:<12} {}\n", verb.name, verb.summary);
  return text +
         "\nBegin with:\n"
         "  vem train vae --data fashion-mnist --out runs/first --set data.binarize=dynamic --set train.epochs=5\n";
}

const Verb& find_verb(const std::string& name) {
  std::vector<std::string> names;
  for (const Verb& verb : verbs()) {
    if (name == verb.name) return verb;
    names.emplace_back(verb.name);
  }
  const std::string near = nearest(name, names);
  fail<UsageError>("unknown verb '{}'; {}`vem --help` lists them", name,
                   near.empty() ? "" : "did you mean '" + near + "'? ");
}

/// cxxopts' typographic quotes as plain ones.
std::string plain_quotes(std::string text) {
  for (const std::string quote : {"\u2018", "\u2019"})
    for (size_t at; (at = text.find(quote)) != std::string::npos;) text.replace(at, quote.size(), "'");
  return text;
}

/// The options of a verb, as they are written: "--data", "-n".
std::vector<std::string> written_options(const cxxopts::Options& options) {
  std::vector<std::string> names;
  for (const auto& option : options.group_help("").options)
    for (const std::string& name : option.l) names.push_back((name.size() > 1 ? "--" : "-") + name);
  return names;
}

/// The arguments, of which --name=value becomes two where a line end is in the value: cxxopts does not look beyond it.
std::vector<std::string> separated(int argc, char** argv) {
  std::vector<std::string> words;
  bool options = true;
  for (const std::string& word : std::vector<std::string>(argv, argv + argc)) {
    options = options && word != "--";
    const size_t equals = word.find('=');
    const bool split = options && word.rfind("--", 0) == 0 && equals < word.find('\n') && word.find('\n') < word.size();
    words.push_back(word.substr(0, split ? equals : word.size()));
    if (split) words.push_back(word.substr(equals + 1));
  }
  return words;
}

cxxopts::ParseResult parse(cxxopts::Options& options, const Verb& verb, const std::vector<std::string>& words) {
  const std::string see = fmt::format("`vem {} --help` lists the options", verb.name);
  try {
    options.allow_unrecognised_options();
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    cxxopts::ParseResult parsed = options.parse(static_cast<int>(argv.size()), argv.data());
    if (parsed.count("help") || parsed.unmatched().empty()) return parsed;
    // The first dash of an unknown option may stand behind words that were meant as its value.
    const auto& extra = parsed.unmatched();
    const auto unknown = std::find_if(extra.begin(), extra.end(), [](const auto& e) { return e[0] == '-'; });
    if (unknown == extra.end()) fail<UsageError>("{}: '{}' is one argument too many; {}", verb.name, extra[0], see);
    const std::string name = unknown->substr(0, unknown->find('=')), near = nearest(name, written_options(options));
    fail<UsageError>("{}: there is no option {}; {}{}", verb.name, name,
                     near.empty() ? "" : fmt::format("did you mean {}? ", near), see);
  } catch (const cxxopts::exceptions::exception& e) {
    fail<UsageError>("{}: {}; {}", verb.name, plain_quotes(e.what()), see);
  }
}

int dispatch(int argc, char** argv, const Registry& registry) {
  const std::string first = argc > 1 ? argv[1] : "--help";
  if (first == "--help" || first == "-h" || first == "help") {
    fmt::print("{}", usage());
    return 0;
  }
  if (first == "--version") {
    fmt::print("vem {}\n", VEM_VERSION);
    return 0;
  }
  const Verb& verb = find_verb(first);
  cxxopts::Options options(fmt::format("vem {}", verb.name), fmt::format("{}\n", verb.summary));
  options.add_options()("h,help", "this text");
  verb.declare(options);
  options.positional_help(verb.positional);
  options.custom_help("[OPTIONS]");
  cxxopts::ParseResult parsed = parse(options, verb, separated(argc - 1, argv + 1));
  if (parsed.count("help")) {
    fmt::print("{}\nExamples:\n{}", options.help(), verb.examples);
    return 0;
  }
  const Arguments arguments(std::move(parsed), verb.name);
  const Activity activity(fmt::format("`vem {}` was at work", verb.name));
  int code = EX_SOFTWARE;
  try {
    code = verb.call(arguments, registry);
  } catch (...) {
    expect_mapped_files_whole();  // where a file was cut, other errors are only what came of it
    throw;
  }
  expect_mapped_files_whole();
  arguments.require_all_read();
  return code;
}

int code_of(const std::exception& e) {
  if (dynamic_cast<const UsageError*>(&e)) return EX_USAGE;
  if (dynamic_cast<const DataError*>(&e)) return EX_DATAERR;
  if (dynamic_cast<const MissingInputError*>(&e)) return EX_NOINPUT;
  if (dynamic_cast<const OutputError*>(&e)) return EX_CANTCREAT;
  if (dynamic_cast<const ConfigError*>(&e)) return EX_CONFIG;
  return EX_SOFTWARE;
}

/// Results that could not be written are no success: `vem list >/dev/full`.
void flush_results() {
  if (std::fflush(stdout) != 0) throw std::system_error(errno, std::generic_category(), "standard output");
}

int output_failed(const std::system_error& e) {
  std::clearerr(stdout);
  if (e.code().value() == EPIPE) return 128 + SIGPIPE;  // `vem list | head -1`: the reader has what it wanted
  fmt::print(stderr, "vem: standard output: {}\n", e.code().message());
  return EX_CANTCREAT;
}

}  // namespace

int run(int argc, char** argv, const Registry& registry) {
  protect_standard_streams();
  end_cleanly_on_signals();
  std::set<std::string> said;  // a file that is read twice is warned of once
  const WarningScope warnings([&said](const std::string& message) {
    if (said.insert(message).second) fmt::print(stderr, "vem: warning: {}\n", one_line(message));
  });
  try {
    const int code = dispatch(argc, argv, registry);
    flush_results();
    return code;
  } catch (const std::exception& e) {
    const auto* system = dynamic_cast<const std::system_error*>(&e);
    if (system && std::ferror(stdout)) return output_failed(*system);
    fmt::print(stderr, "vem: {}\n", message_of(e));
    return code_of(e);
  }
}

}  // namespace vem
