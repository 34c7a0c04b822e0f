// A program that hangs in a library while it trains still ends by a signal.
#include "../src/cli/signals.h"
#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "vem/infer/model.h"

namespace vem {
namespace signals_test {

void hang_after_a_signal() {
  const Signals signals(/*notice=*/1, /*patience=*/1);
  std::raise(SIGTERM);
  for (;;) std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

TEST(SignalsDeathTest, EndAProgramWhoseUpdateDoesNotEnd) {
  EXPECT_EXIT(hang_after_a_signal(), testing::KilledBySignal(SIGTERM), "waiting for this update to end");
}

TEST(SignalsDeathTest, ASecondOneEndsItAtOnce) {
  const auto twice = [] {
    const Signals signals;
    std::raise(SIGINT);
    std::raise(SIGINT);
  };
  EXPECT_EXIT(twice(), testing::KilledBySignal(SIGINT), "");
}

}  // namespace signals_test
}  // namespace vem
