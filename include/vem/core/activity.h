// What a thread is doing, in words, for the message of an error that knows nothing of it: memory that ran out.
#pragma once

#include <string>

namespace vem {

/// While it lives, the thread does what `words` say ("reading a.csv"). Where an exception ends it, the innermost
/// activity is remembered.
class Activity {
 public:
  explicit Activity(std::string words);
  ~Activity();
  Activity(const Activity&) = delete;
  Activity& operator=(const Activity&) = delete;

 private:
  std::string words_;
  int exceptions_;
};

/// The innermost activity of this thread that the last exception ended; "" if there was none.
std::string failed_activity();

}  // namespace vem
