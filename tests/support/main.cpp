// The tests run on the platform that the program runs on: one thread unless OMP_NUM_THREADS says more, fast products.
#include <gtest/gtest.h>

#include "vem/core/platform.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  vem::tune_platform(0);
  return RUN_ALL_TESTS();
}
