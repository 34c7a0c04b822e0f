// The whole configuration of a run: the sections [model], [data] and [train], and what stands above them.
#pragma once

#include <memory>

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

}  // namespace vem
