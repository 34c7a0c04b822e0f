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
  int (*call)(const cxxopts::ParseResult&, const Registry&);
};

const std::vector<Verb>& verbs();

int train(const cxxopts::ParseResult& arguments, const Registry& registry);
int select(const cxxopts::ParseResult& arguments, const Registry& registry);
int evaluate(const cxxopts::ParseResult& arguments, const Registry& registry);
int encode(const cxxopts::ParseResult& arguments, const Registry& registry);
int impute(const cxxopts::ParseResult& arguments, const Registry& registry);
int forecast(const cxxopts::ParseResult& arguments, const Registry& registry);
int sample(const cxxopts::ParseResult& arguments, const Registry& registry);
int reconstruct(const cxxopts::ParseResult& arguments, const Registry& registry);
int traverse(const cxxopts::ParseResult& arguments, const Registry& registry);
int export_model(const cxxopts::ParseResult& arguments, const Registry& registry);
int list(const cxxopts::ParseResult& arguments, const Registry& registry);
int describe(const cxxopts::ParseResult& arguments, const Registry& registry);
int describe_run(const cxxopts::ParseResult& arguments, const Registry& registry);
int diagnose(const cxxopts::ParseResult& arguments, const Registry& registry);
int info(const cxxopts::ParseResult& arguments, const Registry& registry);

}  // namespace vem
