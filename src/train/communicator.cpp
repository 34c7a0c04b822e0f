// Ranks that are threads of one process: for tests, and for data that are sharded within a machine.
#include "vem/train/communicator.h"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "vem/core/error.h"

namespace vem {
namespace {

/// Where the ranks meet. Adding in rank order gives every rank the same bits.
class Meeting {
 public:
  explicit Meeting(int64_t size) : size_(size), slots_(static_cast<size_t>(size)) {}

  Tensor reduce(int64_t rank, const Tensor& tensor) {
    slots_[static_cast<size_t>(rank)] = tensor;
    wait();
    Tensor sum = slots_[0];
    for (size_t i = 1; i < slots_.size(); ++i) sum = sum + slots_[i];
    wait();
    return sum;
  }
  void abandon() {
    const std::lock_guard<std::mutex> lock(mutex_);
    abandoned_ = true;
    changed_.notify_all();
  }
  int64_t size() const { return size_; }

 private:
  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    const int64_t round = round_;
    if (++waiting_ == size_) {
      waiting_ = 0;
      ++round_;
      changed_.notify_all();
    } else {
      changed_.wait(lock, [&] { return round_ != round || abandoned_; });
    }
    if (abandoned_) fail<Error>("communicator: another rank failed");
  }

  int64_t size_, waiting_ = 0, round_ = 0;
  bool abandoned_ = false;
  std::vector<Tensor> slots_;
  std::mutex mutex_;
  std::condition_variable changed_;
};

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(Meeting& meeting, int64_t rank) : meeting_(meeting), rank_(rank) {}
  int64_t rank() const override { return rank_; }
  int64_t size() const override { return meeting_.size(); }
  Tensor all_reduce_sum(const Tensor& tensor) override { return meeting_.reduce(rank_, tensor); }

 private:
  Meeting& meeting_;
  int64_t rank_;
};

}  // namespace

void run_ranks(int64_t size, const std::function<void(Communicator&)>& body) {
  Meeting meeting(size);
  std::mutex mutex;
  std::exception_ptr first;
  std::vector<std::thread> threads;
  for (int64_t rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        ThreadCommunicator communicator(meeting, rank);
        body(communicator);
      } catch (...) {
        {
          const std::lock_guard<std::mutex> lock(mutex);
          if (!first) first = std::current_exception();
        }
        meeting.abandon();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  if (first) std::rethrow_exception(first);
}

}  // namespace vem
