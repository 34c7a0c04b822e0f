// The rows that options visit, as a table: what describe(), to_toml() and the messages of the reader are made of.
#pragma once

#include "vem/core/config.h"

namespace vem {

struct OptionRow {
  OptionInfo info;
  std::string value;      ///< as TOML
  bool effective = true;  ///< every condition on the way holds
  bool schedule = false;  ///< part of a schedule, written inline
};

/// Every field in the order visited. `all_plugins`: also the fields of plug-ins that are not chosen, as not effective.
std::vector<OptionRow> option_table(Options& options, const Registry& registry, bool all_plugins);

std::string format_range(const Range& range);
std::string format_value(bool value);
std::string format_value(int64_t value);
std::string format_value(double value);
std::string format_value(const std::string& value);
std::string format_value(const std::vector<int64_t>& value);
std::string format_value(const std::vector<double>& value);
std::string format_value(const Config::Value& value);

}  // namespace vem
