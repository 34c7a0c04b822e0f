// What the machine, control groups (cgroup(7), versions 1 and 2) and the limits of the process (setrlimit(2)) allow.
#include "vem/data/memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <limits>
#include <utility>

#include "vem/core/error.h"
#include "vem/core/platform.h"

namespace vem {
namespace {

namespace fs = std::filesystem;

constexpr double kShare = 0.8;  // of what there is: models, batches and the program itself need memory too
constexpr int64_t kNone = std::numeric_limits<int64_t>::max();

thread_local int64_t t_limit = kNone;  // of the innermost scope

int64_t machine_memory() { return int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE); }

/// The least limit that a group or one of those above it sets in its file of this name.
int64_t limit_of_groups(const std::string& root, const std::string& group, const char* name) {
  int64_t least = kNone;
  for (fs::path folder = fs::path(group).relative_path();; folder = folder.parent_path()) {
    int64_t bytes = kNone;
    if (std::ifstream(fs::path(root) / folder / name) >> bytes) least = std::min(least, bytes);  // "max" is no number
    if (folder.empty()) return least;
  }
}

int64_t control_group_memory() {
  int64_t least = kNone;
  std::ifstream groups("/proc/self/cgroup");  // lines "number:controllers:group"
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
    if (controllers.empty()) least = std::min(least, limit_of_groups("/sys/fs/cgroup", group, "memory.max"));
    if (controllers == "memory")
      least = std::min(least, limit_of_groups("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
  }
  return least;
}

/// What the limits of the process leave of its address space and of its data.
int64_t process_memory() {
  const MemoryInUse in_use = memory_in_use();
  int64_t least = kNone;
  for (const auto& [resource, used] : {std::pair{RLIMIT_AS, in_use.addresses}, {RLIMIT_DATA, in_use.data}}) {
    rlimit limit{};
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) continue;
    const int64_t bytes = static_cast<int64_t>(limit.rlim_cur) - used;
    least = std::min(least, std::max<int64_t>(bytes, 0));
  }
  return least;
}

constexpr const char* kUnits = "KMGT";

}  // namespace

int64_t default_memory_limit() {
  const int64_t least = std::min({machine_memory(), control_group_memory(), process_memory()});
  return static_cast<int64_t>(kShare * static_cast<double>(least));
}

int64_t memory_limit() { return t_limit < kNone ? t_limit : default_memory_limit(); }

MemoryLimitScope::MemoryLimitScope(int64_t bytes) : before_(std::exchange(t_limit, bytes)) {}
MemoryLimitScope::~MemoryLimitScope() { t_limit = before_; }

int64_t memory_amount(const std::string& text, const std::string& option) {
  if (text == "auto") return default_memory_limit();
  double amount = 0;
  const char* const stop = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), stop, amount);
  std::string unit(at, stop);
  std::transform(unit.begin(), unit.end(), unit.begin(), [](unsigned char c) { return std::toupper(c); });
  for (const char* size = kUnits; *size != '\0' && !unit.empty(); ++size)
    if (unit[0] == *size) {
      amount *= std::pow(1024, size - kUnits + 1);
      unit.erase(0, 1);
      if (unit == "IB") unit = "B";
    }
  const bool whole = unit.empty() || unit == "B";
  if (error != std::errc() || !whole || !(amount > 0 && amount < 9e18))
    fail<ConfigError>(
        "{} must be an amount of memory such as \"8G\", \"500M\" or a number of bytes, or \"auto\", got "
        "\"{}\"",
        option, text);
  return static_cast<int64_t>(amount);
}

std::string memory_text(double bytes) {
  if (bytes < 1024) return fmt::format("{:.0f} B", bytes);
  const char* unit = kUnits;
  for (bytes /= 1024; bytes >= 1024 && unit[1] != '\0'; bytes /= 1024) ++unit;
  return fmt::format("{:.1f} {}iB", bytes, *unit);
}

void MemoryMeter::refuse(double bytes, std::string_view what, int64_t line) const {
  fail<DataError>("{}{}: {}: {} of memory would be needed, data may take {}; data.max_memory raises that", path_,
                  line > 0 ? fmt::format(":{}", line) : "", what, memory_text(held_ + bytes), memory_text(limit_));
}

}  // namespace vem
