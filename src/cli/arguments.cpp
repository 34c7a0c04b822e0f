// Which of the given options were read.
#include "arguments.h"

#include "vem/core/error.h"

namespace vem {

void Arguments::refuse(const std::string& name, const std::string& why) const {
  if (count(name)) fail<UsageError>("--{} has no effect: {}", name, why);
}

void Arguments::require_all_read() const {
  for (const cxxopts::KeyValue& given : parsed_.arguments())
    if (!read_.count(given.key()))
      fail<UsageError>("{}: {}{} has no effect with these arguments; `vem {} --help` says when it has", verb_,
                       given.key().size() == 1 ? "-" : "--", given.key(), verb_);
}

}  // namespace vem
