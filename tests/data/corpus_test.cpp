// The readers of bags of words: one small corpus in every format, and every way in which a file can be wrong.
#include "vem/data/corpus.h"

#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "vem/core/error.h"
#include "vem/data/source.h"

namespace vem {
namespace corpus_test {

std::vector<int64_t> list(const Tensor& values) {
  const Tensor flat = values.to(at::kLong).contiguous();
  return {flat.data_ptr<int64_t>(), flat.data_ptr<int64_t>() + flat.numel()};
}

using Words = std::vector<std::string>;
using Ids = std::vector<int64_t>;

/// The same three documents everywhere: {1: 2, 3: 1}, {} and {0: 1, 3: 4}; words are counted from 0.
struct Written {
  const char* name;
  const char* text;
};
const Written kById[] = {
    {"a.ldac", "2 3:1 1:2\n0\n2 0:1 3:4\n"},
    {"content-lda-c", "2 1:2 3:1\n0\n2 0:1 3:4"},
    {"docword.a.txt", "3\n4\n4\n1 2 2\n1 4 1\n3 1 1\n3 4 4\n"},
    {"content-uci", "3\n4\n5\n1 2 2\n1 3 0\n1 4 1\n3 1 1\n3 4 4\n"},
    {"a.mtx", "%%MatrixMarket matrix coordinate integer general\n% by columns\n3 4 4\n3 1 1\n1 2 2\n1 4 1\n3 4 4\n"},
    {"content-mm", "%%MatrixMarket matrix coordinate real general\n3 4 4\n1 2 2.0\n1 4 1e0\n3 1 1\n3 4 4\n"},
    {"a.svm", "0 2:2 4:1 # first\n0\n# nothing\n0 1:1 3:0 4:4\n"},
    {"content-svmlight", "-1 2:2 4:1\n-1 2:0\n-1 1:1 4:4\n"},
};

void expect_the_three(const Dataset& data, const std::string& name) {
  EXPECT_EQ(data.size, 3) << name;
  EXPECT_EQ(list(data.offsets), (Ids{0, 2, 2, 4})) << name;
  EXPECT_EQ(list(data.columns.at("word")), (Ids{1, 3, 0, 3})) << name;
  EXPECT_EQ(list(data.columns.at("count")), (Ids{2, 1, 1, 4})) << name;
  EXPECT_EQ(data.schema.item_shape, (Shape{4})) << name;
}

std::string with_line_ends(const std::string& text, const std::string& end) {
  std::string out;
  for (const char c : text) out += c == '\n' ? end : std::string(1, c);
  return out;
}

TEST(Corpus, DocumentsAsRowsOfCountsAndBack) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a.ldac", kById[0].text);
  folder.write("a.labels", "b\na\nb\n");
  for (const bool stream : {false, true}) {
    CorpusOptions options;
    options.stream = stream;
    const Dataset documents = read_corpus(path, options), rows = rows_of_counts(documents);
    EXPECT_FALSE(rows.offsets.defined());
    EXPECT_EQ(rows.size, 3);
    const Tensor all = at::tensor({0, 2, 0, 1, 0, 0, 0, 0, 1, 0, 0, 4}, at::kDouble).view({3, 4});
    const Batch batch = rows.batch(at::tensor({2, 0, 1}, at::kLong), 0, at::kDouble);
    EXPECT_TRUE(at::equal(batch.at("x"), all.index_select(0, at::tensor({2, 0, 1}, at::kLong))));
    EXPECT_EQ(list(batch.at("label")), (Ids{1, 1, 0}));
    EXPECT_EQ(list(batch.index), (Ids{2, 0, 1}));
    // parts keep their place in the file
    const Batch part = rows.subset(at::tensor({1, 2}, at::kLong)).batch(at::tensor({1}, at::kLong), 0, at::kFloat);
    EXPECT_TRUE(at::equal(part.at("x"), all.slice(0, 2).to(at::kFloat)));
    EXPECT_EQ(list(part.index), (Ids{2}));
    const Batch back = as_documents(rows.batch(at::arange(3, at::kLong), 0, at::kFloat));
    EXPECT_EQ(list(back.at("word")), (Ids{1, 3, 0, 3}));
    EXPECT_EQ(list(back.at("count")), (Ids{2, 1, 1, 4}));
    EXPECT_EQ(list(back.offsets), (Ids{0, 2, 2, 4}));
    EXPECT_EQ(rows_of_counts(rows).disk, rows.disk);  // rows stay rows
  }
}

TEST(Corpus, EveryFormatByIdsPlainGzippedAndWithEveryLineEnd) {
  for (const Written& w : kById)
    for (const char* end : {"\n", "\r\n", "\r"}) {
      const TemporaryFolder folder;
      const std::string text = with_line_ends(w.text, end);
      expect_the_three(read_corpus(folder.write(w.name, text), {}), w.name);
      expect_the_three(read_corpus(folder.write_gzipped(std::string(w.name) + ".gz", text), {}), w.name);
    }
}

TEST(Corpus, EveryFormatByWords) {
  const Words words{"apple", "fig", "pear"};
  for (const Written& w : {Written{"a.low", "3\nfig pear fig\n\napple pear\n"},
                           Written{"content-gibbs", "3\nfig pear fig\n\napple pear\n\n"},
                           Written{"a.mallet", "d1 x The fig, the PEAR: fig!\nd2 y 12 a\nd3 x apple pear\n"},
                           Written{"a.txt", "Fig and pear (fig).\n\napple 3 pear\n"}}) {
    const TemporaryFolder folder;
    CorpusOptions options;
    options.stop_words = "english";
    const Dataset data = read_corpus(folder.write(w.name, w.text), options);
    EXPECT_EQ(data.schema.feature_names, words) << w.name;
    EXPECT_EQ(list(data.offsets), (Ids{0, 2, 2, 4})) << w.name;
    EXPECT_EQ(list(data.columns.at("word")), (Ids{1, 2, 0, 2})) << w.name;
    EXPECT_EQ(list(data.columns.at("count")), (Ids{2, 1, 1, 1})) << w.name;
    EXPECT_EQ(data.item_columns.count("label"), std::string(w.name) == "a.mallet");
    for (const auto& [name, label] : data.item_columns) EXPECT_EQ(list(label), (Ids{0, 1, 0})) << name;
  }
}

TEST(Corpus, AFolderOfTextsHasItsFoldersAsClasses) {
  const TemporaryFolder folder;
  for (const char* name : {"top/red", "top/blue", "top/.hidden"})
    std::filesystem::create_directories(folder.file(name));
  folder.write("top/red/1", "one two\ntwo three");
  folder.write("top/blue/2", "two");
  folder.write("top/.hidden/3", "never");
  folder.write("top/.also", "never");
  const Dataset data = read_corpus(folder.file("top"), {});
  EXPECT_EQ(data.schema.feature_names, (Words{"one", "three", "two"}));
  EXPECT_EQ(list(data.columns.at("word")), (Ids{2, 0, 1, 2}));  // blue before red
  EXPECT_EQ(list(data.columns.at("count")), (Ids{1, 1, 1, 2}));
  EXPECT_EQ(list(data.item_columns.at("label")), (Ids{0, 1}));
}

TEST(Corpus, TokensAreLettersWithInnerApostrophesAndHyphens) {
  const TemporaryFolder folder;
  const Dataset data =
      read_corpus(folder.write("a.txt", "don't x-ray -- 'quoted' na\xc3\xafve b\xc3\xa9 \xc3\xa9 c3po it's- end'"), {});
  EXPECT_EQ(data.schema.feature_names,
            (Words{"b\xc3\xa9", "don't", "end", "it's", "na\xc3\xafve", "po", "quoted", "x-ray"}));
}

TEST(Corpus, RareAndFrequentWordsAreLeftOutAndTheRestRenumbered) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a.txt", "aa bb cc\naa bb\naa dd\naa\n");
  CorpusOptions options;
  options.min_document_frequency = 2;
  options.max_document_frequency = 0.75;
  Dataset data = read_corpus(path, options);
  EXPECT_EQ(data.schema.feature_names, (Words{"bb"}));
  EXPECT_EQ(list(data.offsets), (Ids{0, 1, 2, 2, 2}));
  options.min_document_frequency = 0.5;  // of four documents
  options.max_document_frequency = 1;
  EXPECT_EQ(read_corpus(path, options).schema.feature_names, (Words{"aa", "bb"}));
  options.max_document_frequency = 0.4;
  EXPECT_EQ(message_of<DataError>([&] { read_corpus(path, options); }),
            path + ": no word is in at least 2 and at most 1.6 of 4 documents");
  options.min_document_frequency = 2;  // ids without names stay what they are
  options.max_document_frequency = 1;
  data = read_corpus(folder.write("b.ldac", "2 0:1 2:5\n1 2:1\n"), options);
  EXPECT_EQ(list(data.columns.at("word")), (Ids{2, 2}));
  EXPECT_EQ(data.schema.item_shape, (Shape{3}));
}

TEST(Corpus, VocabularyAndLabelsAreFoundBesideIt) {
  const TemporaryFolder folder;
  folder.write_gzipped("news.vocab.gz", "w0\nw1\nw2\nw3\nw4\n");
  folder.write("news-train_1.labels", "sport\nart\nsport\n");
  const Dataset data = read_corpus(folder.write("news-train_1.ldac", kById[0].text), {});
  EXPECT_EQ(data.schema.item_shape, (Shape{5}));
  EXPECT_EQ(data.schema.feature_names.size(), 5u);
  EXPECT_EQ(list(data.item_columns.at("label")), (Ids{1, 0, 1}));
  folder.write("vocab.enron.txt", "a\nb\nc\nd\n");
  EXPECT_EQ(read_corpus(folder.write("docword.enron.txt", kById[2].text), {}).schema.feature_names,
            (Words{"a", "b", "c", "d"}));
  CorpusOptions options;
  options.vocabulary = folder.write("some-words", "pear\nfig\n");
  const Dataset text = read_corpus(folder.write("a.txt", "fig apple fig pear"), options);
  EXPECT_EQ(text.schema.feature_names, (Words{"pear", "fig"}));
  EXPECT_EQ(list(text.columns.at("word")), (Ids{0, 1}));
  EXPECT_EQ(list(text.columns.at("count")), (Ids{1, 2}));
}

// ---- what is wrong with a file: one message each, with its place ----

struct Wrong {
  const char* name;
  std::string text;
  const char* message;  ///< after the path
};

const std::string kMm = "%%MatrixMarket matrix coordinate integer general\n";

std::vector<Wrong> wrong_files() {
  return {
      {"a.ldac", "1 0:1\n3 1:1 2:1\n", ":2: announces 3 different words, holds 2"},
      {"a.ldac", "1 0:1\n1 1:1 2:1\n", ":2: announces 1 different words, holds 2"},
      {"a.ldac", "1 0:-3\n", ":1: a count is '-3'; a whole number from 0 to 2147483647 is expected"},
      {"a.ldac", "1 0:1.5\n", ":1: a count is '1.5'; a whole number from 0 to 2147483647 is expected"},
      {"a.ldac", "1 0:1e300\n", ":1: a count is '1e300'; a whole number from 0 to 2147483647 is expected"},
      {"a.ldac", "1 0:1e999\n", ":1: a count is '1e999'; a whole number from 0 to 2147483647 is expected"},
      {"a.ldac", "1 0:nan\n", ":1: a count is 'nan'; a whole number from 0 to 2147483647 is expected"},
      {"a.ldac", "1 0:\n", ":1: a count is ''; a whole number from 0 to 2147483647 is expected"},
      {"a.ldac", "1 -1:1\n", ":1: an id is '-1'; a whole number from 0 to 2147483646 is expected"},
      {"a.ldac", "1 9999999999:1\n", ":1: an id is '9999999999'; a whole number from 0 to 2147483646 is expected"},
      {"a.ldac", "1 x:1\n", ":1: an id is 'x'; a whole number from 0 to 2147483646 is expected"},
      {"a.ldac", "1 5\n", ":1: '5' is no id:count"},
      {"a.ldac", "0\n\n3 4:1 2:1 4:2\n", ":3: word 4 (counted from 0) is there twice in document 2 (counted from 1)"},
      {"a.ldac", "x 1:1\n",
       ":1: the number of different words is 'x'; a whole number from 0 to 2147483647 is expected"},
      {"a.ldac", "", ": holds no documents"},
      {"a.ldac", "0\n", ": holds no words"},
      {"a.svm", "1 0:1\n", ":1: an id is '0'; a whole number from 1 to 2147483646 is expected"},
      {"a.svm", "1 3:1\n2 3:0.25\n", ":2: a count is '0.25'; a whole number from 0 to 2147483647 is expected"},
      {"a.svm", "3:1 4:1\n", ":1: a label is expected before '3:1'"},
      {"a.svm", "1 2:1 2:1\n", ":1: word 1 (counted from 0) is there twice in document 1 (counted from 1)"},
      {"docword.a.txt", "2\n4\n", ":3: truncated: the number of entries is missing"},
      {"docword.a.txt", "2\n4\n3\n1 1 1\n2 1 1\n",
       ":6: truncated: the header announces 3 entries, the file ends after 2"},
      {"docword.a.txt", "2\n4\n1\n1 1 1\n2 1 1\n", ":5: more entries than the 1 of the header"},
      {"docword.a.txt", "2\n4\n1\n3 1 1\n", ":4: a document is '3'; a whole number from 1 to 2 is expected"},
      {"docword.a.txt", "2\n4\n1\n1 5 1\n", ":4: a word is '5'; a whole number from 1 to 4 is expected"},
      {"docword.a.txt", "2\n4\n1\n1 0 1\n", ":4: a word is '0'; a whole number from 1 to 4 is expected"},
      {"docword.a.txt", "2\n4\n1\n1 1\n", ":4: a count is ''; a whole number from 0 to 2147483647 is expected"},
      {"docword.a.txt", "2\n4\n1\n1 1 1 1\n", ":4: more than 'document word count' in one line"},
      {"docword.a.txt", "2\n4\n2\n2 1 1\n1 1 1\n",
       ":5: document 1 comes after document 2; the format has them in ascending order"},
      {"docword.a.txt", "2\n4\n2\n1 3 1\n1 3 1\n",
       ":5: word 2 (counted from 0) is there twice in document 1 (counted from 1)"},
      {"docword.a.txt", "-2\n4\n2\n",
       ":1: the number of documents is '-2'; a whole number from 0 to 9007199254740992 is expected"},
      {"docword.a.txt", "5000000000000\n4\n1\n1 1 1\n",
       ":3: the header announces 5000000000000 documents for 1 entries; is it damaged?"},
      {"docword.a.txt", "1\n4000000000\n1\n1 1 1\n",
       ":3: the header announces 4000000000 words for 1 entries; is it damaged?"},
      {"docword.a.txt", "1\n1\n9007199254740992\n1 1 1\n",
       ":3: truncated: the header announces 9007199254740992 entries, for which the file is too short"},
      {"a.mtx", "3 4 1\n1 1 1\n",
       ":1: '3 4 1' is expected to be '%%MatrixMarket matrix coordinate integer general' (or real, or pattern)"},
      {"a.mtx", kMm + "3 4\n",
       ":2: the number of entries is ''; a whole number from 0 to 9007199254740992 is expected"},
      {"a.mtx", kMm + "3 4 1\n4 1 1\n", ":3: a row (document) is '4'; a whole number from 1 to 3 is expected"},
      {"a.mtx", kMm + "3 4 1\n1 1 1\n1 2 1\n", ":4: more entries than the 1 of the header"},
      {"a.mtx", kMm + "3 4 2\n1 1 1\n", ":4: truncated: the header announces 2 entries, the file ends after 1"},
      {"a.mtx", kMm + "3 4 3\n1 1 1\n2 1 1\n1 1 2\n",
       ":5: word 0 (counted from 0) is there twice in document 1 (counted from 1)"},
      {"a.low", "3\naa bb\ncc\n", ":4: truncated: the first line announces 3 documents, the file ends after 2"},
      {"a.low", "1\naa bb\ncc\n", ":3: more documents than the 1 of the first line"},
      {"a.low", "many\naa bb\n",
       ":1: the number of documents is 'many'; a whole number from 0 to 2147483647 is expected"},
      {"a.mallet", "d1 x aa bb\nd2\n", ":2: 'name label text' is expected, got 'd2'"},
      {"a.txt", "12 ...\n", ": holds no words"},
  };
}

TEST(Corpus, WrongFilesAreNamedWithTheirPlace) {
  for (const Wrong& wrong : wrong_files()) {
    const TemporaryFolder folder;
    for (const std::string& path :
         {folder.write(wrong.name, wrong.text), folder.write_gzipped(std::string(wrong.name) + ".gz", wrong.text)})
      EXPECT_EQ(message_of<DataError>([&] { read_corpus(path, {}); }), path + wrong.message) << wrong.text;
  }
}

TEST(Corpus, WrongVocabulariesAndLabelsAreNamed) {
  const auto error = [](const std::string& vocabulary, const std::string& labels) {
    const TemporaryFolder folder;
    if (!vocabulary.empty()) folder.write("a.vocab", vocabulary);
    if (!labels.empty()) folder.write("a.labels", labels);
    const std::string path = folder.write("a.ldac", "1 0:1\n1 3:2\n");
    return message_of<DataError>([&] { read_corpus(path, {}); }).substr(folder.path().string().size() + 1);
  };
  EXPECT_EQ(error("w0\nw1\nw2\n", ""), "a.ldac:2: word 3 (counted from 0) is out of range: there are 3 words");
  EXPECT_EQ(error("w0\n\nw2\nw3\n", ""), "a.vocab:2: a word is missing");
  EXPECT_EQ(error("w0\nw1\nw0\nw3\n", ""), "a.vocab:3: 'w0' is in line 1 already");
  EXPECT_EQ(error("\n", ""), "a.vocab: holds no words");
  EXPECT_EQ(error("", "x\ny\nz\n"), "a.labels: holds 3 labels for 2 documents");
  const TemporaryFolder folder;
  folder.write("vocab.a.txt", "w0\nw1\n");
  const std::string path = folder.write("docword.a.txt", kById[2].text);
  EXPECT_EQ(message_of<DataError>([&] { read_corpus(path, {}); }),
            path + ":3: the header announces 4 words, the vocabulary has 2");
}

TEST(Corpus, TruncatedAndDamagedGzipDataAreSeen) {
  for (const Written& w : kById) {
    const TemporaryFolder folder;
    std::string text = w.text;
    const std::string whole = read_bytes(folder.write_gzipped("whole.gz", text));
    const std::string cut = folder.write(std::string(w.name) + ".gz", whole.substr(0, whole.size() - 12));
    CorpusOptions options;
    options.format = corpus_format(folder.write(w.name, text));
    const std::string message = message_of<DataError>([&] { read_corpus(cut, options); });
    const size_t bytes = std::stoul(message.substr(message.rfind("after ") + 6));
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bytes), '\n');
    EXPECT_EQ(message, fmt::format("{}:{}: truncated: its gzip data end after {} bytes", cut, line, bytes));
  }
}

TEST(Corpus, FilesThatAreNoCorpusAreRefused) {
  const TemporaryFolder folder;
  EXPECT_EQ(corpus_format(folder.write("a", "some words\n")), CorpusFormat::automatic);
  EXPECT_EQ(corpus_format(folder.write("b", std::string("1 0:1\0", 6))), CorpusFormat::automatic);
  EXPECT_EQ(corpus_format(folder.write("c", "")), CorpusFormat::automatic);
  EXPECT_EQ(corpus_format(folder.file("none")), CorpusFormat::automatic);
  EXPECT_THROW(read_corpus(folder.file("a"), {}), DataError);
  EXPECT_THROW(read_corpus(folder.file("none.ldac"), {}), MissingInputError);
  std::filesystem::create_directory(folder.file("empty"));
  EXPECT_EQ(message_of<DataError>([&] { read_corpus(folder.file("empty"), {}); }),
            folder.file("empty") + ": holds no files");
}

// ---- as a source of training data ----

TEST(Corpus, IsSplitByDocuments) {
  const TemporaryFolder folder;
  std::string text;
  for (int d = 0; d < 20; ++d) text += fmt::format("2 {}:{} 30:1\n", d, d + 1);
  DataOptions options;
  options.source = folder.write("a.ldac", text);
  options.validation = 4;
  options.test = 0.25;
  for (const auto split : {DataOptions::Split::random, DataOptions::Split::tail}) {
    options.split = split;
    const Splits splits = load_splits(options);
    EXPECT_EQ(splits.train.size, 11);
    EXPECT_EQ(splits.validation.size, 4);
    EXPECT_EQ(splits.test.size, 5);
    std::vector<bool> seen(20, false);
    for (const Dataset* part : {&splits.train, &splits.validation, &splits.test}) {
      const Batch batch = part->batch(at::arange(part->size, at::kLong), 0, at::kDouble);
      const Ids index = list(batch.index), offsets = list(batch.offsets), words = list(batch.at("word")),
                counts = list(batch.at("count"));
      for (size_t i = 0; i < index.size(); ++i) {
        EXPECT_EQ(words[static_cast<size_t>(offsets[i])], index[i]);  // the document of this word
        EXPECT_EQ(counts[static_cast<size_t>(offsets[i])], index[i] + 1);
        EXPECT_EQ(offsets[i + 1] - offsets[i], 2);
        EXPECT_FALSE(seen[static_cast<size_t>(index[i])]);
        seen[static_cast<size_t>(index[i])] = true;
      }
    }
  }
  options.limit = 3;
  options.validation = options.test = 0;
  EXPECT_EQ(load_splits(options).train.columns.at("word").size(0), 6);
  options.binarize = Binarize::fixed;
  EXPECT_THROW(load_splits(options), ConfigError);
}

TEST(Corpus, WordsAreMatchedByName) {
  const TemporaryFolder folder;
  const Schema wanted = read_corpus(folder.write("a.txt", "apple fig pear"), {}).schema;
  Dataset other = match_words(read_corpus(folder.write("b.txt", "pear zebra apple pear\nzebra"), {}), wanted);
  EXPECT_EQ(other.schema.feature_names, wanted.feature_names);
  EXPECT_EQ(list(other.offsets), (Ids{0, 2, 2}));
  EXPECT_EQ(list(other.columns.at("word")), (Ids{0, 2}));
  EXPECT_EQ(list(other.columns.at("count")), (Ids{1, 2}));
  EXPECT_THROW(match_words(read_corpus(folder.write("c.txt", "zebra"), {}), wanted), DataError);
  EXPECT_THROW(match_words(read_corpus(folder.write("d.ldac", "1 3:1"), {}), wanted), DataError);
  other = match_words(read_corpus(folder.write("e.ldac", "1 1:1"), {}), wanted);
  EXPECT_EQ(other.schema.item_shape, (Shape{3}));
}

TEST(Corpus, DocumentsOnDiskAreTheSameDocuments) {
  for (const Written& w : kById) {
    const TemporaryFolder folder;
    CorpusOptions options;
    const std::string path = folder.write(w.name, w.text);
    const Dataset memory = read_corpus(path, options);
    options.stream = true;
    const Dataset disk = read_corpus(path, options);
    EXPECT_TRUE(disk.columns.empty());
    EXPECT_EQ(disk.schema.item_shape, memory.schema.item_shape);
    const Tensor order = at::tensor({2, 0, 1, 2}, at::kLong), rest = at::tensor({1, 0}, at::kLong);
    for (const auto& [a, b] : {std::pair{memory, disk}, std::pair{memory.subset(order), disk.subset(order)},
                               std::pair{memory.subset(order).subset(rest), disk.subset(order).subset(rest)}}) {
      const Tensor all = at::arange(a.size - 1, -1, -1, at::kLong);
      const Batch x = a.batch(all, 0, at::kDouble), y = b.batch(all, 0, at::kDouble);
      for (const char* column : {"word", "count"}) EXPECT_TRUE(at::equal(x.at(column), y.at(column))) << w.name;
      EXPECT_TRUE(at::equal(x.offsets, y.offsets));
      EXPECT_TRUE(at::equal(x.index, y.index));
    }
  }
}

TEST(Corpus, TextsOnDiskNeedAVocabulary) {
  const TemporaryFolder folder;
  CorpusOptions options;
  options.stream = true;
  const std::string path = folder.write("a.txt", "fig pear fig");
  EXPECT_THROW(read_corpus(path, options), ConfigError);
  options.vocabulary = folder.write("words", "pear\nfig\n");
  const Batch batch = read_corpus(path, options).batch(at::zeros({1}, at::kLong), 0, at::kDouble);
  EXPECT_EQ(list(batch.at("word")), (Ids{0, 1}));
  EXPECT_EQ(list(batch.at("count")), (Ids{1, 2}));
}

TEST(Corpus, ReadsRealCorpora) {
  if (shared_data().empty()) GTEST_SKIP() << "VEM_SHARED_DATA is not set";
  const Dataset ap = read_corpus(shared_data() + "/bow/ap.ldac.gz", {});
  EXPECT_EQ(ap.size, 2246);
  EXPECT_EQ(ap.schema.feature_names.size(), 10473u);
  EXPECT_EQ(ap.columns.at("count").sum().item<int64_t>(), 435838);
  const Dataset news = read_corpus(shared_data() + "/bow/20news-full-train.ldac.gz", {});
  EXPECT_EQ(news.size, 11269);
  EXPECT_EQ(news.schema.num_classes, 20);
  EXPECT_EQ(news.schema.feature_names.size(), 61188u);
}

}  // namespace corpus_test
}  // namespace vem
