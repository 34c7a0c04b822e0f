// From argv to a verb, and from an error to an exit code.
#include "vem/cli/run.h"

#include <sysexits.h>

#include "vem/core/error.h"
#include "verbs.h"

namespace vem {
namespace {

std::string usage() {
  std::string text = "vem " VEM_VERSION ": variational EM on LibTorch\n\nUsage: vem VERB [OPTIONS]; vem VERB --help says more\n\n";
  for (const Verb& verb : verbs()) text += fmt::format("  {:<12} {}\n", verb.name, verb.summary);
  return text + "\nBegin with:\n  vem train vae --data fashion-mnist --out runs/first --set data.binarize=dynamic --set train.epochs=5\n";
}

const Verb& find_verb(const std::string& name) {
  std::vector<std::string> names;
  for (const Verb& verb : verbs()) {
    if (name == verb.name) return verb;
    names.emplace_back(verb.name);
  }
  const std::string near = nearest(name, names);
  fail<UsageError>("unknown verb '{}'{}; `vem --help` lists them", name, near.empty() ? "" : "; did you mean '" + near + "'?");
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
  cxxopts::ParseResult parsed;
  try {
    parsed = options.parse(argc - 1, argv + 1);
  } catch (const cxxopts::exceptions::exception& e) {
    fail<UsageError>("{}: {}; `vem {} --help` lists the options", verb.name, e.what(), verb.name);
  }
  if (parsed.count("help")) {
    fmt::print("{}\nExamples:\n{}", options.help(), verb.examples);
    return 0;
  }
  if (!parsed.unmatched().empty())
    fail<UsageError>("{}: '{}' is one argument too many; `vem {} --help` lists them", verb.name, parsed.unmatched()[0], verb.name);
  return verb.call(parsed, registry);
}

int code_of(const std::exception& e) {
  if (dynamic_cast<const UsageError*>(&e)) return EX_USAGE;
  if (dynamic_cast<const DataError*>(&e)) return EX_DATAERR;
  if (dynamic_cast<const MissingInputError*>(&e)) return EX_NOINPUT;
  if (dynamic_cast<const OutputError*>(&e)) return EX_CANTCREAT;
  if (dynamic_cast<const ConfigError*>(&e)) return EX_CONFIG;
  return EX_SOFTWARE;
}

}  // namespace

int run(int argc, char** argv, const Registry& registry) {
  try {
    return dispatch(argc, argv, registry);
  } catch (const c10::Error& e) {
    fmt::print(stderr, "vem: {}\n", e.what_without_backtrace());
    return EX_SOFTWARE;
  } catch (const std::exception& e) {
    fmt::print(stderr, "vem: {}\n", e.what());
    return code_of(e);
  }
}

}  // namespace vem
