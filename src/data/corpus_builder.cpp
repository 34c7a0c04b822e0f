// Documents as they come from any reader: sorted, checked for repetitions, laid out as CSR rows.
#include "corpus_builder.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "lines.h"
#include "vem/core/error.h"

namespace vem {

std::string_view next_field(std::string_view& text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return text = {};
  text.remove_prefix(first);
  const std::string_view field = text.substr(0, text.find_first_of(" \t"));
  text.remove_prefix(field.size());
  return field;
}

std::string Place::text() const { return fmt::format("{}:{}", path, line); }

int64_t whole_number(std::string_view field, int64_t min, int64_t max, const Place& place, const char* what) {
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  const bool number = error != std::errc::invalid_argument && end == field.data() + field.size() && !field.empty();
  const bool inside = error == std::errc() && value >= static_cast<double>(min) && value <= static_cast<double>(max);
  if (number && inside && value == std::floor(value)) return static_cast<int64_t>(value);
  fail<DataError>("{}: {} is '{}'; a whole number from {} to {} is expected", place.text(), what, field.substr(0, 40),
                  min, max);
}

// Models hold a few numbers of float64 for each word and topic, and have two topics or more.
constexpr double kBytesPerWord = 64;
// A token in the table of ids, in the sorted list, and in the data set.
constexpr double kBytesPerToken = 3 * sizeof(std::string) + 64;

void CorpusBuilder::expect_vocabulary(int64_t num_words, int64_t line) const {
  memory_.expect(kBytesPerWord * static_cast<double>(num_words),
                 fmt::format("a model of a vocabulary of {} words", num_words), line);
}

void CorpusBuilder::declare(int64_t num_words, int64_t num_documents, int64_t num_entries, int64_t line,
                            int64_t file_size) {
  if (num_words_ > 0 && num_words != num_words_)
    fail<DataError>("{}: the header announces {} words, the vocabulary has {}", at(line).text(), num_words, num_words_);
  constexpr int64_t kEntryBytes = 4;  // "1 1\n" at least
  if (num_entries > file_size / kEntryBytes + 1)
    fail<DataError>("{}: truncated: the header announces {} entries, for which the file is too short", at(line).text(),
                    num_entries);
  num_words_ = num_words;
  // Empty documents and unused words are legal, but a few entries do not come with millions of them.
  const int64_t most = std::max<int64_t>(1000000, 100 * num_entries);
  for (const auto& [what, number] : {std::pair{"documents", num_documents}, std::pair{"words", num_words}})
    if (number > most)
      fail<DataError>("{}: the header announces {} {} for {} entries; is it damaged?", at(line).text(), number, what,
                      num_entries);
  expect_vocabulary(num_words, line);
  memory_.expect(sizeof(int64_t) * static_cast<double>(num_documents), fmt::format("{} documents", num_documents),
                 line);
}

void CorpusBuilder::add(int64_t word, int64_t count, int64_t line) {
  if (num_words_ > 0 && word >= num_words_)
    fail<DataError>("{}: word {} (counted from 0) is out of range: there are {} words", at(line).text(), word,
                    num_words_);
  if (count == 0) return;
  if (word > largest_ && num_words_ == 0) expect_vocabulary(word + 1, line);
  largest_ = std::max(largest_, static_cast<int32_t>(word));
  hold_entry({static_cast<int32_t>(word), count, line});
}

void CorpusBuilder::hold_entry(const Entry& entry) {
  memory_.hold(sizeof(Entry), "its documents", entry.line);
  current_.push_back(entry);
}

void CorpusBuilder::add(std::string_view token) {
  tokens_ = true;
  token_.assign(token);
  if (fixed_) {
    const auto found = ids_.find(token_);
    if (found != ids_.end()) hold_entry({found->second, 1, 0});
    return;
  }
  const auto inserted = ids_.try_emplace(token_, static_cast<int32_t>(ids_.size()));
  if (inserted.second) memory_.hold(kBytesPerToken + 3 * static_cast<double>(token_.size()), "its vocabulary");
  hold_entry({inserted.first->second, 1, 0});
}

/// Sorts the current document and adds up equal tokens; equal ids of a file of counts are an error.
void CorpusBuilder::merge() {
  std::stable_sort(current_.begin(), current_.end(), [](const Entry& a, const Entry& b) { return a.word < b.word; });
  size_t last = 0;
  for (size_t i = 1; i < current_.size(); ++i) {
    if (current_[i].word != current_[last].word)
      current_[++last] = current_[i];
    else if (tokens_)
      current_[last].count += current_[i].count;
    else
      fail<DataError>("{}: word {} (counted from 0) is there twice in document {} (counted from 1)",
                      at(current_[i].line).text(), current_[i].word, num_documents() + 1);
  }
  if (!current_.empty()) current_.resize(last + 1);
}

void CorpusBuilder::finish(const std::string& label) {
  memory_.release(static_cast<double>(current_.size() * sizeof(Entry)));
  merge();
  const size_t rows = disk_ ? 0 : 2 * sizeof(int32_t) * current_.size();
  const size_t labels = label.empty() ? 0 : 2 * (sizeof(std::string) + label.size());
  memory_.hold(static_cast<double>(sizeof(int64_t) + rows + labels), "its documents");
  for (const Entry& entry : current_) {
    tokens_read_ += entry.count;
    if (entry.count > kMaxId || tokens_read_ > kMaxTokens)
      fail<DataError>(
          "{}: {}", entry.line > 0 ? at(entry.line).text() : path_,
          entry.count > kMaxId
              ? "a word is in a document more than 2^31 times"
              : "the counts up to here add up to more than 2^53, which sums of float64 do not hold exactly");
    if (disk_) {
      disk_->append(entry.word, static_cast<int32_t>(entry.count));
    } else {
      words_.push_back(entry.word);
      counts_.push_back(static_cast<int32_t>(entry.count));
    }
  }
  offsets_.push_back(offsets_.back() + static_cast<int64_t>(current_.size()));
  if (!label.empty()) {
    labels_.resize(static_cast<size_t>(num_documents()));
    labels_.back() = label;
  }
  current_.clear();
}

void CorpusBuilder::set_vocabulary(const std::vector<std::string>& words) {
  fixed_ = true;
  num_words_ = static_cast<int64_t>(words.size());
  for (size_t i = 0; i < words.size(); ++i) ids_.emplace(words[i], static_cast<int32_t>(i));
}

Dataset CorpusBuilder::take() {
  Dataset data;
  data.size = num_documents();
  if (data.size == 0) fail<DataError>("{}: holds no documents", path_);
  if (disk_) {
    disk_->flush();
    data.disk = disk_;
  } else {
    data.columns["word"] = at::tensor(words_, at::kInt);
    data.columns["count"] = at::tensor(counts_, at::kInt);
  }
  data.offsets = at::tensor(offsets_, at::kLong);
  if (!labels_.empty()) {
    labels_.resize(static_cast<size_t>(data.size));
    const std::vector<std::string> classes = classes_of(labels_);
    data.item_columns["label"] = class_ids(labels_, classes);
    data.schema.num_classes = static_cast<int64_t>(classes.size());
  }
  int64_t num_words = num_words_;
  if (tokens_ && !fixed_)
    num_words = static_cast<int64_t>(ids_.size());
  else if (num_words == 0)
    num_words = largest_ + 1;
  if (num_words == 0) fail<DataError>("{}: holds no words", path_);
  data.schema.item_shape = {num_words};
  if (tokens_ && !fixed_) sort_vocabulary(data);
  return data;
}

/// Words get ids in the order of their bytes, so that they do not depend on the order of the documents.
void CorpusBuilder::sort_vocabulary(Dataset& data) {
  std::vector<std::string>& names = data.schema.feature_names;
  for (const auto& entry : ids_) names.push_back(entry.first);
  std::sort(names.begin(), names.end());
  std::vector<int32_t> place(names.size());
  for (size_t i = 0; i < names.size(); ++i) place[static_cast<size_t>(ids_.at(names[i]))] = static_cast<int32_t>(i);
  renumber_words(data, at::tensor(place, at::kInt));
}

void renumber_words(Dataset& data, const Tensor& place) {
  const Tensor words = place.index_select(0, data.columns.at("word"));
  const Tensor items = at::repeat_interleave(data.offsets.slice(0, 1) - data.offsets.slice(0, 0, -1));
  const Tensor kept = words.ge(0).nonzero().squeeze(1);
  // By document, then by word: two stable sorts.
  const Tensor by_word = std::get<1>(words.index_select(0, kept).sort(true, 0, false));
  const Tensor by_item = std::get<1>(items.index_select(0, kept).index_select(0, by_word).sort(true, 0, false));
  const Tensor order = kept.index_select(0, by_word.index_select(0, by_item));
  data.columns["word"] = words.index_select(0, order);
  data.columns["count"] = data.columns.at("count").index_select(0, order);
  data.offsets =
      at::cat({at::zeros({1}, at::kLong), at::bincount(items.index_select(0, kept), {}, data.size).cumsum(0)});
}

}  // namespace vem
