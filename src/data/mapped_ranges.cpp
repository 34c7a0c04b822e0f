// A page of a mapped file that can not be read raises SIGBUS, out of which C++ can neither throw nor jump. So the
// handler maps zeros over the page and all that follow it, marks the range and returns; the computation goes on with
// the zeros until it comes to expect_mapped_files_whole(), which throws. Of the last page that a cut file still has,
// the system itself makes the end zeros, without a signal: therefore the size of the file is looked at as well.
#include "mapped_ranges.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

#include "vem/core/error.h"
#include "vem/data/mapped_files.h"

namespace vem {

/// One entry of a list that only grows and whose entries are used again, so that the handler may walk it at any moment.
struct MappedRange {
  std::atomic<char*> start{nullptr};  // null: free for use
  std::atomic<size_t> bytes{0};
  std::atomic<size_t> intact{0};  // bytes before the first fault
  std::string owner;              // from here on under the mutex
  int file = -1;
  bool told = false;
  MappedRange* next = nullptr;
};

namespace {

std::atomic<MappedRange*> g_ranges{nullptr};
std::mutex g_mutex;
std::optional<std::string> g_untold;  // message about a range that is gone
struct sigaction g_before {};         // the handler that was there before ours

/// Maps zeros over [address's page, end of the range). False if no range of ours has the address.
bool replace_by_zeros(char* address) {
  for (MappedRange* range = g_ranges.load(); range; range = range->next) {
    char* const start = range->start.load();
    const size_t bytes = range->bytes.load();
    if (!start || address < start || address >= start + bytes) continue;
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t at = static_cast<size_t>(address - start) / page * page;
    if (mmap(start + at, bytes - at, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
             -1, 0) == MAP_FAILED)
      return false;
    size_t intact = range->intact.load();
    while (at < intact && !range->intact.compare_exchange_weak(intact, at)) continue;
    return true;
  }
  return false;
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  const bool ours = replace_by_zeros(static_cast<char*>(info->si_addr));
  errno = error;
  if (ours) return;
  if (g_before.sa_flags & SA_SIGINFO) return g_before.sa_sigaction(signal, info, context);
  if (g_before.sa_handler != SIG_DFL && g_before.sa_handler != SIG_IGN) return g_before.sa_handler(signal);
  ::signal(SIGBUS, SIG_DFL);  // the fault comes again and ends the program
}

void install_handler() {
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, nullptr, &g_before);  // known before the first fault can come
  sigaction(SIGBUS, &action, nullptr);
}

/// What is wrong with a range; nothing if all of it could be read up to now.
std::optional<std::string> damage_of(const MappedRange& range) {
  const size_t bytes = range.bytes.load(), intact = range.intact.load();
  struct stat now {};
  if (fstat(range.file, &now) == 0 && static_cast<size_t>(now.st_size) < bytes)
    return fmt::format("{}: was cut while it was read: it has {} bytes, {} are wanted", range.owner, now.st_size,
                       bytes);
  if (intact < bytes) return fmt::format("{}: can not be read any more from byte {} on", range.owner, intact);
  return {};
}

}  // namespace

MappedRange* add_mapped_range(void* start, size_t bytes, int file, const std::string& owner) {
  static std::once_flag once;
  std::call_once(once, install_handler);
  const std::lock_guard<std::mutex> lock(g_mutex);
  MappedRange* range = g_ranges.load();
  while (range && range->start.load()) range = range->next;
  const bool fresh = !range;
  if (fresh) range = new MappedRange;
  range->owner = owner;
  range->file = file;
  range->told = false;
  range->intact.store(bytes);
  range->bytes.store(bytes);
  range->start.store(static_cast<char*>(start));
  if (fresh) {
    range->next = g_ranges.load();
    g_ranges.store(range);
  }
  return range;
}

void remove_mapped_range(MappedRange* range) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (!range->told)
    if (auto damage = damage_of(*range)) g_untold = std::move(damage);
  range->start.store(nullptr);
  close(range->file);
}

void expect_mapped_files_whole() {
  if (!g_ranges.load(std::memory_order_relaxed)) return;
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (const auto damage = std::exchange(g_untold, std::nullopt)) throw DataError(*damage);
  for (MappedRange* range = g_ranges.load(); range; range = range->next) {
    if (!range->start.load()) continue;
    if (const auto damage = damage_of(*range)) {
      range->told = true;
      throw DataError(*damage);
    }
  }
}

}  // namespace vem
