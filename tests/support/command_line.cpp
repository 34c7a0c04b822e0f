#include "support/command_line.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "vem/core/rng.h"
#include "vem/data/writers.h"
#include "vem/train/checkpoint.h"

namespace vem {
namespace {

std::vector<char*> argv_of(std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return argv;
}

}  // namespace

Outcome run_vem(int (*run)(int, char**), const std::vector<std::string>& arguments) {
  std::vector<std::string> words{"vem"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv = argv_of(words);
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.code = run(static_cast<int>(words.size()), argv.data());
  outcome.out = ::testing::internal::GetCapturedStdout();
  outcome.err = ::testing::internal::GetCapturedStderr();
  return outcome;
}

int start_program(const std::string& path, const std::vector<std::string>& arguments) {
  std::vector<std::string> words{path};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv = argv_of(words);
  const pid_t process = fork();
  if (process != 0) return process;
  const int nowhere = open("/dev/null", O_WRONLY);
  dup2(nowhere, STDOUT_FILENO);
  dup2(nowhere, STDERR_FILENO);
  execv(path.c_str(), argv.data());
  _exit(127);
}

int wait_for_program(int process) {
  int status = 0;
  waitpid(process, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void expect_equal_states(const std::string& a, const std::string& b) {
  const TensorMap one = load_checkpoint(a).state, two = load_checkpoint(b).state;
  ASSERT_EQ(one.size(), two.size());
  for (const auto& [key, value] : one) {
    ASSERT_TRUE(two.count(key)) << key;
    ASSERT_EQ(value.sizes(), two.at(key).sizes()) << key;
    const Tensor same = at::eq(value, two.at(key));
    EXPECT_TRUE(
        (value.is_floating_point() ? same.logical_or(value.isnan() & two.at(key).isnan()) : same).all().item<bool>())
        << key;
  }
}

std::string clusters_csv(int64_t rows) {
  std::string text = "a,b,c,species\n";
  const Tensor x = Rng(5).normal(at::arange(2 * rows, at::kLong), {3}, "clusters");
  for (int64_t i = 0; i < 2 * rows; ++i) {
    const auto* row = x.data_ptr<double>() + 3 * i;
    const double shift = i < rows ? 0 : 6;
    text +=
        fmt::format("{:.4f},{:.4f},{:.4f},{}\n", row[0] + shift, row[1] - shift, row[2], i < rows ? "first" : "second");
  }
  return text;
}

std::string write_images(const TemporaryFolder& folder, const std::string& name, int64_t items) {
  const Tensor levels = Rng(6).uniform(at::arange(items, at::kLong), {8, 8}, "images");
  write_npy(folder.file(name), (levels * 255).to(at::kByte));
  return folder.file(name);
}

}  // namespace vem
