// From the arguments of a verb to checked options, and what must be set or said before the data are read.
#include "preparation.h"

#include "vem/core/error.h"
#include "vem/core/platform.h"

namespace vem {

RunOptions run_options(const Arguments& a, const std::string& verb, const Registry& registry,
                       const std::vector<std::string>& more) {
  if (!a.count("what"))
    fail<UsageError>(
        "{0}: which model? `vem {0} vae --data fashion-mnist`, or a TOML file; `vem list model` lists models", verb);
  const std::string what = a["what"].as<std::string>();
  if (!is_toml(what)) registry.find("model", what);
  Config config = configuration(a, what);
  for (const std::string& assignment : more) config.set(assignment);
  if (!config.has("model")) fail<ConfigError>("{}: model is not set; `vem list model` lists models", what);
  RunOptions options;
  config.read(options, registry);
  if (options.data.source.empty())
    fail<ConfigError>("{}: data.source is not set; name a data set or a file with --data", verb);
  return options;
}

void prepare(const RunOptions& options) {
  tune_platform(options.threads);
  if (const std::string warning = blas_info().warning; !warning.empty())
    fmt::print(stderr, "vem: warning: {}\n", warning);
  if (const auto* chosen = dynamic_cast<const ModelOptions*>(options.model.options.get()))
    if (const std::string advice = chosen->advice(options.train.batch_size); !advice.empty())
      fmt::print(stderr, "vem: warning: {}\n", advice);
}

}  // namespace vem
