// What the readers of bags of words share: numbers with their places, documents, vocabularies. Private to the readers.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "row_file.h"
#include "unicode.h"
#include "vem/data/corpus.h"
#include "vem/data/memory.h"

namespace vem {

/// The next field of `text` between blanks, taken off its front; empty at the end.
std::string_view next_field(std::string_view& text);

/// A line of a file, for messages.
struct Place {
  const std::string& path;
  int64_t line;
  std::string text() const;
};

/// A whole number in [min, max], or a DataError "path:line: what is ..., ... expected". 3, 3.0 and 3e0 are whole.
int64_t whole_number(std::string_view field, int64_t min, int64_t max, const Place& place, const char* what);

constexpr int64_t kMaxId = 2147483647;            // ids and counts are int32
constexpr int64_t kMaxTokens = int64_t{1} << 53;  // of a corpus: whole numbers that a double holds

/// Collects documents, one after the other.
class CorpusBuilder {
 public:
  /// `num_words`: ids must be below it; 0: not known. `disk`: rows go there; null: into memory.
  CorpusBuilder(std::string path, int64_t num_words, std::shared_ptr<RowFile> disk)
      : path_(std::move(path)), num_words_(num_words), disk_(std::move(disk)), memory_(path_) {}

  const std::string& path() const { return path_; }
  Place at(int64_t line) const { return {path_, line}; }

  /// The numbers of words, documents and entries that a header announces in a file of at most `file_size` bytes.
  /// DataError if the vocabulary has another size, if the file is too short for so many entries, if so few entries do
  /// not need so many words and documents, or if these take too much memory.
  void declare(int64_t num_words, int64_t num_documents, int64_t num_entries, int64_t line, int64_t file_size);
  /// A word, counted from 0, of the current document; the line is for messages. Zeros are left out. DataError for a
  /// word beyond the vocabulary or, where that is not known, beyond what memory holds.
  void add(int64_t word, int64_t count, int64_t line);
  /// A token of the current document, by its text.
  void add(std::string_view token);
  /// Closes the current document. `label` is empty where there is none.
  void finish(const std::string& label = "");

  int64_t num_documents() const { return static_cast<int64_t>(offsets_.size()) - 1; }
  /// Words known beforehand, as a vocabulary's; later tokens that are not among them are left out.
  void set_vocabulary(const std::vector<std::string>& words);
  /// Everything as a data set; words of tokens get ids in the order of their bytes, unless a vocabulary was set.
  Dataset take();

 private:
  struct Entry {
    int32_t word;
    int64_t count, line;
  };
  void hold_entry(const Entry& entry);
  void expect_vocabulary(int64_t num_words, int64_t line) const;
  void merge();
  void sort_vocabulary(Dataset& data);

  std::string path_;
  int64_t num_words_;
  std::vector<Entry> current_;
  std::vector<int32_t> words_, counts_;
  std::vector<int64_t> offsets_{0};
  std::vector<std::string> labels_;  // up to the last one that there is
  std::shared_ptr<RowFile> disk_;
  int32_t largest_ = -1;
  int64_t tokens_read_ = 0;
  std::unordered_map<std::string, int32_t> ids_;
  std::string token_;
  bool tokens_ = false, fixed_ = false;
  MemoryMeter memory_;
};

/// Gives each word w the id place[w] [V] int32, and leaves those out whose place is -1; rows stay ascending in a
/// document.
void renumber_words(Dataset& data, const Tensor& place);

// The readers of one format each.
void read_lda_c(CorpusBuilder& corpus);
void read_svmlight(CorpusBuilder& corpus);
void read_uci(CorpusBuilder& corpus);
void read_matrix_market(CorpusBuilder& corpus);

/// Text becomes words, as WordBreaker says; stop words are left out. By the rule "bytes" of earlier versions every byte
/// above 127 is a letter and only ASCII letters have a lower case, which is the same for ASCII.
class Tokenizer {
 public:
  Tokenizer(const std::string& stop_words, Tokenization rule);
  void add(CorpusBuilder& corpus, std::string_view text) const;

 private:
  void add_word(CorpusBuilder& corpus, const std::string& word) const;
  void add_runs(CorpusBuilder& corpus, std::string_view text) const;

  std::unique_ptr<WordBreaker> breaker_;  // null for the rule "bytes"
  std::unordered_map<std::string, bool> stop_words_;
};
void read_gibbs_lda(CorpusBuilder& corpus);
void read_mallet(CorpusBuilder& corpus, const Tokenizer& tokenizer);
void read_text(CorpusBuilder& corpus, const Tokenizer& tokenizer);

/// One word a line; DataError for an empty line or a word that is there twice.
std::vector<std::string> read_words(const std::string& path);

/// Different words without missing ones ("" and NA): by value where all are whole numbers, else in the order of bytes.
std::vector<std::string> classes_of(const std::vector<std::string>& words);
/// The place of each word in `classes`; -1 where it is missing.
Tensor class_ids(const std::vector<std::string>& words, const std::vector<std::string>& classes);

/// labels [items] int64 of which all but `count` are missing (-1): those that stay are drawn from the seed, as many of
/// each class as of every other, one more of the first classes where they can not be equal.
Tensor kept_labels(const Tensor& labels, int64_t count, uint64_t seed);

}  // namespace vem
