// Whole runs: train, stop, resume, and every verb on what they leave behind.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "support/command_line.h"
#include "support/places.h"
#include "vem/data/readers.h"
#include "vem/train/checkpoint.h"

namespace vem {
namespace run_test {

namespace fs = std::filesystem;

std::vector<nlohmann::json> lines_of(const std::string& path) {
  std::ifstream in(path);
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

std::vector<std::string> small_vae(const std::string& images, const std::string& out, int64_t epochs) {
  return {"train",     "vae",
          "--data",    images,
          "--out",     out,
          "--seed",    "3",
          "--threads", "1",
          "--set",     "model.encoder.widths=[16, 16]",
          "--set",     "model.decoder.widths=[16]",
          "--set",     "model.latent_dim=3",
          "--set",     "data.binarize=dynamic",
          "--set",     "train.batch_size=50",
          "--set",     fmt::format("train.epochs={}", epochs)};
}

std::vector<std::string> small_gmm(const TemporaryFolder& folder, const std::string& out) {
  const std::string table = folder.write("table.csv", clusters_csv(60));
  return {"train", "gmm", "--data", table, "--out", out, "--set", "data.label=species", "--set", "data.test=20"};
}

TEST(Run, AMixtureFromStartToExport) {
  const TemporaryFolder folder;
  const std::string run = folder.file("run");
  const std::string text = done(small_gmm(folder, run));
  EXPECT_NE(text.find("converged: the bound rose by"), std::string::npos) << text;
  EXPECT_NE(text.find("Next: vem evaluate " + run + ", vem sample " + run + ", vem export " + run), std::string::npos);
  const auto metrics = lines_of(run + "/metrics.jsonl");
  EXPECT_EQ(metrics.front()["epoch"], 1);
  EXPECT_EQ(metrics.back()["stopped"].get<std::string>().rfind("converged", 0), 0u);

  EXPECT_NE(done({"evaluate", run}).find("log-likelihood"), std::string::npos);
  const auto evaluation = nlohmann::json::parse(read_bytes(run + "/evaluation.json"));
  EXPECT_NEAR(evaluation["total_bound"].get<double>(),
              20 * evaluation["bound"].get<double>() - evaluation["kl_global"].get<double>(), 1e-9);

  const std::string out = folder.file("r.csv");
  done({"encode", run, "--split", "train", "--out", out});
  const Table responsibilities = read_csv(out, ',');
  EXPECT_EQ(responsibilities.names, (std::vector<std::string>{"responsibilities_0", "responsibilities_1"}));
  EXPECT_EQ(responsibilities.values.size(0), 100);
  EXPECT_NEAR((responsibilities.values.sum(1) - 1).abs().max().item<double>(), 0, 1e-12);

  done({"sample", run, "-n", "7", "--out", folder.file("s.npy")});
  EXPECT_EQ(read_npy(folder.file("s.npy")).sizes(), (Shape{7, 3}));
  done({"export", run});
  done({"export", run, "--format", "safetensors"});
  for (const char* file : {"/export/model.pt", "/export/model.safetensors"}) EXPECT_TRUE(fs::exists(run + file));
}

TEST(Run, FeaturesOfOtherDataAreMatchedByName) {
  const TemporaryFolder folder;
  const std::string run = folder.file("run");
  done(small_gmm(folder, run));
  const std::string same = folder.write("same.csv", "a,b,c\n0,0,0\n6,-6,0\n1,2,3\n");
  const std::string turned = folder.write("turned.csv", "c,extra,b,a\n0,9,0,0\n0,9,-6,6\n3,9,2,1\n");
  const std::string fewer = folder.write("fewer.csv", "c,b\n0,0\n1,1\n");
  done({"encode", run, "--data", same, "--out", folder.file("same.out.csv")});
  done({"encode", run, "--data", turned, "--out", folder.file("turned.out.csv")});
  EXPECT_EQ(read_bytes(folder.file("same.out.csv")), read_bytes(folder.file("turned.out.csv")));
  const Outcome outcome = vem({"encode", run, "--data", fewer, "--out", folder.file("fewer.out.csv")});
  EXPECT_EQ(outcome.code, 65);
  EXPECT_EQ(outcome.err,
            "vem: " + fewer + ": has no column 'a', which the model was trained on; its columns are c, b\n");
}

TEST(Run, AVaeFromStartToPictures) {
  const TemporaryFolder folder;
  const std::string run = folder.file("run");
  done(small_vae(write_images(folder, "images.npy", 200), run, 2));
  const auto metrics = lines_of(run + "/metrics.jsonl");
  ASSERT_EQ(metrics.size(), 3u);
  for (const char* key :
       {"bound", "validation_bound", "learning_rate", "items_per_second", "kl", "kl_dim", "active_units"})
    EXPECT_TRUE(metrics[0].contains(key)) << key;
  EXPECT_EQ(metrics[2]["stopped"], "all 2 epochs are done");

  const std::string text = done({"evaluate", run, "--samples", "60", "--limit", "10"});
  EXPECT_NE(text.find("vae (best checkpoint) on the first 10 validation items of "), std::string::npos) << text;
  EXPECT_NE(text.find("binarised once with seed 3"), std::string::npos) << text;
  EXPECT_NE(text.find("NLL, 60 importance samples          <= "), std::string::npos) << text;
  EXPECT_EQ(done({"evaluate", run, "--samples", "60", "--limit", "10"}), text);  // a function of the seed

  // All of it again: the same numbers, and nothing of the run has moved.
  const std::string state = read_bytes(run + "/checkpoints/last.safetensors"), log = read_bytes(run + "/metrics.jsonl");
  const std::vector<std::string> all{"evaluate", run,      "--samples", "20",          "--limit",
                                     "5",        "--gaps", "10",        "--annealing", "5"};
  done(all);
  const auto judged = nlohmann::json::parse(read_bytes(run + "/evaluation.json"));
  done(all);
  EXPECT_EQ(nlohmann::json::parse(read_bytes(run + "/evaluation.json")), judged);
  EXPECT_EQ(read_bytes(run + "/checkpoints/last.safetensors"), state);
  EXPECT_EQ(read_bytes(run + "/metrics.jsonl"), log);
  const auto by_dimension = judged["kl_dim"].get<std::vector<double>>();
  ASSERT_EQ(by_dimension.size(), 3u);
  EXPECT_NEAR(std::accumulate(by_dimension.begin(), by_dimension.end(), 0.0), judged["kl"].get<double>(), 1e-6);
  for (const char* key :
       {"nll_upper_bound", "annealed_nll", "annealed_gap", "acceptance", "approximation_gap", "amortisation_gap",
        "amortisation_gap_error", "information", "aggregate_kl", "total_correlation"})
    EXPECT_TRUE(judged.contains(key)) << key;

  // A run against itself: the same items, draws and noise, so no difference at all.
  const std::string against = done({"evaluate", run, "--samples", "20", "--limit", "5", "--against", run});
  EXPECT_NE(against.find("log-likelihood less the other's         0.0000  +- 0.0000  paired"), std::string::npos)
      << against;

  done({"encode", run, "--out", folder.file("z.npy")});
  EXPECT_EQ(read_npy(folder.file("z.npy")).sizes(), (Shape{20, 6}));
  done({"traverse", run, "-n", "2", "--between"});
  EXPECT_EQ(read_bytes(run + "/images/interpolation.png").substr(1, 3), "PNG");
  done({"reconstruct", run, "-n", "8"});
  done({"sample", run, "-n", "9"});
  done({"traverse", run, "-n", "2"});
  for (const char* picture : {"reconstructions", "samples", "traversal"})
    EXPECT_EQ(read_bytes(run + "/images/" + picture + ".png").substr(1, 3), "PNG") << picture;
}

TEST(Run, AClosedModelIsComparedWithAnother) {
  const TemporaryFolder folder;
  const std::string run = folder.file("run"), other = folder.file("other");
  done(small_gmm(folder, run));
  auto arguments = small_gmm(folder, other);
  arguments.insert(arguments.end(), {"--set", "model.num_components=1"});
  done(arguments);
  const std::string text = done({"evaluate", run, "--against", other});
  const auto result = nlohmann::json::parse(read_bytes(run + "/evaluation.json"));
  done({"evaluate", other});
  const auto single = nlohmann::json::parse(read_bytes(other + "/evaluation.json"));
  EXPECT_NEAR(result["difference"].get<double>(),
              result["log_likelihood"].get<double>() - single["log_likelihood"].get<double>(), 1e-12);
  // The table has classes: three blobs, far apart.
  EXPECT_EQ(result["clustering_accuracy"], 1.0) << text;
  EXPECT_EQ(result["adjusted_rand_index"], 1.0);
  EXPECT_LT(single["clustering_accuracy"].get<double>(), .7);
}

TEST(Run, APosteriorThatHasCollapsedIsNamed) {
  const TemporaryFolder folder;
  auto arguments = small_vae(write_images(folder, "images.npy", 100), folder.file("run"), 1);
  arguments.insert(arguments.end(), {"--set", "model.objective.kl_weight=1e6"});
  done(arguments);
  const Outcome outcome = vem({"evaluate", folder.file("run"), "--samples", "2", "--limit", "5"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.err.find("vem: warning: the posterior has collapsed"), std::string::npos) << outcome.err;
}

TEST(Run, TheSavedConfigurationLoadsAgainUnchanged) {
  const TemporaryFolder folder;
  done(small_vae(write_images(folder, "images.npy", 100), folder.file("one"), 1));
  done({"train", folder.file("one") + "/config.toml", "--out", folder.file("two")});
  EXPECT_EQ(read_bytes(folder.file("one") + "/config.toml"), read_bytes(folder.file("two") + "/config.toml"));
  expect_equal_states(folder.file("one") + "/checkpoints/last.safetensors",
                      folder.file("two") + "/checkpoints/last.safetensors");
}

TEST(Run, ALongerRunEqualsOneThatWasLongFromTheStart) {
  const TemporaryFolder folder;
  const std::string images = write_images(folder, "images.npy", 100), run = folder.file("part");
  done(small_vae(images, folder.file("whole"), 4));
  done(small_vae(images, run, 2));
  done({"train", "--resume", run, "--set", "train.epochs=4"});
  expect_equal_states(folder.file("whole") + "/checkpoints/last.safetensors", run + "/checkpoints/last.safetensors");
  EXPECT_EQ(read_bytes(folder.file("whole") + "/config.toml"), read_bytes(run + "/config.toml"));
  const auto metrics = lines_of(run + "/metrics.jsonl");
  ASSERT_EQ(metrics.size(), 5u);  // the line that said why it stopped the first time is gone
  for (int i = 0; i < 4; ++i) EXPECT_EQ(metrics[i]["epoch"], i + 1);
}

TEST(Run, StoppedBySignalAndResumedEqualsUninterruptedBitwise) {
  const TemporaryFolder folder;
  const std::string images = write_images(folder, "images.npy", 2000), run = folder.file("stopped");
  const int64_t epochs = 60;
  ASSERT_EQ(wait_for_program(start_program(built_program(), small_vae(images, folder.file("whole"), epochs))), 0);
  const int process = start_program(built_program(), small_vae(images, run, epochs));
  for (int i = 0; i < 6000 && read_bytes(run + "/metrics.jsonl").empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  kill(process, SIGTERM);
  EXPECT_EQ(wait_for_program(process), 128 + SIGTERM);
  const auto metrics = lines_of(run + "/metrics.jsonl");
  EXPECT_EQ(metrics.back()["stopped"], "stopped on request");
  ASSERT_LT(static_cast<int64_t>(metrics.size()), epochs) << "the program was too fast for this test";
  ASSERT_EQ(wait_for_program(start_program(built_program(), {"train", "--resume", run})), 0);
  for (const char* name : {"last", "best"})
    expect_equal_states(fmt::format("{}/checkpoints/{}.safetensors", folder.file("whole"), name),
                        fmt::format("{}/checkpoints/{}.safetensors", run, name));
}

TEST(Run, DivergenceIsNamedAndLeavesTheLastGoodCheckpoint) {
  const TemporaryFolder folder;
  const std::string images = write_images(folder, "images.npy", 100), run = folder.file("run"),
                    good = folder.file("good");
  const auto rate = [](const std::string& then) {
    return "model.optimizer.learning_rate={kind = \"sequence\", first = 1e-3, until = 2, then = " + then + "}";
  };
  auto arguments = small_vae(images, run, 4);
  arguments.insert(arguments.end(), {"--set", rate("1e39")});
  const Outcome outcome = vem(arguments);
  EXPECT_EQ(outcome.code, 70);
  const size_t from = outcome.err.find("vem: fit: ");
  ASSERT_NE(from, std::string::npos) << outcome.err;
  for (const char* part : {" at iteration 5; not finite: the term ", "the parameter ", "; a lower learning rate"})
    EXPECT_NE(outcome.err.find(part, from), std::string::npos) << outcome.err;
  const Checkpoint last = load_checkpoint(run + "/checkpoints/last.safetensors");
  EXPECT_GE(last.state.at("trainer/counters")[0].item<int64_t>(), 1);  // passes within a second share a write
  for (const auto& [key, value] : last.state) {
    if (key.rfind("model/", 0) == 0) {
      EXPECT_TRUE(at::isfinite(value).all().item<bool>()) << key;
    }
  }
  done({"evaluate", run, "--samples", "2"});
}

TEST(Run, ResumingOtherDataIsRefused) {
  const TemporaryFolder folder;
  const std::string images = write_images(folder, "images.npy", 100), run = folder.file("run");
  done(small_vae(images, run, 1));
  write_images(folder, "images.npy", 80);
  const Outcome outcome = vem({"train", "--resume", run, "--set", "train.epochs=2"});
  EXPECT_EQ(outcome.code, 65);
  EXPECT_NE(outcome.err.find("has changed since the run began: 72 training items of shape [1, 8, 8] now, 90 of shape"),
            std::string::npos)
      << outcome.err;
}

// A run of an earlier version lacks options that came later. It goes on as it began, not with today's defaults.
TEST(Run, AConfigurationWithoutLaterOptionsKeepsItsMeaning) {
  const TemporaryFolder folder;
  std::string rows = "a,b,c\n";
  for (int i = 0; i < 60; ++i) rows += fmt::format("{},{},{}\n", i % 7, (5 * i) % 11, (i * i) % 30);
  const std::string table = folder.write("counts.csv", rows), run = folder.file("run"), now = folder.file("now");
  const auto train = [&](const std::string& out, const std::vector<std::string>& settings) {
    std::vector<std::string> arguments{"train", "vae", "--data", table, "--out", out, "--threads", "1"};
    for (const char* setting : {"model.likelihood=poisson", "model.encoder.widths=[8]", "model.decoder.widths=[8]",
                                "model.latent_dim=2", "train.epochs=2"})
      arguments.insert(arguments.end(), {"--set", setting});
    for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
    done(arguments);
  };
  const auto evaluated = [&](const std::string& of) { return done({"evaluate", of, "--samples", "5"}); };
  train(run, {"model.encoder_inputs=raw"});
  train(now, {});
  const std::string before = evaluated(run), option = "encoder_inputs = \"raw\"\n";
  std::string config = read_bytes(run + "/config.toml");
  ASSERT_NE(config.find(option), std::string::npos) << config;
  EXPECT_NE(read_bytes(now + "/config.toml").find("encoder_inputs = \"scaled\"\n"), std::string::npos);
  config.erase(config.find(option), option.size());
  std::ofstream(run + "/config.toml") << config;

  EXPECT_EQ(evaluated(run), before);
  const std::string again = folder.file("again");
  done({"train", run + "/config.toml", "--out", again});
  expect_equal_states(run + "/checkpoints/last.safetensors", again + "/checkpoints/last.safetensors");
  done({"train", "--resume", run, "--set", "train.epochs=3"});
  EXPECT_NE(read_bytes(run + "/config.toml").find(option), std::string::npos);
}

}  // namespace run_test
}  // namespace vem
