// Cores by /proc/stat, and OpenMP's threads by how many of them there are.
#include "vem/core/busy_cores.h"

#include <omp.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>

namespace vem {
namespace {

using Time = std::chrono::steady_clock;

constexpr double kWindow = 0.5;  // seconds between two looks

}  // namespace

bool should_sleep(const CoreUse& use, bool sleeping) {
  if (sleeping) return use.others() >= 0.2 && use.idle <= 0.5;
  return use.others() > 0.34 && use.idle < 0.1;
}

/// OpenMP lets threads look a hundred times only, and then sleep, once a program has more of them than there are cores.
/// Nothing else changes that while a program runs. So these are more threads, which do nothing as long as this lives.
class BusyCores::ParkedThreads {
 public:
  ParkedThreads() : holder_([this] { hold(); }) {}
  ~ParkedThreads() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    holder_.join();  // its threads end with it
  }

 private:
  void hold() {
    std::atomic<int> begun{0};
#pragma omp parallel num_threads(omp_get_num_procs() + 1)
    ++begun;  // OpenMP keeps the threads of a loop for the next one
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return done_; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread holder_;  // begins when all of the above is there
};

/// What has been used since the machine, or the program, was started.
struct BusyCores::Counters {
  Time::time_point when;
  double own = 0, idle = 0;  ///< seconds

  static std::unique_ptr<Counters> now() {
    auto counters = std::make_unique<Counters>();
    counters->when = Time::now();
    std::ifstream file("/proc/stat");
    std::string cpu;
    double user = 0, nice = 0, system = 0, idle = 0, waiting = 0;
    if (!(file >> cpu >> user >> nice >> system >> idle >> waiting) || cpu != "cpu") return nullptr;
    counters->idle = (idle + waiting) / static_cast<double>(sysconf(_SC_CLK_TCK));
    timespec own{};
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own) != 0) return nullptr;
    counters->own = static_cast<double>(own.tv_sec) + 1e-9 * static_cast<double>(own.tv_nsec);
    return counters;
  }
};

BusyCores::BusyCores() : before_(Counters::now()) {}
BusyCores::~BusyCores() = default;

bool BusyCores::look() {
  if (!before_ || omp_get_max_threads() < 2) return false;
  const double seconds = std::chrono::duration<double>(Time::now() - before_->when).count();
  if (seconds < kWindow) return false;
  auto now = Counters::now();
  if (!now) return false;
  last_ = {(now->own - before_->own) / seconds, (now->idle - before_->idle) / seconds, sysconf(_SC_NPROCESSORS_ONLN)};
  before_ = std::move(now);
  const bool sleep = should_sleep(last_, sleeping());
  if (sleep == sleeping()) return false;
  parked_ = sleep ? std::make_unique<ParkedThreads>() : nullptr;
  return true;
}

}  // namespace vem
