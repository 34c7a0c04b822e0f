// Whether other programs take the cores that this one counts on, and what it does then.
//
// Threads of OpenMP that have finished their part of a loop wait for the others by looking again and again, which is
// quickest as long as each has a core of its own. Beside another program one of them is not running, and the others
// take its core for looking. Then they should sleep while they wait.
#pragma once

#include <cstdint>
#include <memory>

namespace vem {

/// What was done with the cores in a stretch of time, each in cores.
struct CoreUse {
  double own = 0;   ///< by all threads of this program
  double idle = 0;  ///< by nobody
  int64_t cores = 0;
  /// By other programs.
  double others() const { return static_cast<double>(cores) - own - idle; }
};

/// Whether threads should sleep while they wait for each other, given what they did until now: once others take more
/// than a third of a core and none is idle, and until they take less than a fifth or half a core is idle.
bool should_sleep(const CoreUse& use, bool sleeping);

/// Looks at the cores every half second, if it is asked often enough, and lets OpenMP's threads of this program sleep
/// or look while they wait. Results do not depend on it. Works with GCC's OpenMP on Linux; elsewhere nothing changes.
class BusyCores {
 public:
  BusyCores();
  ~BusyCores();
  BusyCores(const BusyCores&) = delete;
  BusyCores& operator=(const BusyCores&) = delete;

  /// Cheap: a look at the clock, but for twice a second. True if the threads have changed their way of waiting.
  bool look();
  bool sleeping() const { return parked_ != nullptr; }
  const CoreUse& last() const { return last_; }

 private:
  class ParkedThreads;
  struct Counters;

  std::unique_ptr<ParkedThreads> parked_;
  std::unique_ptr<Counters> before_;  ///< null where the system has no such counters
  CoreUse last_;
};

}  // namespace vem
