// Checkpoints: all of a run comes back bit by bit, and a file of another program is told apart.
#include "vem/train/checkpoint.h"

#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "vem/core/error.h"

namespace vem {
namespace checkpoint_test {

Schema images() { return {"set \"x\", part 1", {"length", "Größe", ""}, {1, 28, 28}, 10}; }

Checkpoint sample() {
  Checkpoint checkpoint;
  checkpoint.config = "[model]\nkind = \"vae\"  # \u2264\n";
  checkpoint.schema = images();
  checkpoint.state = {{"model/w", at::linspace(-1, 1, 7, at::kDouble).exp().clone().requires_grad_()},
                      {"optimizer/steps", at::scalar_tensor(12, at::kLong)},
                      {"trainer/local/q", at::full({3, 2}, std::nan(""), at::kFloat)},
                      {"trainer/none", at::empty({0}, at::kLong)}};
  checkpoint.notes = {{"threads", "2"}, {"torch", "1.13.1"}};
  return checkpoint;
}

class CheckpointFile : public testing::Test {
 protected:
  /// What is wrong with a checkpoint whose metadata were changed, without the path in front.
  std::string refusal(const std::string& key, const std::string& value) const {
    const std::string path = folder_.file("changed");
    save_checkpoint(path, sample());
    Safetensors file = load_safetensors(path);
    file.metadata[key] = value;
    save_safetensors(path, file);
    return message_of<DataError>([&] { load_checkpoint(path); }).substr(path.size());
  }

  TemporaryFolder folder_;
};

TEST_F(CheckpointFile, BringsEverythingBack) {
  const Checkpoint saved = sample();
  save_checkpoint(folder_.file("a"), saved);
  const Checkpoint loaded = load_checkpoint(folder_.file("a"));
  EXPECT_EQ(loaded.config, saved.config);
  EXPECT_EQ(loaded.schema, saved.schema);
  EXPECT_EQ(loaded.notes, saved.notes);
  ASSERT_EQ(loaded.state.size(), saved.state.size());
  for (const auto& [name, tensor] : saved.state) {
    EXPECT_EQ(loaded.state.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::allclose(loaded.state.at(name), tensor.detach(), 0, 0, true)) << name;
  }
}

TEST_F(CheckpointFile, EqualCheckpointsAreEqualFiles) {
  save_checkpoint(folder_.file("a"), sample());
  save_checkpoint(folder_.file("b"), load_checkpoint(folder_.file("a")));
  EXPECT_EQ(read_bytes(folder_.file("a")), read_bytes(folder_.file("b")));
}

TEST_F(CheckpointFile, TellsAnotherProgramsFile) {
  const std::string path = folder_.file("other");
  save_safetensors(path, {{{"model/w", at::ones({2})}}, {}});
  EXPECT_EQ(message_of<DataError>([&] { load_checkpoint(path); }),
            path + ": is no checkpoint of vem: its metadata have no format");
  EXPECT_EQ(refusal("format", "pt"), ": is no checkpoint of vem: its format is \"pt\", \"vem-checkpoint\" is expected");
  EXPECT_EQ(refusal("version", "2"), ": is a checkpoint of version 2, this program reads version 1");
}

TEST_F(CheckpointFile, SaysWhichMetadataAreDamaged) {
  const std::string fields = "an object with source, feature_names, item_shape and num_classes is expected";
  EXPECT_EQ(refusal("schema", "{"), ": its metadata are damaged: schema: " + fields);
  EXPECT_EQ(refusal("schema", "{}"), ": its metadata are damaged: schema: " + fields);
  EXPECT_EQ(refusal("schema", R"({"source":"","feature_names":[],"item_shape":[-784],"num_classes":0})"),
            ": its metadata are damaged: schema: the sizes of item_shape must be whole numbers from 1, got -784");
  EXPECT_EQ(refusal("schema", R"({"source":"","feature_names":[],"item_shape":[784],"num_classes":1.5})"),
            ": its metadata are damaged: schema: num_classes must be whole numbers from 0, got 1.5");
  EXPECT_EQ(refusal("notes", R"({"threads":2})"),
            ": its metadata are damaged: notes: a JSON object of texts is expected");
}

TEST_F(CheckpointFile, ACutFileIsRefused) {
  save_checkpoint(folder_.file("a"), sample());
  const std::string bytes = read_bytes(folder_.file("a")), path = folder_.write("b", bytes.substr(0, bytes.size() - 5));
  // 56 bytes of float64, 8 of int64, 24 of float32.
  EXPECT_EQ(message_of<DataError>([&] { load_checkpoint(path); }),
            path + ": its tensors take 88 bytes, 83 are there: it is cut off");
}

TEST_F(CheckpointFile, RefusesNamesThatAreNotUtf8AndKeepsTheOldFile) {
  const std::string path = folder_.write("a", "old");
  Checkpoint checkpoint = sample();
  checkpoint.schema.feature_names = {"l\xe4nge"};
  EXPECT_EQ(message_of<DataError>([&] { save_checkpoint(path, checkpoint); }),
            "checkpoint: the names of the schema hold text that is not UTF-8; convert the data's names");
  EXPECT_EQ(read_bytes(path), "old");
}

TEST(SchemaAsJson, HasOneFieldEach) {
  EXPECT_EQ(
      to_json(images()),
      R"({"categories":{},"feature_names":["length","Größe",""],"item_shape":[1,28,28],"num_classes":10,"source":"set \"x\", part 1"})");
  EXPECT_EQ(schema_from_json(to_json(images())), images());
  EXPECT_EQ(schema_from_json(to_json(Schema{})), Schema{});
}

}  // namespace checkpoint_test
}  // namespace vem
