// Files that are cut while they are read: an error that names them, and no signal.
#include "vem/data/mapped_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "support/temporary_folder.h"
#include "vem/core/error.h"
#include "vem/data/dataset.h"
#include "vem/data/readers.h"
#include "vem/data/writers.h"

namespace vem {
namespace mapped_test {

constexpr int64_t kRows = 100000;

std::string write_array(const TemporaryFolder& folder) {
  write_npy(folder.file("a.npy"), at::ones({kRows, 2}, at::kDouble));
  return folder.file("a.npy");
}

TEST(MappedFiles, OneThatIsCutIsNamed) {
  const TemporaryFolder folder;
  const std::string path = write_array(folder);
  Dataset data;
  data.columns["x"] = read_npy(path, /*map_from=*/1);
  data.size = kRows;
  const Tensor first = at::arange(10, at::kLong);
  EXPECT_EQ(data.batch(first, 0, at::kDouble).at("x").sum().item<double>(), 20);
  std::filesystem::resize_file(path, 100000);
  EXPECT_EQ(data.columns.at("x")[kRows - 1][0].item<double>(), 0);  // no signal
  const std::string expected = path + ": was cut while it was read: it has 100000 bytes, 1600128 are wanted";
  EXPECT_EQ(message_of<DataError>([&] { data.batch(first, 0, at::kDouble); }), expected);
  EXPECT_EQ(message_of<DataError>([&] { data.subset(first); }), expected);
  EXPECT_EQ(message_of<DataError>([&] { expect_mapped_files_whole(); }), expected);
  data = Dataset();
  expect_mapped_files_whole();  // it was told, and nobody reads the file any more
}

// The system fills the last page of a file with zeros by itself.
TEST(MappedFiles, LessThanAPageIsMissedToo) {
  const TemporaryFolder folder;
  const std::string path = write_array(folder);
  const Tensor x = read_npy(path, 1);
  std::filesystem::resize_file(path, 1600127);
  EXPECT_THROW(expect_mapped_files_whole(), DataError);
}

TEST(MappedFiles, DamageIsToldAfterTheTensorIsGone) {
  const TemporaryFolder folder;
  const std::string path = write_array(folder);
  Tensor x = read_npy(path, 1);
  std::filesystem::resize_file(path, 4096);
  EXPECT_LT(x.sum().item<double>(), 2 * kRows);
  x = Tensor();
  EXPECT_THROW(expect_mapped_files_whole(), DataError);
  expect_mapped_files_whole();
}

TEST(MappedFiles, AFileWithANewNameIsStillTheSameFile) {
  const TemporaryFolder folder;
  const std::string path = write_array(folder);
  const Tensor x = read_npy(path, 1);
  std::filesystem::rename(path, folder.file("b.npy"));
  folder.write("a.npy", "short");
  EXPECT_EQ(x.sum().item<double>(), 2 * kRows);
  expect_mapped_files_whole();
}

void end_with_seven(int) { _exit(7); }

// A program that has a handler of its own keeps it for its own memory.
TEST(MappedFilesDeathTest, SignalsOfOthersGoToTheHandlerThatWasThere) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a new process: the handler is installed once
  EXPECT_EXIT(
      {
        std::signal(SIGBUS, end_with_seven);
        const TemporaryFolder folder;
        const std::string path = write_array(folder);
        const Tensor x = read_npy(path, 1);
        std::filesystem::resize_file(path, 4096);
        const double zeros = x[kRows - 1][0].item<double>();
        const int file = open(path.c_str(), O_RDWR);
        auto* theirs = static_cast<volatile char*>(mmap(nullptr, 1 << 20, PROT_READ, MAP_SHARED, file, 0));
        _exit(zeros == 0 && theirs[1 << 19] == 0 ? 1 : 2);
      },
      ::testing::ExitedWithCode(7), "");
}

}  // namespace mapped_test
}  // namespace vem
