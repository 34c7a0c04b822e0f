// The folder of a run, its log of metrics, its checkpoints, and the lines of progress.
#include <gtest/gtest.h>

#include <limits>

#include "../src/cli/checkpoints.h"
#include "../src/cli/message.h"
#include "../src/cli/metrics_log.h"
#include "../src/cli/progress.h"
#include "../src/cli/run_directory.h"
#include "../src/cli/text.h"
#include "support/temporary_folder.h"
#include "vem/core/activity.h"
#include "vem/core/error.h"

namespace vem {
namespace files_test {

namespace fs = std::filesystem;

/// A model of one number.
class OneNumber final : public Model {
 public:
  OneNumber() {
    auto block = std::make_shared<ConstantBlock>("constant");
    block->add("constant.value", at::zeros({}, at::kDouble));
    blocks_ = {block};
  }
  void initialize(const Dataset&, const Rng&) override {}
  Expectation e_step(const Batch&, const Step&, const Rng&) const override { return {}; }
  std::vector<Method> methods() const override { return {}; }
  at::ScalarType dtype() const override { return at::kDouble; }
};

EpochReport report_of(int64_t epoch, double bound, bool improved = true) {
  EpochReport report;
  report.epoch = epoch;
  report.iteration = 10 * epoch;
  report.bound = bound;
  report.validation_bound = std::nan("");
  report.improved = improved;
  report.items_per_second = 12345.6;
  return report;
}

TEST(RunDirectory, PlanWritesNothingAndCreateMakesTheFolders) {
  const TemporaryFolder folder;
  const RunDirectory run = RunDirectory::plan(folder.file("a/b"), false);
  EXPECT_EQ(folder.num_entries(), 0);
  run.create("seed = 1\n");
  EXPECT_EQ(read_bytes(run.config()), "seed = 1\n");
  for (const char* name : {"checkpoints", "export", "images"}) EXPECT_TRUE(fs::is_directory(run.file(name))) << name;
}

TEST(RunDirectory, ARunIsKeptUnlessForced) {
  const TemporaryFolder folder;
  const std::string path = folder.file("run");
  RunDirectory::plan(path, false).create("seed = 1\n");
  EXPECT_EQ(message_of<OutputError>([&] { RunDirectory::plan(path, false); }),
            path + ": holds a run already; --resume " + path +
                " goes on with it, --force replaces it, --out names another folder");
  std::ofstream(path + "/metrics.jsonl") << "old\n";
  std::ofstream(path + "/checkpoints/best.safetensors") << "old\n";
  std::ofstream(path + "/notes.txt") << "mine\n";
  std::ofstream(path + "/images/holiday.png") << "mine\n";
  const RunDirectory forced = RunDirectory::plan(path, true);
  EXPECT_TRUE(fs::exists(path + "/metrics.jsonl"));  // a plan removes nothing
  forced.create("seed = 2\n");
  EXPECT_EQ(read_bytes(path + "/config.toml"), "seed = 2\n");
  EXPECT_FALSE(fs::exists(path + "/metrics.jsonl"));
  EXPECT_FALSE(fs::exists(path + "/checkpoints/best.safetensors"));
  EXPECT_EQ(read_bytes(path + "/notes.txt"), "mine\n");
  EXPECT_EQ(read_bytes(path + "/images/holiday.png"), "mine\n");
}

// A config.toml makes no run: the folder of another program is left alone, whatever is asked for.
TEST(RunDirectory, FoldersOfOthersAreNotReplaced) {
  const TemporaryFolder folder;
  fs::create_directories(folder.file("images"));
  folder.write("config.toml", "x = 1\n");
  folder.write("images/samples.png", "mine\n");
  const std::string here = folder.path().string();
  EXPECT_EQ(message_of<OutputError>([&] { RunDirectory::plan(here, true); }),
            here +
                ": holds config.toml, which a run would replace, but no run that this program began; --out names "
                "another folder");
  fs::remove(folder.file("config.toml"));
  EXPECT_EQ(message_of<OutputError>([&] { RunDirectory::plan(here, true); }),
            here +
                ": holds images/samples.png, which a run would replace, but no run that this program began; --out "
                "names another folder");
  // Runs of earlier versions have no mark; their checkpoint is one.
  const RunDirectory run = RunDirectory::plan(folder.file("old"), false);
  run.create("seed = 1\n");
  fs::remove(run.file(".vem-run"));
  EXPECT_THROW(RunDirectory::plan(folder.file("old"), true), OutputError);
  std::ofstream(run.checkpoint("last")) << "state\n";
  RunDirectory::plan(folder.file("old"), true).create("seed = 2\n");
  EXPECT_FALSE(fs::exists(run.checkpoint("last")));
  EXPECT_EQ(read_bytes(run.config()), "seed = 2\n");
}

TEST(RunDirectory, OtherFoldersAndFilesAreRefused) {
  const TemporaryFolder folder;
  const std::string file = folder.write("file", "x");
  EXPECT_EQ(message_of<OutputError>([&] { RunDirectory::plan(file, true); }),
            file + ": can not be created: " + file + " is a file");
  EXPECT_EQ(message_of<OutputError>([&] { RunDirectory::plan(file + "/run", true); }),
            file + "/run: can not be created: " + file + " is a file");
  const std::string here = folder.path().string();
  EXPECT_EQ(message_of<OutputError>([&] { RunDirectory::plan(here, false); }),
            here + ": is not empty and holds no run; --out names another folder, --force uses this one");
  EXPECT_EQ(message_of<MissingInputError>([&] { RunDirectory::open(here); }),
            here + ": is no run: it has no config.toml; `vem train` makes one");
}

TEST(MetricsLog, OneLineAnEpochAndTheReasonAtTheEnd) {
  const TemporaryFolder folder;
  const OneNumber model;
  EpochReport report = report_of(1, -2.5);
  report.weights = {{"learning_rate", 0.001}};
  report.metrics = {{"kl", {1.5}}, {"kl_dim", {1, 0.5}}, {"odd", {std::numeric_limits<double>::infinity()}}};
  {
    MetricsLog log(folder.file("m"), 0);
    log.on_start(model, 5, 1);
    EXPECT_TRUE(log.on_epoch(model, report, {}));
    log.on_warning("the bound fell");
    log.on_end(model, "converged", {});
  }
  EXPECT_EQ(read_bytes(folder.file("m")),
            "{\"epoch\":1,\"iteration\":10,\"bound\":-2.5,\"improved\":true,\"learning_rate\":0.001,"
            "\"items_per_second\":12346.0,\"kl\":1.5,\"kl_dim\":[1.0,0.5],\"odd\":null}\n"
            "{\"epoch\":1,\"warning\":\"the bound fell\"}\n"
            "{\"epoch\":1,\"stopped\":\"converged\"}\n");
}

TEST(MetricsLog, AResumedRunDropsWhatCameAfterItsCheckpoint) {
  const std::string kept = "{\"epoch\":1,\"bound\":-2}\n{\"epoch\":1,\"warning\":\"w\"}\n{\"epoch\":2,\"bound\":-1}\n";
  const std::string dropped = "{\"epoch\":2,\"stopped\":\"s\"}\n{\"epoch\":3,\"bound\":-0.5}\n{\"epoch\":4,\"bo";
  EXPECT_EQ(lines_of_epochs(kept + dropped, 2), kept);
  const std::string twice = "{\"epoch\":2,\"bound\":-1}\n", deep = std::string(300000, '[') + "\n";
  EXPECT_EQ(lines_of_epochs(kept + twice + deep + "[1]\n3\n" + dropped, 2), kept);
  const TemporaryFolder folder;
  folder.write("m", kept + dropped);
  const OneNumber model;
  MetricsLog log(folder.file("m"), 2);
  EXPECT_EQ(read_bytes(folder.file("m")), kept + dropped);  // until the fit starts
  log.on_start(model, 5, 1);
  EXPECT_EQ(read_bytes(folder.file("m")), kept);
}

TEST(MetricsLog, AFullDiskIsAnError) {
  const OneNumber model;
  MetricsLog log("/dev/full", 0);
  // The file can not even be begun: a temporary one would stand in /dev.
  EXPECT_THROW(
      {
        log.on_start(model, 5, 1);
        log.on_epoch(model, report_of(1, 0), {});
      },
      OutputError);
}

TEST(Checkpoints, LastAndBestAreWrittenAndCountEpochs) {
  const TemporaryFolder folder;
  const RunDirectory run = RunDirectory::plan(folder.file("run"), false);
  run.create("");
  const OneNumber model;
  Checkpoints checkpoints(run, {"config", {}, {}, {}}, 0, /*seconds=*/0);
  double value = 0;
  const auto state = [&] { return TensorMap{{"model/constant.value", at::scalar_tensor(value, at::kDouble)}}; };
  const auto saved = [&](const char* name) { return load_checkpoint(run.checkpoint(name)); };
  const auto number = [&](const char* name) { return saved(name).state.at("model/constant.value").item<double>(); };
  value = 1, checkpoints.on_epoch(model, report_of(1, -1), state);
  value = 2, checkpoints.on_epoch(model, report_of(2, -2, false), state);
  EXPECT_EQ(number("best"), 1);
  EXPECT_EQ(number("last"), 2);
  EXPECT_EQ(epochs_done(saved("best")), 1);
  EXPECT_EQ(epochs_done(saved("last")), 2);
  value = 3, checkpoints.on_end(model, "stopped", state);
  EXPECT_EQ(number("last"), 3);
  EXPECT_EQ(message_of<DataError>([] { epochs_done({}); }),
            "the checkpoint was not written by `vem train`: it counts no epochs");
}

TEST(Checkpoints, LastIsWrittenBeforeBestAndARunThatDiedInBetweenIsMended) {
  const TemporaryFolder folder;
  const RunDirectory run = RunDirectory::plan(folder.file("run"), false);
  run.create("");
  const OneNumber model;
  double value = 1;
  const auto state = [&] { return TensorMap{{"model/constant.value", at::scalar_tensor(value, at::kDouble)}}; };
  const auto saved = [&](const char* name) { return load_checkpoint(run.checkpoint(name)); };
  Checkpoints checkpoints(run, {"config", {}, {}, {}}, 0, /*seconds=*/0);
  checkpoints.on_epoch(model, report_of(1, -3), state);
  // `best` can not be replaced any more: `last` of the same pass is there all the same.
  std::filesystem::remove(run.checkpoint("best"));
  std::filesystem::create_directory(run.checkpoint("best"));
  value = 2;
  EXPECT_THROW(checkpoints.on_epoch(model, report_of(2, -2), state), OutputError);
  EXPECT_EQ(epochs_done(saved("last")), 2);
  std::filesystem::remove(run.checkpoint("best"));
  Checkpoints resumed(run, {"config", {}, {}, {}}, 2, /*seconds=*/0);
  resumed.follow(saved("last"));
  EXPECT_EQ(epochs_done(saved("best")), 2);
  EXPECT_EQ(saved("best").state.at("model/constant.value").item<double>(), 2);
  // Where the best pass was an earlier one, there is only a warning.
  resumed.on_epoch(model, report_of(3, -4, false), state);
  std::filesystem::remove(run.checkpoint("best"));
  Checkpoints again(run, {"config", {}, {}, {}}, 3, /*seconds=*/0);
  ::testing::internal::CaptureStderr();
  again.follow(saved("last"));
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("it held epoch 2"), std::string::npos);
}

TEST(Checkpoints, ShortPassesShareAWriteAndTheBestIsKept) {
  const TemporaryFolder folder;
  const RunDirectory run = RunDirectory::plan(folder.file("run"), false);
  run.create("");
  const OneNumber model;
  Checkpoints checkpoints(run, {"config", {}, {}, {}}, 0, /*seconds=*/3600);
  double value = 0;
  const auto state = [&] { return TensorMap{{"model/constant.value", at::scalar_tensor(value, at::kDouble)}}; };
  const auto number = [&](const char* name) {
    return load_checkpoint(run.checkpoint(name)).state.at("model/constant.value").item<double>();
  };
  value = 1, checkpoints.on_epoch(model, report_of(1, -3), state);
  value = 2, checkpoints.on_epoch(model, report_of(2, -1), state);
  value = 3, checkpoints.on_epoch(model, report_of(3, -2, false), state);
  EXPECT_EQ(number("best"), 1);  // the second write is not due yet
  checkpoints.on_end(model, "done", state);
  EXPECT_EQ(number("best"), 2);
  EXPECT_EQ(number("last"), 3);
}

TEST(Progress, PlainLinesWhereThereIsNoTerminal) {
  const OneNumber model;
  Progress progress(/*live=*/false);
  EpochReport report = report_of(3, -238.12346);
  ::testing::internal::CaptureStderr();
  progress.on_start(model, 20, 100);
  progress.on_batch({}, 128);
  progress.on_epoch(model, report, {});
  report.epoch = 4, report.validation_bound = -239.5;
  progress.on_epoch(model, report, {});
  progress.on_warning("the bound fell");
  progress.on_end(model, "done", {});
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "epoch 3/20  bound -238.1235  12,346 items/s\n"
            "epoch 4/20  bound -238.1235  validation -239.5000  12,346 items/s\n"
            "vem: warning: the bound fell\n");
}

TEST(Progress, LiveLineShowsBarRateTimeLeftAndBound) {
  EXPECT_EQ(Progress::line(0.25, 6, 20, 83, "bound -238.1235  12,346 items/s"),
            "[======                  ] 25 %  epoch 6/20  1:23 min left  bound -238.1235  12,346 items/s");
  EXPECT_EQ(Progress::line(0, 1, 20, -1, ""), "[                        ] 0 %  epoch 1/20");
}

TEST(Text, NumbersForPeople) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(-1234567), "-1,234,567");
  EXPECT_EQ(grouped(-123), "-123");
  EXPECT_EQ(duration(0.2), "under 1 s");
  EXPECT_EQ(duration(59.4), "59 s");
  EXPECT_EQ(duration(185), "3:05 min");
  EXPECT_EQ(duration(7620), "2:07 h");
  EXPECT_EQ(counted(1, "item"), "1 item");
  EXPECT_EQ(counted(54000, "item"), "54,000 items");
}

TEST(Text, PathsForShells) {
  EXPECT_EQ(shell_word("runs/a-b_1.csv"), "runs/a-b_1.csv");
  EXPECT_EQ(shell_word(""), "''");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word("-run"), "./-run");
  EXPECT_EQ(shell_word("a\\b\n'c\xff"), "$'a\\\\b\\n\\'c\\xFF'");
}

// What LibTorch's allocator says is about its own source; a person needs to know how much, and for what.
TEST(Message, OutOfMemorySaysHowMuchAndForWhat) {
  const auto message = [](auto&& work) {
    try {
      work();
    } catch (const std::exception& e) {
      return message_of(e);
    }
    return std::string();
  };
  EXPECT_EQ(message([] {
              const Activity outer("training");
              const Activity reading("reading a\nb.csv");
              at::empty({int64_t{1} << 50}, at::kDouble);
            }),
            "out of memory while reading a\\nb.csv: 8192.0 TiB more were asked for; a smaller train.batch_size or "
            "data.limit may help");
  EXPECT_EQ(message([] {
              const Activity training("training in epoch 3");
              throw std::bad_alloc();
            }),
            "out of memory while training in epoch 3; a smaller train.batch_size or data.limit may help");
  EXPECT_EQ(message([] { throw std::runtime_error("first\nsecond"); }), "first");
  EXPECT_EQ(message([] { fail<DataError>("a\nb: wrong"); }), "a\\nb: wrong");
}

}  // namespace files_test
}  // namespace vem
