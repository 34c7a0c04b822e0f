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
#include "vem/data/memory.h"

namespace vem {
namespace {

constexpr int64_t kLowestNote = 21, kHighestNote = 108;
constexpr int32_t kMissing = -1;
// What the name of a feature begins with that spells its symbols.
const std::string kSymbols = "symbols:";

std::vector<std::string> fields_of(std::string_view text) {
  std::vector<std::string> fields;
  for (std::string_view field = next_field(text); !field.empty(); field = next_field(text)) fields.emplace_back(field);
  return fields;
}

std::vector<std::string> characters_of(std::string_view text) {
  std::vector<std::string> characters;
  each_character(text, [&](std::string_view character) { characters.emplace_back(character); });
  return characters;
}

/// Symbols as the places in an alphabet, or by the order in which they were met; and where each sequence begins.
class SymbolBuilder {
 public:
  /// Without an alphabet every symbol is taken.
  SymbolBuilder(const std::string& path, const std::vector<std::string>& alphabet)
      : memory_(path), fixed_(!alphabet.empty()), names_(alphabet) {
    for (const std::string& name : alphabet) ids_.try_emplace(name, static_cast<int32_t>(ids_.size()));
  }

  /// False if the alphabet does not have the symbol.
  bool add(std::string_view symbol) {
    const auto found = ids_.find(std::string(symbol));
    if (found == ids_.end() && fixed_) return false;
    if (found == ids_.end()) {
      memory_.hold(3 * static_cast<double>(2 * sizeof(std::string) + symbol.size()), "its different symbols");
      names_.emplace_back(symbol);
    }
    add_row(found != ids_.end() ? found->second : ids_.emplace(symbol, ids_.size()).first->second);
    return true;
  }
  void add_missing() { add_row(kMissing); }
  bool open() const { return static_cast<int64_t>(rows_.size()) > offsets_.back(); }
  void finish() {
    memory_.hold(sizeof(int64_t), "its sequences");
    offsets_.push_back(static_cast<int64_t>(rows_.size()));
  }

  Dataset take(const std::string& path) {
    if (rows_.empty()) fail<DataError>("{}: holds no symbols", path);
    if (!fixed_) std::sort(names_.begin(), names_.end());
    std::vector<float> place(names_.size());
    for (size_t i = 0; i < names_.size(); ++i) place[static_cast<size_t>(ids_.at(names_[i]))] = static_cast<float>(i);
    const bool missing = std::find(rows_.begin(), rows_.end(), kMissing) != rows_.end();
    const Tensor x = at::empty({static_cast<int64_t>(rows_.size()), 1}, at::kFloat);
    float* out = x.data_ptr<float>();
    for (const int32_t id : rows_)
      *out++ = id == kMissing ? std::numeric_limits<float>::quiet_NaN() : place[static_cast<size_t>(id)];
    Dataset data;
    data.columns["x"] = !missing && ids_.size() <= 256 ? x.to(at::kByte) : x;
    data.offsets = at::tensor(offsets_, at::kLong);
    data.size = static_cast<int64_t>(offsets_.size()) - 1;
    data.schema.item_shape = {1};
    data.schema.feature_names = {fmt::format("{} {}", kSymbols, fmt::join(names_, " "))};
    return data;
  }

 private:
  void add_row(int32_t id) {
    memory_.hold(sizeof(int32_t) + sizeof(float), "its symbols");
    rows_.push_back(id);
  }

  MemoryMeter memory_;
  bool fixed_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<int32_t> rows_;
  std::vector<int64_t> offsets_{0};
};

const std::string kDna = "dna", kProtein = "protein";

/// Letters of the IUPAC codes; those that stand for several are missing values.
struct FastaAlphabet {
  std::string letters, ambiguous;
};
const FastaAlphabet kNucleotides{"ACGT", "NRYSWKMBDHV"}, kAminoAcids{"ACDEFGHIKLMNPQRSTVWY", "XBZJUO"};

/// The symbols that `alphabet` names; none where it is that of the file.
std::vector<std::string> alphabet_of(const std::string& alphabet) {
  if (alphabet == kDna) return characters_of(kNucleotides.letters);
  if (alphabet == kProtein) return characters_of(kAminoAcids.letters);
  std::vector<std::string> symbols = fields_of(alphabet), sorted = symbols;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) fail<ConfigError>("data.alphabet: the symbol '{}' is there twice", *twice);
  if (symbols.size() == 1)
    fail<ConfigError>("data.alphabet: '{}' is one symbol; dna, protein, or symbols with blanks between are expected",
                      alphabet);
  return symbols;
}

bool has_blanks_inside(const std::string& path) {
  for (LineReader lines(path); const auto line = lines.next();) {
    std::string_view rest = line->text;
    next_field(rest);
    if (!next_field(rest).empty()) return true;
  }
  return false;
}

Dataset read_symbols(const std::string& path, const SequenceOptions& options) {
  const std::vector<std::string> alphabet = alphabet_of(options.alphabet);
  SymbolBuilder symbols(path, alphabet);
  for (LineReader lines(path); const auto line = lines.next();) {
    const auto add = [&](std::string_view symbol) {
      if (symbols.add(symbol)) return;
      if (options.unseen == Unseen::refuse)
        fail<DataError>("{}:{}: the symbol '{}' is not in data.alphabet: {}", path, line->number, symbol,
                        fmt::join(alphabet, " "));
      symbols.add_missing();
    };
    std::string_view rest = line->text;
    for (std::string_view field = next_field(rest); !field.empty(); field = next_field(rest))
      if (options.unit == SymbolUnit::words)
        add(field);
      else
        each_character(field, add);
    symbols.finish();
  }
  return symbols.take(path);
}

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

/// Whether every letter may be a nucleotide.
bool may_be_dna(const std::string& path) {
  bool dna = true;
  const std::string letters = kNucleotides.letters + kNucleotides.ambiguous + "U";
  for_each_letter(
      path, [&](char c, int64_t) { dna = dna && letters.find(c) != std::string::npos; }, [](int64_t) {});
  return dna;
}

Dataset read_fasta(const std::string& path, const SequenceOptions& options) {
  const bool dna = options.alphabet == kDna, protein = options.alphabet == kProtein;
  const std::string ambiguous = dna ? kNucleotides.ambiguous : protein ? kAminoAcids.ambiguous : "";
  const std::vector<std::string> alphabet = alphabet_of(options.alphabet);
  SymbolBuilder symbols(path, alphabet);
  const auto add = [&](char c, int64_t line) {
    if (dna && c == 'U') c = 'T';  // RNA
    if (symbols.add({&c, 1})) return;
    if (ambiguous.find(c) == std::string::npos && options.unseen == Unseen::refuse)
      fail<DataError>("{}:{}: {} is {}", path, line,
                      static_cast<unsigned char>(c) < 128 ? fmt::format("'{}'", c) : "a character beyond ASCII",
                      dna       ? "no nucleotide"
                      : protein ? "neither a nucleotide nor an amino acid"
                                : fmt::format("not in data.alphabet: {}", fmt::join(alphabet, " ")));
    symbols.add_missing();
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
  MemoryMeter memory(path);
  for (LineReader lines(path); const auto line = lines.next(); ++rows) {
    const Place place{path, line->number};
    std::string_view rest = line->text;
    const int64_t number = whole_number(next_field(rest), 0, kMaxId, place, "the number of the sequence");
    if (number < current)
      fail<DataError>("{}: sequence {} goes on after sequence {} began", place.text(), number, current);
    if (number > current) offsets.push_back(rows);
    current = number;
    memory.hold(2 * kNotes + sizeof(int64_t), "its time steps", line->number);
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
  LineReader lines(path, Content::any);
  const auto first = lines.next_any();
  return first && first->text.substr(0, 1) == ">" ? SequenceFormat::fasta : SequenceFormat::automatic;
}

SequenceOptions resolved(SequenceOptions options, const std::string& path) {
  if (options.format == SequenceFormat::automatic) options.format = sequence_format(path);
  if (options.format == SequenceFormat::fasta && options.alphabet.empty())
    options.alphabet = may_be_dna(path) ? kDna : kProtein;
  if (options.format == SequenceFormat::symbols && options.unit == SymbolUnit::automatic) {
    const std::vector<std::string> alphabet = alphabet_of(options.alphabet);
    const bool longer = std::any_of(alphabet.begin(), alphabet.end(),
                                    [](const std::string& symbol) { return characters_of(symbol).size() > 1; });
    options.unit = longer || has_blanks_inside(path) ? SymbolUnit::words : SymbolUnit::characters;
  }
  return options;
}

Dataset read_sequences(const std::string& path, const SequenceOptions& given) {
  const SequenceOptions options = resolved(given, path);
  switch (options.format) {
    case SequenceFormat::symbols:
      return read_symbols(path, options);
    case SequenceFormat::fasta:
      return read_fasta(path, options);
    case SequenceFormat::piano_roll:
      return read_piano_roll(path);
    default:
      fail<DataError>("{}: holds no sequences in a format that can be told from it; set data.sequence_format", path);
  }
}

std::vector<std::string> symbols_of(const std::vector<std::string>& feature_names) {
  if (feature_names.size() != 1 || feature_names[0].rfind(kSymbols, 0) != 0) return {};
  return fields_of(std::string_view(feature_names[0]).substr(kSymbols.size()));
}

Dataset match_symbols(Dataset data, const Schema& wanted, Unseen unseen) {
  const std::vector<std::string> ours = symbols_of(data.schema.feature_names),
                                 theirs = symbols_of(wanted.feature_names);
  if (ours == theirs || ours.empty() || theirs.empty()) return data;
  std::vector<float> place;
  for (const std::string& symbol : ours) {
    const auto found = std::find(theirs.begin(), theirs.end(), symbol);
    if (found == theirs.end() && unseen == Unseen::refuse)
      fail<DataError>("{}: has the symbol '{}', which the model was not trained on", data.schema.source, symbol);
    place.push_back(found == theirs.end() ? std::nanf("") : static_cast<float>(found - theirs.begin()));
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
