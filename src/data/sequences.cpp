// See sequences.h. Files are read once, line by line; only the numbers of symbols are held.
#include "vem/data/sequences.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "corpus_builder.h"
#include "file_name.h"
#include "lines.h"
#include "vem/core/error.h"

namespace vem {
namespace {

constexpr int64_t kLowestNote = 21, kHighestNote = 108;
constexpr int32_t kMissing = -1;
// What the name of a feature begins with that spells its symbols.
const std::string kSymbols = "symbols:";

/// Symbols by the order in which they were met, and where each sequence begins.
class SymbolBuilder {
 public:
  void add(std::string_view symbol) {
    const auto found = ids_.try_emplace(std::string(symbol), static_cast<int32_t>(ids_.size())).first;
    rows_.push_back(found->second);
  }
  void add_missing() { rows_.push_back(kMissing); }
  bool open() const { return static_cast<int64_t>(rows_.size()) > offsets_.back(); }
  void finish() { offsets_.push_back(static_cast<int64_t>(rows_.size())); }
  /// Makes sure that these symbols exist, whether they occur or not.
  void declare(const std::string& symbols) {
    for (const char c : symbols) ids_.try_emplace(std::string(1, c), static_cast<int32_t>(ids_.size()));
  }

  Dataset take(const std::string& path) {
    if (rows_.empty()) fail<DataError>("{}: holds no symbols", path);
    Dataset data;
    std::vector<std::pair<std::string, int32_t>> sorted(ids_.begin(), ids_.end());
    std::sort(sorted.begin(), sorted.end());
    std::vector<float> place(ids_.size());
    std::string names = kSymbols;
    float next = 0;
    for (const auto& [name, id] : sorted) {
      place[static_cast<size_t>(id)] = next++;
      names += " " + name;
    }
    const bool missing = std::find(rows_.begin(), rows_.end(), kMissing) != rows_.end();
    const Tensor x = at::empty({static_cast<int64_t>(rows_.size()), 1}, at::kFloat);
    float* out = x.data_ptr<float>();
    for (const int32_t id : rows_)
      *out++ = id == kMissing ? std::numeric_limits<float>::quiet_NaN() : place[static_cast<size_t>(id)];
    data.columns["x"] = !missing && ids_.size() <= 256 ? x.to(at::kByte) : x;
    data.offsets = at::tensor(offsets_, at::kLong);
    data.size = static_cast<int64_t>(offsets_.size()) - 1;
    data.schema.item_shape = {1};
    data.schema.feature_names = {names};
    return data;
  }

 private:
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<int32_t> rows_;
  std::vector<int64_t> offsets_{0};
};

Dataset read_symbols(const std::string& path) {
  bool words = false;
  for (LineReader lines(path); const auto line = lines.next();) {
    std::string_view rest = line->text;
    next_field(rest);
    words = words || !next_field(rest).empty();
  }
  SymbolBuilder symbols;
  for (LineReader lines(path); const auto line = lines.next();) {
    std::string_view rest = line->text;
    for (std::string_view field = next_field(rest); !field.empty(); field = next_field(rest))
      if (words)
        symbols.add(field);
      else
        for (const char& c : field) symbols.add({&c, 1});
    symbols.finish();
  }
  return symbols.take(path);
}

constexpr const char* kNucleotides = "ACGT";
constexpr const char* kAminoAcids = "ACDEFGHIKLMNPQRSTVWY";

/// Letters of the IUPAC codes; those that stand for several are missing values.
struct FastaAlphabet {
  std::string symbols, ambiguous;
};
const FastaAlphabet kDna{kNucleotides, "NRYSWKMBDHV"}, kProtein{kAminoAcids, "XBZJUO"};

/// Calls body(letter in upper case, line) for every letter of every record, and end(line of the header) after each.
template <class Body, class End>
void for_each_letter(const std::string& path, const Body& body, const End& end) {
  LineReader lines(path);
  int64_t header = 0;
  while (const auto line = lines.next()) {
    if (line->text[0] == ';') continue;  // a comment
    if (line->text[0] == '>') {
      if (header > 0) end(header);
      header = line->number;
      continue;
    }
    if (header == 0) fail<DataError>("{}:{}: a line '>name' is expected before the first symbols", path, line->number);
    for (const char c : line->text)
      if (!std::isspace(static_cast<unsigned char>(c)) && c != '*' && c != '-')
        body(static_cast<char>(std::toupper(static_cast<unsigned char>(c))), line->number);
  }
  if (header > 0) end(header);
}

Dataset read_fasta(const std::string& path) {
  const auto nothing = [](int64_t) {};
  bool dna = true;
  const std::string nucleotides = kDna.symbols + kDna.ambiguous + "U";
  for_each_letter(
      path, [&](char c, int64_t) { dna = dna && nucleotides.find(c) != std::string::npos; }, nothing);
  const FastaAlphabet& alphabet = dna ? kDna : kProtein;
  SymbolBuilder symbols;
  symbols.declare(alphabet.symbols);
  const auto add = [&](char c, int64_t line) {
    if (dna && c == 'U') c = 'T';  // RNA
    if (alphabet.symbols.find(c) != std::string::npos)
      symbols.add({&c, 1});
    else if (alphabet.ambiguous.find(c) != std::string::npos)
      symbols.add_missing();
    else
      fail<DataError>("{}:{}: '{}' is neither a nucleotide nor an amino acid", path, line, c);
  };
  for_each_letter(path, add, [&](int64_t header) {
    if (!symbols.open()) fail<DataError>("{}:{}: no symbols follow this name", path, header);
    symbols.finish();
  });
  return symbols.take(path);
}

Dataset read_piano_roll(const std::string& path) {
  std::vector<uint8_t> notes;
  std::vector<int64_t> offsets;
  constexpr int64_t kNotes = kHighestNote - kLowestNote + 1;
  int64_t current = -1, rows = 0;
  for (LineReader lines(path); const auto line = lines.next(); ++rows) {
    const Place place{path, line->number};
    std::string_view rest = line->text;
    const int64_t number = whole_number(next_field(rest), 0, kMaxId, place, "the number of the sequence");
    if (number < current)
      fail<DataError>("{}: sequence {} goes on after sequence {} began", place.text(), number, current);
    if (number > current) offsets.push_back(rows);
    current = number;
    notes.resize(notes.size() + kNotes);
    for (std::string_view field = next_field(rest); !field.empty(); field = next_field(rest))
      notes[static_cast<size_t>(rows * kNotes + whole_number(field, kLowestNote, kHighestNote, place, "a MIDI note") -
                                kLowestNote)] = 1;
  }
  if (rows == 0) fail<DataError>("{}: holds no time steps", path);
  offsets.push_back(rows);
  Dataset data;
  data.columns["x"] = at::tensor(at::ArrayRef<uint8_t>(notes), at::kByte).view({rows, kNotes});
  data.offsets = at::tensor(offsets, at::kLong);
  data.size = static_cast<int64_t>(offsets.size()) - 1;
  data.schema.item_shape = {kNotes};
  for (int64_t note = kLowestNote; note <= kHighestNote; ++note)
    data.schema.feature_names.push_back(fmt::format("note_{}", note));
  return data;
}

}  // namespace

SequenceFormat sequence_format(const std::string& path) {
  for (const char* end : {".fa", ".fasta", ".fna", ".faa"})
    if (has_plain_extension(path, end)) return SequenceFormat::fasta;
  char first = 0;
  ByteReader(path).read(&first, 1);
  return first == '>' ? SequenceFormat::fasta : SequenceFormat::automatic;
}

Dataset read_sequences(const std::string& path, SequenceFormat format) {
  switch (format) {
    case SequenceFormat::symbols:
      return read_symbols(path);
    case SequenceFormat::fasta:
      return read_fasta(path);
    case SequenceFormat::piano_roll:
      return read_piano_roll(path);
    default:
      fail<DataError>("{}: holds no sequences in a format that can be told from it; set data.sequence_format", path);
  }
}

std::vector<std::string> symbols_of(const Schema& schema) {
  std::vector<std::string> symbols;
  if (schema.feature_names.size() != 1 || schema.feature_names[0].rfind(kSymbols, 0) != 0) return symbols;
  std::string_view rest = std::string_view(schema.feature_names[0]).substr(kSymbols.size());
  for (std::string_view field = next_field(rest); !field.empty(); field = next_field(rest)) symbols.emplace_back(field);
  return symbols;
}

Dataset match_symbols(Dataset data, const Schema& wanted) {
  const std::vector<std::string> ours = symbols_of(data.schema), theirs = symbols_of(wanted);
  if (ours == theirs || ours.empty() || theirs.empty()) return data;
  std::vector<float> place;
  for (const std::string& symbol : ours) {
    const auto found = std::find(theirs.begin(), theirs.end(), symbol);
    if (found == theirs.end())
      fail<DataError>("{}: has the symbol '{}', which the model was not trained on", data.schema.source, symbol);
    place.push_back(static_cast<float>(found - theirs.begin()));
  }
  const Tensor x = data.columns.at("x").to(at::kFloat), missing = at::isnan(x);
  const Tensor ids = x.masked_fill(missing, 0).to(at::kLong).view({-1});
  data.columns["x"] = at::tensor(place).index_select(0, ids).view(x.sizes()).masked_fill(missing, std::nan(""));
  data.schema.feature_names = wanted.feature_names;
  return data;
}

void group_rows(Dataset& data, const std::vector<std::string>& words, const std::vector<int64_t>& lines,
                const std::string& path) {
  std::vector<int64_t> offsets;
  std::unordered_map<std::string, int64_t> begin;
  for (size_t r = 0; r < words.size(); ++r) {
    if (r > 0 && words[r] == words[r - 1]) continue;
    const auto [first, fresh] = begin.emplace(words[r], lines[r]);
    if (!fresh)
      fail<DataError>(
          "{}:{}: sequence '{}' goes on, but it began in line {} and another came between; sort the rows by sequence",
          path, lines[r], words[r], first->second);
    offsets.push_back(static_cast<int64_t>(r));
  }
  offsets.push_back(static_cast<int64_t>(words.size()));
  data.offsets = at::tensor(offsets, at::kLong);
  data.size = static_cast<int64_t>(offsets.size()) - 1;
}

void one_sequence(Dataset& data) {
  data.offsets = at::tensor({int64_t{0}, data.columns.at("x").size(0)}, at::kLong);
  data.size = 1;
}

}  // namespace vem
