// Readers of bags of words by ids: LDA-C (Blei), svmlight (Joachims), UCI docword and Matrix Market (NIST).
#include <algorithm>

#include "corpus_builder.h"
#include "lines.h"
#include "vem/core/error.h"

namespace vem {

namespace {

constexpr int64_t kMaxHeader = int64_t{1} << 53;  // whole numbers that a double holds

/// "id:count" as a word counted from 0, added to the document.
void add_pair(CorpusBuilder& corpus, std::string_view pair, int64_t first_id, int64_t line) {
  const size_t colon = pair.find(':');
  if (colon == std::string_view::npos)
    fail<DataError>("{}: '{}' is no id:count", corpus.at(line).text(), pair.substr(0, 40));
  const Place where = corpus.at(line);
  const int64_t id = whole_number(pair.substr(0, colon), first_id, kMaxId - 1, where, "an id");
  const int64_t count = whole_number(pair.substr(colon + 1), 0, kMaxId, where, "a count");
  corpus.add(id - first_id, count, line);
}

/// Fields of one line as whole numbers; DataError unless there are exactly `names.size()`.
std::vector<int64_t> numbers_of(const Line& line, const std::vector<const char*>& names, int64_t min, int64_t max,
                                const Place& where) {
  std::string_view rest = line.text;
  std::vector<int64_t> numbers;
  for (const char* name : names) numbers.push_back(whole_number(next_field(rest), min, max, where, name));
  if (!next_field(rest).empty()) fail<DataError>("{}: more than '{}' in one line", where.text(), fmt::join(names, " "));
  return numbers;
}

Line expect_line(LineReader& lines, const std::string& path, const std::string& what) {
  const std::optional<Line> line = lines.next();
  if (!line) fail<DataError>("{}:{}: truncated: {} is missing", path, lines.number() + 1, what);
  return *line;
}

void check_entries(const Place& end, int64_t announced, int64_t found) {
  if (found < announced)
    fail<DataError>("{}: truncated: the header announces {} entries, the file ends after {}", end.text(), announced,
                    found);
}

}  // namespace

void read_lda_c(CorpusBuilder& corpus) {
  LineReader lines(corpus.path());
  while (const auto line = lines.next()) {
    std::string_view rest = line->text;
    const Place where = corpus.at(line->number);
    const int64_t announced = whole_number(next_field(rest), 0, kMaxId, where, "the number of different words");
    int64_t found = 0;
    for (std::string_view pair = next_field(rest); !pair.empty(); pair = next_field(rest), ++found)
      add_pair(corpus, pair, 0, line->number);
    if (found != announced)
      fail<DataError>("{}: announces {} different words, holds {}", where.text(), announced, found);
    corpus.finish();
  }
}

void read_svmlight(CorpusBuilder& corpus) {
  LineReader lines(corpus.path());
  while (const auto line = lines.next()) {
    std::string_view rest = line->text.substr(0, line->text.find('#'));
    const std::string label(next_field(rest));
    if (label.empty()) continue;  // a line of comment
    if (label.find(':') != std::string::npos)
      fail<DataError>("{}: a label is expected before '{}'", corpus.at(line->number).text(), label.substr(0, 40));
    for (std::string_view pair = next_field(rest); !pair.empty(); pair = next_field(rest))
      if (pair.substr(0, 4) != "qid:") add_pair(corpus, pair, 1, line->number);
    corpus.finish(label);
  }
}

void read_uci(CorpusBuilder& corpus) {
  LineReader lines(corpus.path());
  const std::vector<const char*> names{"the number of documents", "the number of words", "the number of entries"};
  std::vector<int64_t> header;
  int64_t number = 0;
  for (const char* name : names) {
    const Line line = expect_line(lines, corpus.path(), name);
    number = line.number;
    header.push_back(numbers_of(line, {name}, 0, kMaxHeader, corpus.at(number))[0]);
  }
  corpus.declare(header[1], header[0], header[2], number, lines.max_size());
  int64_t found = 0;
  for (auto line = lines.next(); line; line = lines.next(), ++found) {
    const Place where = corpus.at(line->number);
    if (found == header[2]) fail<DataError>("{}: more entries than the {} of the header", where.text(), header[2]);
    std::string_view rest = line->text;
    const int64_t document = whole_number(next_field(rest), 1, header[0], where, "a document");
    const int64_t word = whole_number(next_field(rest), 1, header[1], where, "a word");
    const int64_t count = whole_number(next_field(rest), 0, kMaxId, where, "a count");
    if (!next_field(rest).empty()) fail<DataError>("{}: more than 'document word count' in one line", where.text());
    if (document <= corpus.num_documents())
      fail<DataError>("{}: document {} comes after document {}; the format has them in ascending order", where.text(),
                      document, corpus.num_documents() + 1);
    while (corpus.num_documents() + 1 < document) corpus.finish();
    corpus.add(word - 1, count, line->number);
  }
  check_entries(corpus.at(lines.number() + 1), header[2], found);
  while (corpus.num_documents() < header[0]) corpus.finish();
}

void read_matrix_market(CorpusBuilder& corpus) {
  LineReader lines(corpus.path());
  Line line = expect_line(lines, corpus.path(), "the header");
  std::string header(line.text);
  std::transform(header.begin(), header.end(), header.begin(), [](unsigned char c) { return std::tolower(c); });
  std::string_view rest = header;
  std::vector<std::string> words;
  for (std::string_view word = next_field(rest); !word.empty(); word = next_field(rest)) words.emplace_back(word);
  const bool pattern = words.size() == 5 && words[3] == "pattern";
  if (words.size() != 5 || words[0] != "%%matrixmarket" || words[1] != "matrix" || words[2] != "coordinate" ||
      !(words[3] == "integer" || words[3] == "real" || pattern) || words[4] != "general")
    fail<DataError>(
        "{}: '{}' is expected to be '%%MatrixMarket matrix coordinate integer general' (or real, or pattern)",
        corpus.at(line.number).text(), header.substr(0, 80));
  do line = expect_line(lines, corpus.path(), "the line of sizes");
  while (line.text[0] == '%');
  const auto size = numbers_of(line, {"the number of documents", "the number of words", "the number of entries"}, 0,
                               kMaxHeader, corpus.at(line.number));
  corpus.declare(size[1], size[0], size[2], line.number, lines.max_size());

  struct Entry {
    int64_t document, line;
    int32_t word, count;
  };
  std::vector<Entry> entries;  // in any order, most often by columns
  MemoryMeter memory(corpus.path());
  for (auto next = lines.next(); next; next = lines.next()) {
    if (next->text[0] == '%') continue;
    const Place where = corpus.at(next->number);
    if (static_cast<int64_t>(entries.size()) == size[2])
      fail<DataError>("{}: more entries than the {} of the header", where.text(), size[2]);
    rest = next->text;
    const int64_t document = whole_number(next_field(rest), 1, size[0], where, "a row (document)");
    const int64_t word = whole_number(next_field(rest), 1, size[1], where, "a column (word)");
    const int64_t count = pattern ? 1 : whole_number(next_field(rest), 0, kMaxId, where, "a count");
    if (!next_field(rest).empty()) fail<DataError>("{}: more than 'document word count' in one line", where.text());
    memory.hold(sizeof(Entry), "its entries", next->number);
    entries.push_back({document, next->number, static_cast<int32_t>(word - 1), static_cast<int32_t>(count)});
  }
  check_entries(corpus.at(lines.number() + 1), size[2], static_cast<int64_t>(entries.size()));
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.document < b.document; });
  for (const Entry& entry : entries) {
    while (corpus.num_documents() + 1 < entry.document) corpus.finish();
    corpus.add(entry.word, entry.count, entry.line);
  }
  while (corpus.num_documents() < size[0]) corpus.finish();
}

}  // namespace vem
