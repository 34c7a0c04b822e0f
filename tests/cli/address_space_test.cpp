// A limit of the address space (ulimit -v) that OpenBLAS could not start under is refused before OpenBLAS asks for its
// buffers again and again.
#include <gtest/gtest.h>

#include "support/command_line.h"
#include "support/places.h"
#include "support/sanitized.h"

namespace vem {
namespace address_space_test {

class AddressSpace : public testing::Test {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "a sanitizer needs terabytes of addresses";
  }
  /// The exit code of `vem list` with so many threads, under a limit of 8 GiB: plenty for the libraries and a thread or
  /// two. The buffers of 100 threads take 12.75 GiB.
  int list(int threads) const {
    const std::string command =
        fmt::format("ulimit -v 8388608; OMP_NUM_THREADS={} exec '{}' list 2>'{}'", threads, built_program(), errors_);
    return wait_for_program(start_program("/bin/sh", {"-c", command}));
  }

  const TemporaryFolder folder_;
  const std::string errors_ = folder_.file("errors");
};

TEST_F(AddressSpace, ThatIsTooSmallForTheThreadsEndsTheProgramAtItsStart) {
  EXPECT_EQ(list(100), 71);
  const std::string errors = read_bytes(errors_);
  EXPECT_EQ(errors.rfind("vem: ulimit -v is 8192 MiB, and the libraries alone take ", 0), 0u) << errors;
  EXPECT_NE(errors.find(" MiB of addresses with 100 threads; raise it, or set OMP_NUM_THREADS=1\n"), std::string::npos)
      << errors;
}

TEST_F(AddressSpace, ThatSufficesIsNoObstacle) {
  EXPECT_EQ(list(1), 0);
  EXPECT_EQ(read_bytes(errors_), "");
}

}  // namespace address_space_test
}  // namespace vem
