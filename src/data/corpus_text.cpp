// Readers of bags of words by words: GibbsLDA's line of words, MALLET's "name label text", and raw text.
#include <algorithm>
#include <filesystem>

#include "corpus_builder.h"
#include "lines.h"
#include "vem/core/error.h"

namespace vem {

namespace {

namespace fs = std::filesystem;

// Function words of English. Short on purpose: data.max_document_frequency takes out what else is everywhere.
constexpr std::string_view kEnglish =
    "a about above after again against all also am an and any are aren't as at be because been before being below "
    "between both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each few "
    "for from further had hadn't has hasn't have haven't having he he'd he'll he's her here hers herself him himself "
    "his how i i'd i'll i'm i've if in into is isn't it it's its itself just let's me more most must my myself no nor "
    "not now of off on once only or other our ours ourselves out over own same she she'd she'll she's should "
    "shouldn't so some such than that that's the their theirs them themselves then there there's these they they'd "
    "they'll they're they've this those through to too under until up very was wasn't we we'd we'll we're we've were "
    "weren't what what's when where which while who who's whom why will with won't would wouldn't you you'd you'll "
    "you're you've your yours yourself yourselves";

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) > 127;
}
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// The files below a folder, in the order of their names; hidden ones are left out.
std::vector<fs::path> files_of(const std::string& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const bool hidden = it->path().filename().string()[0] == '.';
    if (hidden && it->is_directory()) it.disable_recursion_pending();
    if (!hidden && it->is_regular_file()) files.push_back(it->path());
  }
  if (error) fail<MissingInputError>("{}: can not be read: {}", folder, error.message());
  if (files.empty()) fail<DataError>("{}: holds no files", folder);
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

Tokenizer::Tokenizer(const std::string& stop_words, Tokenization rule) {
  if (rule != Tokenization::bytes) breaker_ = std::make_unique<WordBreaker>();
  if (stop_words == "none") return;
  std::string_view rest = kEnglish;
  if (stop_words == "english")
    for (std::string_view word = next_field(rest); !word.empty(); word = next_field(rest))
      stop_words_[std::string(word)];
  else if (!breaker_)
    for (const std::string& word : read_words(stop_words)) stop_words_[word];
  else  // as words of texts are written: in lower case, with plain apostrophes
    for (const std::string& word : read_words(stop_words))
      breaker_->each_word(word, [&](std::string_view written) { stop_words_[std::string(written)]; });
}

void Tokenizer::add(CorpusBuilder& corpus, std::string_view text) const {
  if (!breaker_ || is_ascii(text)) return add_runs(corpus, text);
  // Few words need ICU: those between blanks that are not ASCII alone.
  for (std::string_view field = next_field(text); !field.empty(); field = next_field(text))
    if (is_ascii(field))
      add_runs(corpus, field);
    else
      breaker_->each_word(field, [&](std::string_view word) { add_word(corpus, std::string(word)); });
}

void Tokenizer::add_word(CorpusBuilder& corpus, const std::string& word) const {
  if (!stop_words_.count(word)) corpus.add(word);
}

void Tokenizer::add_runs(CorpusBuilder& corpus, std::string_view text) const {
  std::string token;
  for (size_t i = 0; i < text.size();) {
    if (!is_letter(text[i])) {
      ++i;
      continue;
    }
    token.clear();
    size_t characters = 0;
    const auto inside = [&](size_t at) {
      const bool joint = (text[at] == '\'' || text[at] == '-') && at + 1 < text.size();
      return is_letter(text[at]) || (joint && is_letter(text[at + 1]));
    };
    for (; i < text.size() && inside(i); ++i) {
      token += lower(text[i]);
      characters += (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;  // UTF-8 goes on with 10xxxxxx
    }
    if (characters > 1) add_word(corpus, token);
  }
}

void read_gibbs_lda(CorpusBuilder& corpus) {
  LineReader lines(corpus.path());
  const auto first = lines.next_any();
  if (!first) fail<DataError>("{}: is empty, the number of documents is expected", corpus.path());
  std::string_view rest = first->text;
  const int64_t announced = whole_number(next_field(rest), 0, kMaxId, corpus.at(1), "the number of documents");
  if (!next_field(rest).empty()) fail<DataError>("{}: only the number of documents is expected", corpus.at(1).text());
  while (const auto line = lines.next_any()) {
    rest = line->text;
    std::string_view word = next_field(rest);
    if (corpus.num_documents() == announced) {
      if (word.empty()) continue;  // blank lines at the end
      fail<DataError>("{}: more documents than the {} of the first line", corpus.at(line->number).text(), announced);
    }
    for (; !word.empty(); word = next_field(rest)) corpus.add(word);
    corpus.finish();
  }
  if (corpus.num_documents() < announced)
    fail<DataError>("{}: truncated: the first line announces {} documents, the file ends after {}",
                    corpus.at(lines.number() + 1).text(), announced, corpus.num_documents());
}

void read_mallet(CorpusBuilder& corpus, const Tokenizer& tokenizer) {
  LineReader lines(corpus.path());
  while (const auto line = lines.next()) {
    std::string_view rest = line->text;
    const std::string_view name = next_field(rest);
    const std::string label(next_field(rest));
    if (label.empty())
      fail<DataError>("{}: 'name label text' is expected, got '{}'", corpus.at(line->number).text(),
                      name.substr(0, 40));
    tokenizer.add(corpus, rest);
    corpus.finish(label);
  }
}

void read_text(CorpusBuilder& corpus, const Tokenizer& tokenizer) {
  std::error_code ignored;
  if (!fs::is_directory(corpus.path(), ignored)) {
    LineReader lines(corpus.path());
    while (const auto line = lines.next_any()) {  // a blank line is an empty document: line numbers stay theirs
      tokenizer.add(corpus, line->text);
      corpus.finish();
    }
    return;
  }
  for (const fs::path& file : files_of(corpus.path())) {
    LineReader lines(file.string());
    while (const auto line = lines.next_any()) tokenizer.add(corpus, line->text);
    const fs::path parent = file.parent_path().lexically_relative(corpus.path());
    corpus.finish(parent == "." ? "" : parent.generic_string());  // folders in the folder are classes
  }
}

}  // namespace vem
