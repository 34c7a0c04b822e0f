// Which format a corpus has, what lies beside it, and which words are left out.
#include "vem/data/corpus.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <unordered_map>

#include "corpus_builder.h"
#include "file_name.h"
#include "lines.h"
#include "vem/core/error.h"

namespace vem {

namespace {

namespace fs = std::filesystem;

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::string without_gz(const std::string& path) {
  return fs::path(path).extension() == ".gz" ? path.substr(0, path.size() - 3) : path;
}

bool is_whole(std::string_view field) {
  return !field.empty() && field.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Fields of a line as LDA-C has them, the announced number included.
bool is_lda_c(std::string_view line) {
  const std::string_view announced = next_field(line);
  int64_t pairs = 0;
  for (std::string_view pair = next_field(line); !pair.empty(); pair = next_field(line), ++pairs)
    if (pair.find(':') == std::string_view::npos) return false;
  return is_whole(announced) && announced == std::to_string(pairs);
}

bool is_svmlight(std::string_view line) {
  line = line.substr(0, line.find('#'));
  next_field(line);
  int64_t pairs = 0;
  for (std::string_view pair = next_field(line); !pair.empty(); pair = next_field(line), ++pairs) {
    const size_t colon = pair.find(':');
    if (colon == std::string_view::npos || !(is_whole(pair.substr(0, colon)) || pair.substr(0, colon) == "qid"))
      return false;
  }
  return pairs > 0;
}

/// By the first lines. Plain text is only known by the extension .txt, or as a folder.
CorpusFormat format_by_content(const std::string& path) {
  using F = CorpusFormat;
  LineReader lines(path, Content::any);
  std::vector<std::string> first;
  for (auto line = lines.next(); line && first.size() < 20; line = lines.next()) {
    if (line->text.find('\0') != std::string_view::npos) return F::automatic;  // no text at all
    first.emplace_back(line->text);
  }
  if (first.empty()) return F::automatic;
  if (first[0].rfind("%%MatrixMarket", 0) == 0) return F::matrix_market;
  if (std::all_of(first.begin(), first.end(), is_lda_c)) return F::lda_c;
  if (std::all_of(first.begin(), first.end(), is_svmlight)) return F::svmlight;
  if (first.size() >= 3 && std::all_of(first.begin(), first.begin() + 3, is_whole)) return F::uci;
  if (first.size() >= 2 && is_whole(first[0])) return F::gibbs_lda;
  return has_plain_extension(path, ".txt") ? F::text : F::automatic;
}

/// STEM of the path, then what of it stands before ever earlier separators.
std::vector<std::string> stems(const std::string& path) {
  const fs::path plain(without_gz(path));
  std::vector<std::string> all{plain.stem().string()};
  if (all[0].rfind("docword.", 0) == 0) all[0] = all[0].substr(8);
  for (size_t cut = all[0].find_last_of("-_."); cut != std::string::npos && cut > 0;
       cut = all.back().find_last_of("-_."))
    all.push_back(all[0].substr(0, cut));
  return all;
}

/// The first file beside the corpus that a pattern of its stem names; empty where there is none.
std::string beside(const std::string& path, const std::vector<std::string>& stems,
                   const std::vector<std::pair<std::string, std::string>>& patterns) {
  const fs::path folder = fs::path(path).parent_path();
  for (const std::string& stem : stems)
    for (const auto& [before, after] : patterns)
      for (const char* end : {"", ".gz"}) {
        const std::string file = (folder / (before + stem + after + end)).string();
        if (exists(file)) return file;
      }
  return "";
}

/// Labels of STEM.labels, one a line.
void add_labels(Dataset& data, const std::string& file) {
  LineReader lines(file);
  MemoryMeter memory(file);
  std::vector<std::string> words;
  while (const auto line = lines.next()) {
    memory.hold(2 * static_cast<double>(sizeof(std::string) + line->text.size()), "its labels", line->number);
    words.emplace_back(line->text);
  }
  if (static_cast<int64_t>(words.size()) != data.size)
    fail<DataError>("{}: holds {} labels for {} documents", file, words.size(), data.size);
  const std::vector<std::string> classes = classes_of(words);
  data.item_columns["label"] = class_ids(words, classes);
  data.schema.num_classes = static_cast<int64_t>(classes.size());
}

/// Leaves words out that too few or too many documents have; named words are numbered anew.
void prune(Dataset& data, const CorpusOptions& options, const std::string& path) {
  const auto documents = static_cast<double>(data.size);
  const double least =
      options.min_document_frequency >= 1 ? options.min_document_frequency : options.min_document_frequency * documents;
  const double most = options.max_document_frequency * documents;
  if (least <= 1 && most >= documents) return;
  const int64_t V = data.schema.num_features();
  const Tensor frequency = at::bincount(data.columns.at("word"), {}, V).to(at::kDouble);
  const Tensor kept = frequency.ge(least).logical_and_(frequency.le(most));
  std::vector<std::string>& names = data.schema.feature_names;
  if (!kept.any().item<bool>())
    fail<DataError>("{}: no word is in at least {} and at most {} of {} documents", path, least, most, data.size);
  Tensor place = at::where(kept, at::arange(V, at::kLong), at::full({V}, -1, at::kLong));
  if (!names.empty()) {
    place = at::where(kept, kept.cumsum(0) - 1, at::full({V}, -1, at::kLong));
    std::vector<std::string> left;
    for (int64_t w = 0; w < V; ++w)
      if (place[w].item<int64_t>() >= 0) left.push_back(names[static_cast<size_t>(w)]);
    names = left;
    data.schema.item_shape = {static_cast<int64_t>(names.size())};
  }
  renumber_words(data, place.to(at::kInt));
}

void read_as(CorpusFormat format, CorpusBuilder& corpus, const CorpusOptions& options) {
  switch (format) {
    case CorpusFormat::lda_c:
      return read_lda_c(corpus);
    case CorpusFormat::uci:
      return read_uci(corpus);
    case CorpusFormat::matrix_market:
      return read_matrix_market(corpus);
    case CorpusFormat::svmlight:
      return read_svmlight(corpus);
    case CorpusFormat::gibbs_lda:
      return read_gibbs_lda(corpus);
    case CorpusFormat::mallet:
      return read_mallet(corpus, Tokenizer(options.stop_words, options.tokenization));
    default:
      return read_text(corpus, Tokenizer(options.stop_words, options.tokenization));
  }
}

bool has_words(CorpusFormat format) {
  return format == CorpusFormat::gibbs_lda || format == CorpusFormat::mallet || format == CorpusFormat::text;
}

}  // namespace

void CorpusOptions::visit(OptionVisitor& v) {
  using F = CorpusFormat;
  v("format", format,
    {{"auto", F::automatic},
     {"lda-c", F::lda_c},
     {"uci", F::uci},
     {"matrix-market", F::matrix_market},
     {"svmlight", F::svmlight},
     {"gibbs-lda", F::gibbs_lda},
     {"mallet", F::mallet},
     {"text", F::text}},
    "how a corpus is written; auto: told by its name, else by its content");
  v("vocabulary", vocabulary, "file with one word a line; empty: STEM.vocab or vocab.STEM.txt beside the corpus");
  v("tokenization", tokenization,
    {{"auto", Tokenization::automatic}, {"unicode", Tokenization::unicode}, {"bytes", Tokenization::bytes}},
    "what the words of a text are: unicode: runs of letters of any script, in lower case, with inner apostrophes and "
    "hyphens; bytes: the rule of earlier versions, by which all bytes above 127 are letters; auto: unicode");
  v("stop_words", stop_words, "words of a text that are left out: none, english, or a file with one word a line");
  v("stream", stream,
    "keep the documents in a temporary file, for corpora larger than memory; texts then need a vocabulary");
  v.when(!stream, "stream is false", [&] {
    v("min_document_frequency", min_document_frequency, at_least(0),
      "words in fewer documents are left out: a count, or a fraction below 1");
    v("max_document_frequency", max_document_frequency, {0, 1, true},
      "words in a larger fraction of the documents are left out");
  });
}

CorpusFormat declared_format(const std::string& path) {
  using F = CorpusFormat;
  const std::string name = plain_name(path), extension = fs::path(name).extension().string();
  static const std::vector<std::pair<std::string, F>> table{
      {".ldac", F::lda_c},       {".lda-c", F::lda_c},   {".mtx", F::matrix_market},
      {".mm", F::matrix_market}, {".svm", F::svmlight},  {".svmlight", F::svmlight},
      {".libsvm", F::svmlight},  {".low", F::gibbs_lda}, {".mallet", F::mallet}};
  if (name.rfind("docword", 0) == 0) return F::uci;
  for (const auto& [wanted, format] : table)
    if (extension == wanted) return format;
  return F::automatic;
}

CorpusFormat corpus_format(const std::string& path) {
  std::error_code ignored;
  if (const CorpusFormat named = declared_format(path); named != CorpusFormat::automatic) return named;
  if (fs::is_directory(path, ignored)) return CorpusFormat::text;
  return exists(path) ? format_by_content(path) : CorpusFormat::automatic;
}

std::vector<std::string> read_words(const std::string& path) {
  LineReader lines(path);
  std::vector<std::string> words;
  std::unordered_map<std::string, int64_t> seen;
  MemoryMeter memory(path);
  int64_t blank = 0;  // a blank line is only wrong where a word follows
  while (const auto line = lines.next_any()) {
    std::string_view rest = line->text;
    const std::string_view word = next_field(rest);
    if (word.empty()) {
      blank = blank ? blank : line->number;
      continue;
    }
    if (blank) fail<DataError>("{}:{}: a word is missing", path, blank);
    memory.hold(3 * static_cast<double>(2 * sizeof(std::string) + line->text.size()), "its words", line->number);
    words.emplace_back(line->text);
    const auto [first, fresh] = seen.emplace(words.back(), line->number);
    if (!fresh) fail<DataError>("{}:{}: '{}' is in line {} already", path, line->number, words.back(), first->second);
  }
  if (words.empty()) fail<DataError>("{}: holds no words", path);
  return words;
}

CorpusOptions resolved(CorpusOptions options, const std::string& path) {
  if (options.format == CorpusFormat::automatic) options.format = corpus_format(path);
  const bool cuts = options.format == CorpusFormat::mallet || options.format == CorpusFormat::text;
  if (cuts && options.tokenization == Tokenization::automatic) options.tokenization = Tokenization::unicode;
  return options;
}

Dataset read_corpus(const std::string& path, const CorpusOptions& given) {
  const CorpusOptions options = resolved(given, path);
  const CorpusFormat format = options.format;
  if (!exists(path)) fail<MissingInputError>("{}: no such file or folder", path);
  if (format == CorpusFormat::automatic)
    fail<DataError>("{}: is no corpus in a format that can be told from it; set data.format", path);
  std::string vocabulary = options.vocabulary;
  if (vocabulary.empty() && !has_words(format))
    vocabulary = beside(path, stems(path), {{"", ".vocab"}, {"vocab.", ".txt"}});
  const std::vector<std::string> words = vocabulary.empty() ? std::vector<std::string>{} : read_words(vocabulary);
  if (options.stream && has_words(format) && words.empty())
    fail<ConfigError>("data.stream: {}: needs data.vocabulary, since the words of a text are numbered at its end",
                      path);
  CorpusBuilder corpus(path, static_cast<int64_t>(words.size()),
                       options.stream ? std::make_shared<RowFile>(path) : nullptr);
  if (has_words(format) && !words.empty()) corpus.set_vocabulary(words);
  read_as(format, corpus, options);
  Dataset data = corpus.take();
  if (!words.empty()) data.schema.feature_names = words;
  const std::string labels = beside(path, {stems(path)[0]}, {{"", ".labels"}});
  if (!labels.empty() && !data.item_columns.count("label")) add_labels(data, labels);
  if (!options.stream) prune(data, options, path);
  return data;
}

Dataset match_words(Dataset data, const Schema& wanted) {
  Schema& have = data.schema;
  const int64_t V = have.num_features();
  if (have.feature_names.empty() || wanted.feature_names.empty()) {
    if (V > wanted.num_features())
      fail<DataError>(
          "{}: has {} words, the model was trained on {}; a vocabulary beside it lets them be matched by name",
          have.source, V, wanted.num_features());
  } else if (have.feature_names != wanted.feature_names && data.disk) {
    fail<DataError>("{}: has another vocabulary than the model; data.stream needs the same words", have.source);
  } else if (have.feature_names != wanted.feature_names) {
    std::unordered_map<std::string, int32_t> ids;
    for (const std::string& name : wanted.feature_names) ids.emplace(name, static_cast<int32_t>(ids.size()));
    std::vector<int32_t> place;
    for (const std::string& name : have.feature_names) place.push_back(ids.count(name) ? ids.at(name) : -1);
    renumber_words(data, at::tensor(place, at::kInt));
    if (data.columns.at("word").size(0) == 0)
      fail<DataError>("{}: has no word that the model was trained on", have.source);
  }
  have.feature_names = wanted.feature_names;
  have.item_shape = wanted.item_shape;
  return data;
}

}  // namespace vem
