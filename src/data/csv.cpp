// Tables of cells between commas, semicolons or tabs. Cells may be quoted ("" inside stands for one quote), but hold no
// line break. Row names, as R and pandas write them, are left out. The file is read twice, to count and to parse: its
// text, several times larger than the numbers, is never held.
#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "cells.h"
#include "lines.h"
#include "mapped.h"
#include "vem/core/error.h"
#include "vem/core/warning.h"
#include "vem/data/memory.h"
#include "vem/data/readers.h"

namespace vem {

namespace {

using Cells = std::vector<std::string_view>;

// Of a column: its name where it is kept, judged and looked for, and its cell of a row.
constexpr double kBytesPerColumn = 400;

/// Whether a cell holds a number that is not whole, or not written as such.
bool is_fraction(std::string_view cell) {
  const bool sign = !cell.empty() && (cell[0] == '-' || cell[0] == '+');
  const std::string_view digits = cell.substr(sign);
  return !digits.empty() && digits.find_first_of("0123456789") != std::string_view::npos && !is_whole_number(digits);
}

/// What the first lines say about a table.
struct Head {
  std::vector<std::string> names;
  bool has_header = false;
};

/// Judges whether a first row of whole numbers names the columns, from the rows below it.
class NumbersAsNames {
 public:
  explicit NumbersAsNames(const Cells& first) : first_(first.begin(), first.end()), fractions_(first.size(), false) {
    begin_ = first_[0].empty() && first_.size() > 1 ? 1 : 0;  // an index has no name
    std::set<std::string> seen;
    for (size_t c = begin_; c < first_.size(); ++c) {
      possible_ = possible_ && is_whole_number(first_[c]) && seen.insert(first_[c]).second;
      if (!possible_) return;
      const int64_t number = std::stoll(word_of(first_[c]));
      counted_ = counted_ && number == static_cast<int64_t>(c - begin_);
      consecutive_ = consecutive_ && (c == begin_ || number == last_ + 1);
      last_ = number;
    }
  }
  bool possible() const { return possible_; }
  void look_at(const Cells& row) {
    if (row.size() != first_.size()) return;
    for (size_t c = 0; c < row.size(); ++c) fractions_[c] = fractions_[c] || is_fraction(row[c]);
    index_ = index_ && begin_ == 1 && row[0] == std::to_string(rows_);
    ++rows_;
  }
  /// 0, 1, 2 ... as pandas names columns, over an index, over fractions, or over more columns than chance explains.
  bool are_names() const {
    return counted_ && rows_ > 0 && (index() || num_names() >= 5 || (num_names() > 2 && fractions()));
  }
  /// Numbers such as years, or that are whole where no others are.
  bool may_be_names() const {
    return rows_ > 0 && (index() || fractions() || begin_ == 1 || (consecutive_ && num_names() > 2));
  }

 private:
  size_t num_names() const { return first_.size() - begin_; }
  bool index() const { return begin_ == 1 && index_; }
  bool fractions() const {
    return std::all_of(fractions_.begin() + static_cast<std::ptrdiff_t>(begin_), fractions_.end(),
                       [](bool b) { return b; });
  }

  std::vector<std::string> first_;
  std::vector<bool> fractions_;  // whether a column has a number that is not whole
  size_t begin_ = 0;
  int64_t rows_ = 0, last_ = 0;
  bool possible_ = true, counted_ = true, consecutive_ = true, index_ = true;
};

/// One parse of one file: which columns there are and what each becomes.
class TableReader {
 public:
  TableReader(std::string path, const TableFormat& format, const std::vector<std::string>& text_columns,
              const std::vector<std::string>& number_columns, int64_t map_from)
      : path_(std::move(path)),
        format_(format),
        text_columns_(text_columns),
        number_columns_(number_columns),
        map_from_(map_from),
        memory_(path_) {}

  Table read() {
    const auto [names, has_header] = head();
    check_columns(names, text_columns_);
    check_columns(names, number_columns_);
    const std::vector<int64_t> role = roles(names);
    check_unique(names, role);
    const int64_t rows = count_rows(has_header, names.size());
    Table table = empty_table(rows, names, role);
    table.has_header = has_header;
    LineReader lines(path_);
    if (has_header) lines.next();
    int64_t r = 0;
    for (auto line = lines.next(); line && r <= rows; line = lines.next(), ++r)
      if (r < rows) fill_row(table, r, *line, names, role);
    if (r != rows) fail<DataError>("{}: was changed while it was read: it had {} rows before", path_, rows);
    return table;
  }

  Head head() const {
    constexpr int64_t kRows = 100;  // that a header of numbers is judged by
    LineReader lines(path_);
    std::optional<Line> line = lines.next();
    if (!line) fail<DataError>("{}: holds no rows", path_);
    const std::string text(line->text);
    const Cells first = cells({text, line->number});
    Head head;
    const bool numbers = std::all_of(first.begin(), first.end(), [this](auto cell) { return number(cell); });
    head.has_header = format_.header == TableHeader::yes || (format_.header == TableHeader::automatic && !numbers);
    NumbersAsNames names(first);
    line = lines.next();
    const bool row_names = head.has_header && line && hint_of(text, format_.separator, ' ').empty() &&
                           starts_with_name(cells(*line), first.size());
    if (format_.header == TableHeader::automatic && numbers && names.possible()) {
      for (int64_t r = 0; line && r < kRows; ++r, line = lines.next()) names.look_at(cells(*line));
      head.has_header = names.are_names();
      if (names.are_names() || names.may_be_names()) warn_of_numbers(text, head.has_header);
    }
    if (row_names) head.names.emplace_back();
    for (size_t c = 0; c < first.size(); ++c)
      head.names.push_back(head.has_header ? word_of(first[c]) : fmt::format("x{}", c + 1));
    return head;
  }

 private:
  static constexpr int64_t kSkip = std::numeric_limits<int64_t>::max();

  std::optional<double> number(std::string_view cell) const { return number_of(cell, format_.decimal); }
  std::string hint(std::string_view text) const { return hint_of(text, format_.separator, format_.decimal); }

  size_t width(const Line& line) const {
    const auto count = count_cells(line.text, format_.separator);
    if (!count) fail<DataError>("{}:{}: a quote is not closed", path_, line.number);
    return *count;
  }

  Cells cells(const Line& line) const {
    const size_t count = width(line);
    memory_.expect(kBytesPerColumn * static_cast<double>(count), "so many columns", line.number);
    return *cells_of(line.text, format_.separator, count);
  }

  /// The rows below the header. Each must have its cells before there is memory for them all.
  int64_t count_rows(bool has_header, size_t columns) const {
    LineReader lines(path_);
    if (has_header) lines.next();
    int64_t rows = 0;
    for (auto line = lines.next(); line; line = lines.next(), ++rows)
      if (const size_t count = width(*line); count != columns)
        fail<DataError>("{}:{}: has {} cells, {} are expected{}", path_, line->number, count, columns,
                        hint_of(line->text, format_.separator, ' '));
    if (rows == 0) fail<DataError>("{}: holds no rows below its header", path_);
    return rows;
  }

  /// Whether a row is one cell longer than the header and begins with the name of a row: what R's write.table does.
  bool starts_with_name(const Cells& row, size_t width) const {
    return row.size() == width + 1 && !row[0].empty() && (row[0][0] == '"' || !number(row[0]));
  }

  void warn_of_numbers(const std::string& row, bool has_header) const {
    const std::string shown = row.size() > 40 ? row.substr(0, 40) + " ..." : row;
    if (has_header)
      warn("{}: its first row, {}, is taken for the names of columns; data.header = \"no\" makes it a row", path_,
           shown);
    else
      warn(
          "{}: its first row, {}, is taken for a row; data.header = \"yes\" if it names columns, \"no\" if it does not",
          path_, shown);
  }

  /// What a column becomes: a column of numbers (from 0), of words (-1 - its place in text_columns), or nothing.
  std::vector<int64_t> roles(const std::vector<std::string>& names) const {
    std::vector<int64_t> result;
    int64_t numbers = 0;
    for (size_t c = 0; c < names.size(); ++c) {
      const auto text = std::find(text_columns_.begin(), text_columns_.end(), names[c]);
      if (text != text_columns_.end())
        result.push_back(-1 - (text - text_columns_.begin()));
      else
        result.push_back(is_feature(c, names[c]) ? numbers++ : kSkip);
    }
    return result;
  }

  /// All but row names; where columns are named, these.
  bool is_feature(size_t c, const std::string& name) const {
    if (number_columns_.empty()) return c > 0 || (!name.empty() && name != "rownames" && name != "Unnamed: 0");
    return std::find(number_columns_.begin(), number_columns_.end(), name) != number_columns_.end();
  }

  void check_columns(const std::vector<std::string>& names, const std::vector<std::string>& wanted) const {
    for (const std::string& column : wanted)
      if (std::find(names.begin(), names.end(), column) == names.end()) {
        const std::vector<std::string> shown(names.begin(), names.begin() + std::min<size_t>(names.size(), 12));
        fail<DataError>("{}: has no column named '{}'; its columns are {}{}{}", path_, column, fmt::join(shown, ", "),
                        shown.size() < names.size() ? ", ..." : "", names.size() == 1 ? hint(names[0]) : "");
      }
  }

  /// Columns that are read are told apart by their names.
  void check_unique(const std::vector<std::string>& names, const std::vector<int64_t>& role) const {
    std::map<std::string, size_t> place;
    for (size_t c = 0; c < names.size(); ++c) {
      if (role[c] == kSkip) continue;
      const auto [first, fresh] = place.emplace(names[c], c);
      if (!fresh)
        fail<DataError>("{}: columns {} and {} are both named '{}'; rename one, or leave them out with data.columns",
                        path_, first->second + 1, c + 1, names[c]);
    }
  }

  Table empty_table(int64_t rows, const std::vector<std::string>& names, const std::vector<int64_t>& role) {
    Table table;
    for (size_t c = 0; c < names.size(); ++c)
      if (role[c] >= 0 && role[c] != kSkip) table.names.push_back(names[c]);
    const Shape shape{rows, static_cast<int64_t>(table.names.size())};
    const double numbers = static_cast<double>(shape[0]) * static_cast<double>(shape[1]) * sizeof(double),
                 words = static_cast<double>(rows) * static_cast<double>(text_columns_.size()) * sizeof(std::string);
    const bool large = numbers >= static_cast<double>(map_from_);
    memory_.hold(words + (large ? 0 : numbers), fmt::format("{} rows of {} columns", rows, names.size()));
    table.values = large ? temporary_tensor(shape, at::kDouble, path_) : at::empty(shape, at::kDouble);
    table.words.assign(text_columns_.size(), std::vector<std::string>(rows));
    if (!text_columns_.empty()) table.lines.resize(rows);
    return table;
  }

  void fill_row(Table& table, int64_t r, const Line& line, const std::vector<std::string>& names,
                const std::vector<int64_t>& role) {
    const Cells row = cells(line);
    if (row.size() != names.size()) fail<DataError>("{}:{}: was changed while it was read", path_, line.number);
    if (!table.lines.empty()) table.lines[r] = line.number;
    double* const values = table.values.data_ptr<double>() + r * table.values.size(1);
    for (size_t c = 0; c < row.size(); ++c) {
      if (role[c] == kSkip) continue;
      if (role[c] < 0) {
        memory_.hold(static_cast<double>(row[c].size()), "the words of its text columns", line.number);
        table.words[-1 - role[c]][r] = word_of(row[c]);
      } else {
        values[role[c]] = number_in(row[c], line, names[c]);
      }
    }
  }

  double number_in(std::string_view cell, const Line& line, const std::string& name) const {
    const std::optional<double> found = number(cell);
    if (found) return *found;
    const std::string other = hint(cell);
    fail<DataError>("{}:{}: column '{}' holds '{}', a number is expected{}", path_, line.number, name, word_of(cell),
                    other.empty() ? "; data.columns names the columns to read" : other);
  }

  std::string path_;
  TableFormat format_;
  std::vector<std::string> text_columns_, number_columns_;
  int64_t map_from_;
  MemoryMeter memory_;
};

}  // namespace

Table read_csv(const std::string& path, const TableFormat& format, const std::vector<std::string>& text_columns,
               const std::vector<std::string>& number_columns, int64_t map_from) {
  return TableReader(path, format, text_columns, number_columns, map_from).read();
}

std::vector<std::string> read_column_names(const std::string& path, const TableFormat& format) {
  return TableReader(path, format, {}, {}, kLargeFile).head().names;
}

}  // namespace vem
