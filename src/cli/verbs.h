// The verbs of the command line, one function each: parsed arguments in, exit code out.
#pragma once

#include "arguments.h"

#include "vem/core/registry.h"

namespace vem {

/// One row of the table of verbs.
struct Verb {
  const char* name;
  const char* summary;
  const char* positional;  ///< for the usage line; "" for none
  const char* examples;    ///< lines of real commands
  void (*declare)(cxxopts::Options&);
  int (*call)(const Arguments&, const Registry&);
};

const std::vector<Verb>& verbs();

int train(const Arguments& arguments, const Registry& registry);
int select(const Arguments& arguments, const Registry& registry);
int evaluate(const Arguments& arguments, const Registry& registry);
int encode(const Arguments& arguments, const Registry& registry);
int impute(const Arguments& arguments, const Registry& registry);
int forecast(const Arguments& arguments, const Registry& registry);
int sample(const Arguments& arguments, const Registry& registry);
int reconstruct(const Arguments& arguments, const Registry& registry);
int traverse(const Arguments& arguments, const Registry& registry);
int export_model(const Arguments& arguments, const Registry& registry);
int list(const Arguments& arguments, const Registry& registry);
int describe(const Arguments& arguments, const Registry& registry);
int describe_run(const Arguments& arguments, const Registry& registry);
int diagnose(const Arguments& arguments, const Registry& registry);
int info(const Arguments& arguments, const Registry& registry);

}  // namespace vem
