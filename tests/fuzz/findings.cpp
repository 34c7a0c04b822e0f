// Everything that fuzzing has ever found, and the seeds it starts from, read once more: an answer or vem::Error, no
// crash and no other exception. Part of the test program of every layer that has harnesses.
#include <gtest/gtest.h>

#include <filesystem>

#include "fuzz/harness.h"
#include "support/places.h"
#include "support/temporary_folder.h"

namespace vem {
namespace {

TEST(Fuzz, FindingsAndSeedsAreReadOrRefused) {
  namespace fs = std::filesystem;
  const TemporaryFolder folder;
  for (const Harness& harness : harnesses()) {
    for (const std::string& seed : harness.seeds)
      EXPECT_NO_THROW(read_as(harness, folder.path().string(), seed)) << harness.name << ": " << seed;
    const fs::path findings = fs::path(tests_folder()) / "fuzz/findings" / harness.name;
    if (!fs::is_directory(findings)) continue;
    for (const auto& file : fs::directory_iterator(findings))
      EXPECT_NO_THROW(read_as(harness, folder.path().string(), read_bytes(file.path().string()))) << file.path();
  }
}

}  // namespace
}  // namespace vem
