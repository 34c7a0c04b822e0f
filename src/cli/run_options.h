// The whole configuration of a run: the sections [model], [data] and [train], and what stands above them.
#pragma once

#include <memory>

#include "arguments.h"
#include "vem/core/config.h"
#include "vem/data/source.h"
#include "vem/infer/model.h"
#include "vem/train/fit.h"

namespace vem {

struct RunOptions final : Options {
  int64_t seed = 0;
  int64_t threads = 0;
  std::string device = "cpu";
  Choice model{"model", "vae", nullptr};
  DataOptions data;
  FitOptions train;

  void visit(OptionVisitor& v) override;
};

/// The data as the chosen model takes them: documents as they are, or as rows of counts.
Dataset as_taken(Dataset data, const Choice& model);
Splits as_taken(Splits splits, const Choice& model);

/// Whether a model argument is a file of options.
bool is_toml(const std::string& what);
/// The --set arguments.
std::vector<std::string> assignments(const Arguments& a);
/// What the arguments of `vem train` describe: a preset or a TOML file, changed by the other arguments.
Config configuration(const Arguments& a, const std::string& what);

}  // namespace vem
