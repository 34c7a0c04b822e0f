#include "support/command_line.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "vem/core/rng.h"
#include "vem/data/writers.h"

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
