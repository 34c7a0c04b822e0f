// What files announce, or unpack to, against what data may take: refused with a message before it is allocated.
#include "vem/data/memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "../src/data/mapped.h"
#include "support/memory_limit.h"
#include "support/temporary_folder.h"
#include "vem/core/error.h"
#include "vem/data/corpus.h"
#include "vem/data/readers.h"
#include "vem/data/sequences.h"
#include "vem/data/source.h"

namespace vem {
namespace memory_test {

constexpr int64_t kMiB = int64_t{1} << 20;
const std::string kAdvice = "; data.max_memory raises that";

/// The message for a file of documents, without its folder, where data may take `limit` bytes.
std::string corpus_error(const TemporaryFolder& folder, const std::string& path, CorpusFormat format, int64_t limit) {
  const MemoryLimitScope scope(limit);
  CorpusOptions options;
  options.format = format;
  const std::string message = message_of<DataError>([&] { read_corpus(path, options); });
  return message.substr(folder.path().string().size() + 1);
}
std::string corpus_error(const std::string& text, CorpusFormat format, int64_t limit) {
  const TemporaryFolder folder;
  return corpus_error(folder, folder.write("c", text), format, limit);
}

TEST(Memory, AmountsAreReadAndShown) {
  EXPECT_EQ(memory_amount("8G", "o"), int64_t{8} << 30);
  EXPECT_EQ(memory_amount("1.5KiB", "o"), 1536);
  EXPECT_EQ(memory_amount("500mb", "o"), 500 * kMiB);
  EXPECT_EQ(memory_amount("2T", "o"), int64_t{2} << 40);
  EXPECT_EQ(memory_amount("12345", "o"), 12345);
  EXPECT_EQ(memory_amount("7B", "o"), 7);
  for (const char* text : {"", "G", "-1G", "0", "8X", "8GG", "8G x", "nan", "inf", "1e30"})
    EXPECT_EQ(message_of<ConfigError>([&] { memory_amount(text, "o"); }),
              std::string("o must be an amount of memory such as \"8G\", \"500M\" or a number of bytes, or \"auto\", "
                          "got \"") +
                  text + "\"");
  EXPECT_EQ(memory_text(1023), "1023 B");
  EXPECT_EQ(memory_text(1536), "1.5 KiB");
  EXPECT_EQ(memory_text(51.25 * (int64_t{1} << 30)), "51.2 GiB");
}

TEST(Memory, TheLimitIsAShareOfWhatTheProcessMayHave) {
  const int64_t free = default_memory_limit();
  EXPECT_GT(free, 0);
  EXPECT_EQ(memory_limit() > 0, true);
  {
    const MemoryLimit limit(100 * kMiB);  // RLIMIT_DATA
    EXPECT_LE(default_memory_limit(), 80 * kMiB);
    EXPECT_GT(default_memory_limit(), 40 * kMiB);
    const MemoryLimitScope scope(7);
    EXPECT_EQ(memory_limit(), 7);
  }
  rlimit before{}, small{};
  getrlimit(RLIMIT_AS, &before);
  small = before;
  small.rlim_cur = static_cast<rlim_t>(kMiB);  // less than the program has by now
  ASSERT_EQ(setrlimit(RLIMIT_AS, &small), 0);
  const int64_t none = default_memory_limit();
  setrlimit(RLIMIT_AS, &before);
  EXPECT_EQ(none, 0);
}

TEST(Memory, WordIdsAreBoundByWhatAModelOfThemWouldTake) {
  const std::string model = ": a model of a vocabulary of ";
  EXPECT_EQ(corpus_error("1 0:1\n1 2147483646:1\n", CorpusFormat::lda_c, 4 << 20),
            "c:2" + model + "2147483647 words: 128.0 GiB of memory would be needed, data may take 4.0 MiB" + kAdvice);
  EXPECT_EQ(corpus_error("a 1000001:1\n", CorpusFormat::svmlight, 10 * kMiB),
            "c:1" + model + "1000001 words: 61.0 MiB of memory would be needed, data may take 10.0 MiB" + kAdvice);
  EXPECT_EQ(corpus_error("1\n900000\n1\n1 1 1\n", CorpusFormat::uci, kMiB).substr(0, 3), "c:3");
  const std::string mtx = "%%MatrixMarket matrix coordinate integer general\n1 900000 1\n1 1 1\n";
  EXPECT_EQ(corpus_error(mtx, CorpusFormat::matrix_market, kMiB).substr(0, 3), "c:2");
  // A vocabulary that there is bounds them by itself.
  const TemporaryFolder folder;
  folder.write("c.vocab", "a\nb\n");
  EXPECT_EQ(corpus_error(folder, folder.write("c.ldac", "1 2147483646:1\n"), CorpusFormat::lda_c, kMiB),
            "c.ldac:1: word 2147483646 (counted from 0) is out of range: there are 2 words");
}

TEST(Memory, HeadersAreHeldAgainstTheLengthOfTheFile) {
  for (const std::string size : {"900000000000", "1e15"}) {
    const std::string entries = "the header announces " + std::string(size == "1e15" ? "1000000000000000" : size) +
                                " entries, for which the file is too short";
    EXPECT_NE(corpus_error(size + "\n5\n" + size + "\n1 1 1\n", CorpusFormat::uci, kMiB).find(entries),
              std::string::npos);
    const std::string mtx = "%%MatrixMarket matrix coordinate integer general\n" + size + " 5 " + size + "\n1 1 1\n";
    EXPECT_NE(corpus_error(mtx, CorpusFormat::matrix_market, kMiB).find(entries), std::string::npos);
  }
  EXPECT_EQ(corpus_error("900000\n1\n1\n900000 1 1\n", CorpusFormat::uci, kMiB),
            "c:3: 900000 documents: 6.9 MiB of memory would be needed, data may take 1.0 MiB" + kAdvice);
}

TEST(Memory, WhatGrowsLineByLineStopsAtTheLimit) {
  std::string words, documents, steps;
  for (int i = 0; i < 20000; ++i) words += fmt::format("word{}\n", i);
  for (int i = 0; i < 200000; ++i) documents += "1 0:1\n";
  for (int i = 0; i < 10000; ++i) steps += "0\n";
  const auto starts = [](const std::string& message, const std::string& start) {
    EXPECT_EQ(message.substr(0, start.size()), start);
  };
  starts(corpus_error("20000\n" + words, CorpusFormat::gibbs_lda, kMiB), "c: its vocabulary: 1.0 MiB of memory");
  starts(corpus_error(documents, CorpusFormat::lda_c, kMiB), "c:65536: its documents: 1.0 MiB of memory would");
  const TemporaryFolder folder;
  CorpusOptions vocabulary;
  vocabulary.format = CorpusFormat::gibbs_lda;
  vocabulary.vocabulary = folder.write("v", words);
  SequenceOptions options;
  options.format = SequenceFormat::symbols;
  options.unit = SymbolUnit::words;
  const std::string symbols = folder.write("s", words), corpus = folder.write("c", "1\na\n");
  const MemoryLimitScope scope(kMiB);
  starts(message_of<DataError>([&] { read_corpus(corpus, vocabulary); }), folder.file("v") + ":");
  starts(message_of<DataError>([&] { read_sequences(symbols, options); }),
         symbols + ": its different symbols: 1.0 MiB");
  options.format = SequenceFormat::piano_roll;
  starts(message_of<DataError>([&] { read_sequences(folder.write("p", steps), options); }), folder.file("p") + ":");
}

TEST(Memory, ALineWithoutAnEndIsNotHeld) {
  const TemporaryFolder folder;
  const std::string zeros = folder.write_gzipped("z.txt.gz", std::string(40 * kMiB, '\0'));
  const MemoryLimitScope scope(16 * kMiB);
  const std::string expected = zeros +
                               ":1: this line is longer than 2.0 MiB; is it text? An eighth of data.max_memory "
                               "is the longest that is read";
  EXPECT_EQ(message_of<DataError>([&] { read_csv(zeros, ','); }), expected);
  CorpusOptions options;
  EXPECT_EQ(message_of<DataError>([&] { read_corpus(zeros, options); }), expected);
}

// 3,000 names and rows of one cell would be a table of 70 MiB; the rows are looked at before there is one.
TEST(Memory, TablesAreLaidOutOnceTheirRowsAreKnown) {
  const TemporaryFolder folder;
  std::string header = "a0", commas;
  for (int i = 1; i < 3000; ++i) header += fmt::format(",a{}", i), commas += ',';
  std::string text = header + "\n";
  for (int i = 0; i < 3000; ++i) text += "1\n";
  const std::string path = folder.write("t.csv", text);
  const MemoryLimitScope scope(16 * kMiB);
  EXPECT_EQ(message_of<DataError>([&] { read_csv(path, ','); }), path + ":2: has 1 cells, 3000 are expected");
  text = header + "\n";
  for (int i = 0; i < 3000; ++i) text += commas + "\n";
  const std::string full = folder.write("f.csv", text);
  EXPECT_EQ(message_of<DataError>([&] { read_csv(full, ','); }),
            full + ": 3000 rows of 3000 columns: 68.7 MiB of memory would be needed, data may take 16.0 MiB" + kAdvice);
  const std::string wide = folder.write("w.csv", std::string(100000, ',') + "\n");
  EXPECT_EQ(message_of<DataError>([&] { read_csv(wide, ','); }).substr(wide.size(), 21), ":1: so many columns: ");
}

TEST(Memory, ArraysThatUnpackToMoreAreRefused) {
  const TemporaryFolder folder;
  const auto big = [](uint32_t n) { return std::string{'\0', '\0', static_cast<char>(n >> 8), static_cast<char>(n)}; };
  const std::string images = std::string("\0\0\x08\x03", 4) + big(40) + big(1000) + big(1000),
                    idx = folder.write_gzipped("i.gz", images + std::string(40000000, '\0'));
  std::string header = "{'descr': '<f8', 'fortran_order': False, 'shape': (5000000,), }";
  header.resize(118, ' ');
  const std::string npy = folder.write_gzipped(
      "a.npy.gz", std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + std::string(40000000, '\0'));
  const MemoryLimitScope scope(16 * kMiB);
  EXPECT_EQ(
      message_of<DataError>([&] { read_idx(idx); }),
      idx + ": its 40 x 1000 x 1000 values: 38.1 MiB of memory would be needed, data may take 16.0 MiB" + kAdvice);
  EXPECT_EQ(message_of<DataError>([&] { read_npy(npy); }),
            npy + ": its 5000000 values: 38.1 MiB of memory would be needed, data may take 16.0 MiB" + kAdvice);
}

TEST(Memory, TheOptionIsTheLimit) {
  const TemporaryFolder folder;
  DataOptions options;
  options.source = folder.write("c.ldac", "1 1000000:1\n");
  options.max_memory = "10M";
  EXPECT_EQ(message_of<DataError>([&] { load_splits(options); }),
            options.source +
                ":1: a model of a vocabulary of 1000001 words: 61.0 MiB of memory would be needed, data "
                "may take 10.0 MiB" +
                kAdvice);
  options.max_memory = "100M";
  EXPECT_EQ(load_splits(options).train.size, 1);
  options.max_memory = "much";
  EXPECT_THROW(load_splits(options), ConfigError);
}

TEST(Memory, TemporaryFilesNeedSpace) {
  const Shape shape{1024, 1024};
  rlimit before{}, small{};
  getrlimit(RLIMIT_FSIZE, &before);
  small = before;
  small.rlim_cur = static_cast<rlim_t>(kMiB);
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = message_of<OutputError>([&] { temporary_tensor(shape, at::kDouble, "a.csv"); });
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(message, "a.csv: its rows need 8.0 MiB more in a temporary file, files may have 1.0 MiB (ulimit -f)");
  if (temporary_files_take_memory()) return;  // that is another refusal
  EXPECT_NE(message_of<OutputError>([&] {
              temporary_tensor({int64_t{1} << 40, 1024}, at::kDouble, "a.csv");
            }).find("a.csv: its rows need 8192.0 TiB more in a temporary file, "),
            std::string::npos);
}

}  // namespace memory_test
}  // namespace vem
