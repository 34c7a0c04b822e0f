// Sequences as people have them: every format, plain and gzipped, and what is wrong with a file.
#include "vem/data/sequences.h"

#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "vem/core/error.h"
#include "vem/data/source.h"
#include "vem/data/writers.h"

namespace vem {
namespace sequences_test {

using Words = std::vector<std::string>;

std::vector<int64_t> list(const Tensor& values) {
  const Tensor flat = values.to(at::kLong).contiguous().view({-1});
  return {flat.data_ptr<int64_t>(), flat.data_ptr<int64_t>() + flat.numel()};
}

class Sequences : public ::testing::Test {
 protected:
  Dataset load(const std::string& name, const std::string& text, const std::string& sequence = "",
               SequenceFormat format = SequenceFormat::automatic) {
    options_.source = folder_.write(name, text);
    options_.sequence = sequence;
    options_.sequences.format = format;
    return load_splits(options_).train;
  }
  /// The message about such a file, without its path.
  std::string refusal(const std::string& name, const std::string& text, const std::string& sequence = "",
                      SequenceFormat format = SequenceFormat::automatic) {
    const std::string message = message_of<DataError>([&] { load(name, text, sequence, format); });
    EXPECT_EQ(message.rfind(options_.source, 0), 0u) << message;
    return message.substr(options_.source.size());
  }
  TemporaryFolder folder_;
  DataOptions options_;
};

TEST_F(Sequences, AColumnOfATableNamesThem) {
  options_.columns = "b, a";
  const Dataset data = load("t.csv", "seq,a,note,b\nx,1,?,10\nx,2,?,20\ny,3,?,30\n\nz,4,?,40\nz,5,?,50\n", "seq");
  EXPECT_EQ(data.size, 3);
  EXPECT_EQ(list(data.offsets), (std::vector<int64_t>{0, 2, 3, 5}));
  EXPECT_EQ(data.schema.feature_names, (Words{"a", "b"}));
  EXPECT_EQ(list(data.columns.at("x")), (std::vector<int64_t>{1, 10, 2, 20, 3, 30, 4, 40, 5, 50}));
}

TEST_F(Sequences, AWholeTableOrArray) {
  EXPECT_EQ(list(load("t.csv", "a\n1\n2\n3\n", "*").offsets), (std::vector<int64_t>{0, 3}));
  options_.source = folder_.file("a.npy");
  write_npy(options_.source, at::arange(12, at::kDouble).view({2, 3, 2}));
  const Dataset many = load_splits(options_).train;
  EXPECT_EQ(list(many.offsets), (std::vector<int64_t>{0, 3, 6}));
  EXPECT_EQ(many.schema.item_shape, (Shape{2}));
  write_npy(options_.source, at::arange(12, at::kDouble).view({6, 2}));
  EXPECT_EQ(list(load_splits(options_).train.offsets), (std::vector<int64_t>{0, 6}));
  write_npy(options_.source, at::arange(12, at::kDouble));
  EXPECT_EQ(message_of<DataError>([&] { load_splits(options_); }),
            options_.source + ": has 1 dimensions; sequences are [steps, features] or [items, steps, features]");
}

TEST_F(Sequences, WhatIsWrongInATable) {
  EXPECT_EQ(refusal("t.csv", "s,a\n1,1\n2,1\n\n1,1\n", "s"),
            ":5: sequence '1' goes on, but it began in line 2 and another came between; sort the rows by sequence");
  EXPECT_EQ(refusal("t.csv", "s,a\n1,1\n", "t"), ": has no column named 't'; its columns are s, a");
  options_.columns = "a, c";
  EXPECT_EQ(refusal("t.csv", "s,a\n1,1\n", "s"), ": has no column named 'c'; its columns are s, a");
}

TEST_F(Sequences, Symbols) {
  const Dataset words = load("s.txt", "up down  up\n\nleft\n", "", SequenceFormat::symbols);
  EXPECT_EQ(symbols_of(words.schema.feature_names), (Words{"down", "left", "up"}));
  EXPECT_EQ(list(words.columns.at("x")), (std::vector<int64_t>{2, 0, 2, 1}));
  EXPECT_EQ(list(words.offsets), (std::vector<int64_t>{0, 3, 4}));
  EXPECT_EQ(words.columns.at("x").sizes(), at::IntArrayRef({4, 1}));
  const Dataset letters = load("s.txt", "abba\nc\n", "", SequenceFormat::symbols);
  EXPECT_EQ(symbols_of(letters.schema.feature_names), (Words{"a", "b", "c"}));
  EXPECT_EQ(list(letters.columns.at("x")), (std::vector<int64_t>{0, 1, 1, 0, 2}));
  EXPECT_EQ(refusal("s.txt", "\n \n", "", SequenceFormat::symbols), ": holds no symbols");
}

TEST_F(Sequences, Fasta) {
  const std::string text = ">one\nACgt\nUA\n>two a\n;comment\nNNC\n";
  for (const bool gzipped : {false, true}) {
    options_.source = gzipped ? folder_.write_gzipped("d.fa.gz", text) : folder_.write("d.dat", text);
    const Dataset data = load_splits(options_).train;
    EXPECT_EQ(symbols_of(data.schema.feature_names), (Words{"A", "C", "G", "T"}));
    EXPECT_EQ(list(data.offsets), (std::vector<int64_t>{0, 6, 9}));
    const Tensor x = data.columns.at("x").view({-1});
    EXPECT_EQ(list(at::isnan(x)), (std::vector<int64_t>{0, 0, 0, 0, 0, 0, 1, 1, 0}));
    EXPECT_EQ(list(x.nan_to_num(9)), (std::vector<int64_t>{0, 1, 2, 3, 3, 0, 9, 9, 1}));
  }
  EXPECT_EQ(symbols_of(load("p.faa", ">p\nMKVLE\n").schema.feature_names).size(), 20u);
  EXPECT_EQ(load("d.fa", ">d\nCCG\n").columns.at("x").scalar_type(), at::kByte);
}

TEST_F(Sequences, WhatIsWrongInFasta) {
  EXPECT_EQ(refusal("d.fa", "ACGT\n"), ":1: a line '>name' is expected before the first symbols");
  EXPECT_EQ(refusal("d.fa", ">a\nAC\n>b\n\n>c\nA\n"), ":3: no symbols follow this name");
  EXPECT_EQ(refusal("d.fa", ">a\nACGT\nAC1T\n"), ":3: '1' is neither a nucleotide nor an amino acid");
  EXPECT_EQ(refusal("d.fa", ""), ": holds no symbols");
}

TEST_F(Sequences, PianoRolls) {
  const Dataset data = load("p.txt", "0 21 60\n0\n1 108\n", "", SequenceFormat::piano_roll);
  const Tensor x = data.columns.at("x");
  EXPECT_EQ(x.sizes(), at::IntArrayRef({3, 88}));
  EXPECT_EQ(list(x.sum(1)), (std::vector<int64_t>{2, 0, 1}));
  EXPECT_EQ(x[0][39].item<int64_t>() + x[0][0].item<int64_t>() + x[2][87].item<int64_t>(), 3);
  EXPECT_EQ(list(data.offsets), (std::vector<int64_t>{0, 2, 3}));
  EXPECT_EQ(data.schema.feature_names[39], "note_60");
  EXPECT_EQ(refusal("p.txt", "0 60\n0 109\n", "", SequenceFormat::piano_roll),
            ":2: a MIDI note is '109'; a whole number from 21 to 108 is expected");
  EXPECT_EQ(refusal("p.txt", "0 60\n1 60\n0 60\n", "", SequenceFormat::piano_roll),
            ":3: sequence 0 goes on after sequence 1 began");
  EXPECT_EQ(refusal("p.txt", "", "", SequenceFormat::piano_roll), ": holds no time steps");
}

TEST_F(Sequences, AreSplitShuffledAndBatchedWhole) {
  std::string text = "s,a\n";
  for (int i = 0; i < 20; ++i)
    for (int t = 0; t <= i % 4; ++t) text += fmt::format("{},{}\n", i, 100 * i + t);
  options_.test = 5;
  options_.validation = 0.25;
  load("t.csv", text, "s");
  const Splits splits = load_splits(options_);
  EXPECT_EQ(splits.train.size, 10);
  EXPECT_EQ(splits.test.size, 5);
  for (const Dataset* part : {&splits.train, &splits.validation, &splits.test}) {
    const Batch batch = part->batch(Rng(1).permutation(part->size), 0, at::kDouble);
    const Tensor x = batch.at("x").view({-1}), item = batch.index.index_select(0, batch.row_item());
    EXPECT_TRUE(at::equal(x.div(100, "floor").to(at::kLong), item));
    EXPECT_TRUE(at::equal(batch.offsets.slice(0, 1) - batch.offsets.slice(0, 0, -1), batch.index.remainder(4) + 1));
  }
}

TEST_F(Sequences, SymbolsAreMatchedByName) {
  const Dataset train = load("s.txt", "abc\n", "", SequenceFormat::symbols);
  Dataset other = load("o.txt", "cca\n", "", SequenceFormat::symbols);
  EXPECT_EQ(list(match_symbols(other, train.schema).columns.at("x")), (std::vector<int64_t>{2, 2, 0}));
  other = load("o.txt", "az\n", "", SequenceFormat::symbols);
  EXPECT_EQ(message_of<DataError>([&] { match_symbols(other, train.schema); }),
            options_.source + ": has the symbol 'z', which the model was not trained on");
}

// What a file means is found out once: of the training file. A file of one symbol would be taken for characters, and
// amino acids for nucleotides, if each were looked at alone.
TEST_F(Sequences, OtherFilesAreReadAsTheTrainingFileWas) {
  options_.source = folder_.write("s.txt", "0 10 2\n2 0\n");
  options_.sequences.format = SequenceFormat::symbols;
  Splits trained = load_splits(options_);
  EXPECT_EQ(trained.options.sequences.unit, SymbolUnit::words);
  const auto read = [&](const std::string& name, const std::string& text) {
    return match_symbols(load_splits(read_alike(trained.options, folder_.write(name, text))).train,
                         trained.train.schema, trained.options.sequences.unseen);
  };
  EXPECT_EQ(list(read("one.txt", "10\n").columns.at("x")), (std::vector<int64_t>{1}));
  EXPECT_THROW(read("one.txt", "11\n"), DataError);
  trained.options.sequences.unseen = Unseen::missing;
  EXPECT_EQ(list(at::isnan(read("one.txt", "11 2\n").columns.at("x"))), (std::vector<int64_t>{1, 0}));

  options_ = DataOptions();
  options_.source = folder_.write("p.fa", ">p\nMKVLEN\n");
  trained = load_splits(options_);
  EXPECT_EQ(trained.options.sequences.alphabet, "protein");
  EXPECT_EQ(list(read("q.fa", ">q\nNKG\n").columns.at("x")), (std::vector<int64_t>{11, 8, 5}));
  EXPECT_EQ(message_of<DataError>([&] { read("q.fa", ">q\nN1\n"); }),
            folder_.file("q.fa") + ":2: '1' is neither a nucleotide nor an amino acid");
}

TEST_F(Sequences, AnAlphabetLeavesRoomForSymbolsNotYetSeen) {
  options_.sequences.alphabet = "3 1 2 10";
  const Dataset data = load("s.txt", "1 3 1\n", "", SequenceFormat::symbols);
  EXPECT_EQ(symbols_of(data.schema.feature_names), (Words{"3", "1", "2", "10"}));
  EXPECT_EQ(list(data.columns.at("x")), (std::vector<int64_t>{1, 0, 1}));
  EXPECT_EQ(list(load("s.txt", "10\n", "", SequenceFormat::symbols).columns.at("x")), (std::vector<int64_t>{3}));
  EXPECT_EQ(refusal("s.txt", "1 4\n", "", SequenceFormat::symbols),
            ":1: the symbol '4' is not in data.alphabet: 3 1 2 10");
  options_.sequences.unseen = Unseen::missing;
  EXPECT_EQ(list(at::isnan(load("s.txt", "1 4\n", "", SequenceFormat::symbols).columns.at("x"))),
            (std::vector<int64_t>{0, 1}));
  options_.sequences.alphabet = "A C G T N";
  EXPECT_EQ(list(load("d.fa", ">d\nACN\n").columns.at("x")), (std::vector<int64_t>{0, 1, 4}));
  options_.sequences.alphabet = "a b a";
  EXPECT_EQ(message_of<ConfigError>([&] { load("s.txt", "a\n", "", SequenceFormat::symbols); }),
            "data.alphabet: the symbol 'a' is there twice");
}

TEST_F(Sequences, UnseenCategoriesAreRefusedOrMissing) {
  options_.categories = "c";
  const Schema wanted = load("t.csv", "a,c\n1,x\n2,y\n").schema;
  const Dataset other = load("o.csv", "a,c\n1,z\n2,y\n");
  EXPECT_EQ(message_of<DataError>([&] { match_categories(other, wanted); }),
            options_.source + ": column 'c' holds 'z'; the model knows x, y");
  const Tensor c = match_categories(other, wanted, Unseen::missing).columns.at("x").select(1, 1);
  EXPECT_TRUE(at::isnan(c[0]).item<bool>());
  EXPECT_EQ(c[1].item<double>(), 1);
}

}  // namespace sequences_test
}  // namespace vem
