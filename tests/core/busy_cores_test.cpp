// When threads give way to other programs.
#include "vem/core/busy_cores.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <thread>

namespace vem {
namespace busy_cores_test {

TEST(BusyCores, ThreadsSleepBesideAnotherProgramAndNotBesideIdleCores) {
  const auto after = [](const std::vector<CoreUse>& uses) {
    bool sleeping = false;
    for (const CoreUse& use : uses) sleeping = should_sleep(use, sleeping);
    return sleeping;
  };
  const CoreUse alone{1.95, 0.02, 2}, mostly_serial{1.3, 0.68, 2}, crowded{1.33, 0, 2}, crowded_asleep{1.1, 0.02, 2},
      asleep{1.6, 0.38, 2}, one_of_many{15.05, 0, 16}, much_left{4, 11.9, 16};
  EXPECT_FALSE(after({alone}));
  EXPECT_FALSE(after({mostly_serial})) << "own loops that leave a core idle are nobody else's doing";
  EXPECT_FALSE(after({much_left}));
  EXPECT_TRUE(after({crowded}));
  EXPECT_TRUE(after({one_of_many}));
  EXPECT_TRUE(after({alone, crowded, crowded_asleep, crowded_asleep}));
  EXPECT_FALSE(after({crowded, crowded_asleep, asleep}));
}

TEST(BusyCores, LookingIsCheapAndThreadsComeAndGo) {
  const int threads = omp_get_max_threads();
  omp_set_num_threads(2);
  BusyCores cores;
  for (int i = 0; i < 1000; ++i) cores.look();  // within the first half second: the clock alone
  EXPECT_EQ(cores.last().cores, 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  cores.look();
  EXPECT_EQ(cores.last().cores, static_cast<int64_t>(std::thread::hardware_concurrency()));
  EXPECT_GE(cores.last().own, 0);
  omp_set_num_threads(threads);
}

}  // namespace busy_cores_test
}  // namespace vem
