// The writers: what is written reads back, and a failure leaves nothing behind.
#include "vem/data/writers.h"

#include <gtest/gtest.h>
#include <png.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include "support/temporary_folder.h"
#include "vem/core/error.h"
#include "vem/data/readers.h"

namespace vem {
namespace writers_test {

/// No file of this process grows beyond `bytes`: a write fails as on a full disk (EFBIG for ENOSPC).
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST(Writers, NpyReadsBack) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.npy");
  const Tensor doubles = at::arange(6, at::kDouble).view({2, 3}) / 7;
  for (const Tensor& values :
       {doubles, doubles.to(at::kFloat), doubles.mul(7).to(at::kByte), doubles.to(at::kInt), doubles.to(at::kLong),
        doubles.to(at::kBool), doubles.t(), doubles[0], doubles[0][1], doubles.slice(0, 0, 0)}) {
    write_npy(path, values);
    const Tensor read = read_npy(path);
    EXPECT_TRUE(at::equal(read, values));
    EXPECT_EQ(read.scalar_type(), values.scalar_type());
  }
  EXPECT_EQ(folder.num_entries(), 1);
}

TEST(Writers, NpyHeaderIsNumPys) {
  const TemporaryFolder folder;
  write_npy(folder.file("a.npy"), at::zeros({3}));
  // numpy.save of numpy.zeros(3, 'float32'), first 128 bytes.
  const std::string dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }";
  EXPECT_EQ(read_bytes(folder.file("a.npy")), std::string("\x93NUMPY\x01\0\x76\0", 10) + dictionary +
                                                  std::string(117 - dictionary.size(), ' ') + "\n" +
                                                  std::string(12, '\0'));
  EXPECT_EQ(message_of<DataError>([&] { write_npy(folder.file("b.npy"), at::zeros({3}, at::kHalf)); }),
            "write_npy: values of type Half can not be written");
}

TEST(Writers, CsvIsShortestAndReadsBack) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.csv");
  write_csv(path, at::tensor({0.1, 1e300, -2., NAN}, at::kDouble).view({2, 2}), {"a", "b \"c\", d"});
  EXPECT_EQ(read_bytes(path), "a,\"b \"\"c\"\", d\"\n0.1,1e+300\n-2,NaN\n");
  const Tensor values = at::exp(at::arange(-300, 300, at::kDouble)).view({-1, 3});
  write_csv(path, values, {"a", "b", "c"});
  const Table table = read_csv(path, ',');
  EXPECT_TRUE(at::equal(table.values, values));
  write_csv(path, values.to(at::kFloat), {"a", "b", "c"});
  EXPECT_TRUE(at::equal(read_csv(path, ',').values.to(at::kFloat), values.to(at::kFloat)));
  write_csv(path, at::tensor({0.1f}).view({1, 1}), {"a"});
  EXPECT_EQ(read_bytes(path), "a\n0.1\n");
  write_csv(path, at::arange(2, at::kLong).view({2, 1}), {"a"});
  EXPECT_EQ(read_bytes(path), "a\n0\n1\n");
  EXPECT_EQ(message_of<DataError>([&] { write_csv(path, values, {"a"}); }),
            "write_csv: values of 2 dimensions, [rows, 1] is expected, one column a name");
}

struct Image {
  int64_t width = 0, height = 0;
  Tensor pixels;  ///< [height, width] or [height, width, 3] uint8
};

Image read_png(const std::string& path, bool colour) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  EXPECT_TRUE(png_image_begin_read_from_file(&png, path.c_str()));
  png.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  Shape shape{png.height, png.width};
  if (colour) shape.push_back(3);
  const Tensor pixels = at::empty(shape, at::kByte);
  EXPECT_TRUE(png_image_finish_read(&png, nullptr, pixels.data_ptr(), 0, nullptr));
  return {png.width, png.height, pixels};
}

TEST(Writers, PngGridPlacesTiles) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.png");
  const Tensor levels = at::tensor({0., .2, 1., NAN, 7.}, at::kDouble).view({5, 1, 1, 1}).expand({5, 1, 3, 4});
  write_png_grid(path, levels, 2, 1);
  const Image image = read_png(path, false);
  EXPECT_EQ(image.width, 4 + 2 + 4);
  EXPECT_EQ(image.height, 3 + 2 + 3 + 2 + 3);
  const auto pixel = [&](int64_t y, int64_t x) { return int{image.pixels[y][x].item<uint8_t>()}; };
  EXPECT_EQ(pixel(0, 0), 0);
  EXPECT_EQ(pixel(2, 9), 51);
  EXPECT_EQ(pixel(5, 3), 255);
  EXPECT_EQ(pixel(5, 6), 0);     // NaN
  EXPECT_EQ(pixel(10, 0), 255);  // cut to 1
  EXPECT_EQ(pixel(0, 4), 128);   // the gap
  EXPECT_EQ(pixel(4, 0), 128);
  EXPECT_EQ(pixel(10, 9), 128);  // no sixth image
}

TEST(Writers, PngColoursAndZoom) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.png");
  const Tensor image = at::zeros({1, 3, 2, 2});
  image[0][1].fill_(1);
  write_png_grid(path, image, 8, 3);
  const Image read = read_png(path, true);
  EXPECT_EQ(read.height, 6);
  // One image in a row of eight: the empty places are grey.
  EXPECT_EQ(read.width, 3 * (8 * 4 - 2));
  EXPECT_TRUE(at::equal(read.pixels[5][5], at::tensor({0, 255, 0}).to(at::kByte)));
  EXPECT_TRUE(at::equal(read.pixels[5][6], at::tensor({128, 128, 128}).to(at::kByte)));
  EXPECT_EQ(message_of<DataError>([&] {
              write_png_grid(path, at::zeros({1, 2, 2, 2}), 1);
            }),
            "write_png_grid: images have shape [1, 2, 2, 2], but [n, 1 or 3, height, width] is expected");
  EXPECT_EQ(message_of<DataError>([&] {
              write_png_grid(path, at::zeros({1, 1, 2, 2}), 0);
            }),
            "write_png_grid: columns and zoom must be at least 1, got 0 and 2");
}

TEST(WriteAtomically, ReplacesAsAWhole) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a.txt", "old");
  write_atomically(path, [&](const std::string& temporary) {
    EXPECT_NE(temporary, path);
    EXPECT_EQ(std::filesystem::path(temporary).parent_path(), folder.path());
    folder.write(std::filesystem::path(temporary).filename().string(), "new");
    EXPECT_EQ(read_bytes(path), "old");
  });
  EXPECT_EQ(read_bytes(path), "new");
  EXPECT_EQ(folder.num_entries(), 1);
}

TEST(WriteAtomically, FailureLeavesWhatWasThere) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a.txt", "old");
  const auto throwing = [&](const std::string& temporary) {
    folder.write(std::filesystem::path(temporary).filename().string(), "half");
    throw std::runtime_error("the writer broke\nwith a stack trace");
  };
  EXPECT_EQ(message_of<OutputError>([&] { write_atomically(path, throwing); }),
            path + ": can not be written: the writer broke");
  EXPECT_EQ(read_bytes(path), "old");
  EXPECT_EQ(folder.num_entries(), 1);
}

TEST(WriteAtomically, KeepsTheClassOfOurErrors) {
  const TemporaryFolder folder;
  EXPECT_THROW(write_atomically(folder.file("a"), [](const std::string&) { throw NumericError("z"); }), NumericError);
}

TEST(WriteAtomically, FollowsLinks) {
  const TemporaryFolder folder;
  const std::string target = folder.write("target", "old"), link = folder.file("link");
  std::filesystem::create_symlink("target", link);
  write_text(link, "new");
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(read_bytes(target), "new");
}

TEST(WriteAtomically, KeepsThePermissionsOfTheFileThatItReplaces) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a", "old"), fresh = folder.file("b");
  using std::filesystem::perms;
  std::filesystem::permissions(path, perms::owner_read | perms::owner_write);
  write_text(path, "new");
  EXPECT_EQ(std::filesystem::status(path).permissions(), perms::owner_read | perms::owner_write);
  const mode_t mask = umask(0027);
  write_text(fresh, "new");
  umask(mask);
  EXPECT_EQ(std::filesystem::status(fresh).permissions(), perms::owner_read | perms::owner_write | perms::group_read);
}

TEST(WriteAtomically, TemporaryFilesCanNotBeGuessedAndAreRemoved) {
  const TemporaryFolder folder;
  const std::string longest(255, 'n');  // as long as a name may be: that of the temporary file is its own
  std::string temporary[2];
  for (std::string& name : temporary)
    write_atomically(folder.file(longest), [&](const std::string& file) { name = file; });
  EXPECT_NE(temporary[0], temporary[1]);
  // What a process leaves that is killed while it writes, as its signal handler finds it and as the next start does.
  write_atomically(folder.file("a"), [&](const std::string& file) {
    EXPECT_TRUE(std::filesystem::exists(file));
    remove_unfinished_file();
    EXPECT_FALSE(std::filesystem::exists(file));
    folder.write(std::filesystem::path(file).filename().string(), "all the same");
  });
  const std::string left = folder.write(".0123456789abcdef.vem-tmp", "half");
  folder.write("other.tmp", "of someone else");
  std::filesystem::create_symlink("other.tmp", folder.file("link.vem-tmp"));
  remove_temporary_files(folder.path().string());
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_EQ(folder.num_entries(), 4);
  remove_temporary_files(folder.file("no such folder"));
}

TEST(WriteAtomically, FullDiskLeavesNothing) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.npy");
  const Tensor values = at::zeros({100000});
  {
    const FileSizeLimit limit(65536);
    EXPECT_EQ(message_of<OutputError>([&] { write_npy(path, values); }), path + ": can not be written: File too large");
  }
  EXPECT_EQ(folder.num_entries(), 0);
}

TEST(WriteAtomically, DevicesAreWrittenTo) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full here";
  EXPECT_EQ(message_of<OutputError>([] { write_text("/dev/full", "some text"); }),
            "/dev/full: can not be written: No space left on device");
  EXPECT_EQ(message_of<OutputError>([] { write_npy("/dev/full", at::zeros({100000})); }),
            "/dev/full: can not be written: No space left on device");
  write_text("/dev/null", "some text");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

TEST(WriteAtomically, UnwritablePlaces) {
  const TemporaryFolder folder;
  const std::string absent = folder.file("none/a.txt");
  EXPECT_EQ(message_of<OutputError>([&] { write_text(absent, "x"); }),
            absent + ": can not be written: there is no folder " + folder.file("none"));
  EXPECT_EQ(message_of<OutputError>([&] { write_text(folder.path().string(), "x"); }),
            folder.path().string() + ": can not be written: Is a directory");
  // Root may write everywhere else; /proc refuses even root.
  if (!std::filesystem::exists("/proc")) return;
  const std::string message = message_of<OutputError>([] { write_text("/proc/vem-test", "x"); });
  EXPECT_EQ(message.rfind("/proc/vem-test: can not be written: ", 0), 0u) << message;
}

}  // namespace writers_test
}  // namespace vem
