// Comma- and tab-separated tables. Cells may be quoted ("" inside stands for one quote), but hold no line break.
// A number is what std::from_chars takes; an empty cell, NA and NaN are NaN. Row names, as R writes them, are left out.
// The file is read twice, to count and to parse: its text, several times larger than the numbers, is never held.
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

#include "lines.h"
#include "mapped.h"
#include "vem/core/error.h"
#include "vem/data/readers.h"

namespace vem {

namespace {

int64_t count_lines(const std::string& path) {
  LineReader lines(path);
  int64_t count = 0;
  while (lines.next()) ++count;
  return count;
}

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// The length of the cell that `text` starts with, quotes included; npos where a quote is not closed.
size_t cell_length(std::string_view text, char separator) {
  if (text.empty() || text[0] != '"') return std::min(text.find(separator), text.size());
  for (size_t quote = text.find('"', 1); quote != std::string_view::npos; quote = text.find('"', quote + 2))
    if (quote + 1 == text.size() || text[quote + 1] != '"') return std::min(text.find(separator, quote), text.size());
  return std::string_view::npos;
}

/// What stands between the quotes of a quoted cell, "" not yet replaced.
std::string_view unquoted(std::string_view cell) {
  if (cell.size() >= 2 && cell.front() == '"' && cell.back() == '"') return cell.substr(1, cell.size() - 2);
  return cell;
}

std::string word_of(std::string_view cell) {
  const std::string_view text = unquoted(cell);
  std::string word;
  for (size_t i = 0; i < text.size(); ++i) {
    word += text[i];
    if (text.data() != cell.data() && text[i] == '"') ++i;
  }
  return word;
}

std::optional<double> number_of(std::string_view cell) {
  const std::string_view text = trim(unquoted(cell));
  if (text.empty() || text == "NA") return std::numeric_limits<double>::quiet_NaN();
  const bool plus = text.size() > 1 && text[0] == '+' && text[1] != '-';  // from_chars takes no plus sign
  double value = 0;
  const auto [end, error] = std::from_chars(text.data() + plus, text.data() + text.size(), value);
  if (end != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::strtod(std::string(text).c_str(), nullptr);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

/// One parse of one file: which columns there are and what each becomes.
class TableReader {
 public:
  TableReader(std::string path, char separator, const std::vector<std::string>& text_columns,
              const std::vector<std::string>& number_columns, int64_t map_from)
      : path_(std::move(path)),
        separator_(separator),
        text_columns_(text_columns),
        number_columns_(number_columns),
        map_from_(map_from) {}

  Table read() const {
    const int64_t num_lines = count_lines(path_);
    LineReader lines(path_);
    std::optional<Line> line = lines.next();
    const auto [names, has_header] = column_names(line);
    check_columns(names, text_columns_);
    check_columns(names, number_columns_);
    const std::vector<int64_t> role = roles(names);
    if (has_header && !(line = lines.next())) fail<DataError>("{}: holds no rows below its header", path_);

    Table table = empty_table(num_lines - has_header, names, role);
    for (int64_t r = 0; line; ++r, line = lines.next()) fill_row(table, r, *line, names, role);
    return table;
  }

  std::vector<std::string> names() const {
    LineReader lines(path_);
    return column_names(lines.next()).first;
  }

 private:
  static constexpr int64_t kSkip = std::numeric_limits<int64_t>::max();

  std::vector<std::string_view> cells(const Line& line, size_t expected) const {
    std::vector<std::string_view> found;
    found.reserve(expected);
    std::string_view rest = line.text;
    for (;;) {
      const size_t length = cell_length(rest, separator_);
      if (length == std::string_view::npos) fail<DataError>("{}:{}: a quote is not closed", path_, line.number);
      found.push_back(trim(rest.substr(0, length)));
      if (length == rest.size()) return found;
      rest.remove_prefix(length + 1);
    }
  }

  /// By the first line, and whether it is a header.
  std::pair<std::vector<std::string>, bool> column_names(const std::optional<Line>& line) const {
    if (!line) fail<DataError>("{}: holds no rows", path_);
    const std::vector<std::string_view> first = cells(*line, 16);
    const bool has_header = !std::all_of(first.begin(), first.end(), [](auto cell) { return number_of(cell); });
    std::vector<std::string> names;
    for (size_t c = 0; c < first.size(); ++c)
      names.push_back(has_header ? word_of(first[c]) : fmt::format("x{}", c + 1));
    return {names, has_header};
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
        result.push_back(is_number(c, names[c]) ? numbers++ : kSkip);
    }
    return result;
  }

  /// All but row names; where columns are named, these.
  bool is_number(size_t c, const std::string& name) const {
    if (number_columns_.empty()) return c > 0 || (!name.empty() && name != "rownames");
    return std::find(number_columns_.begin(), number_columns_.end(), name) != number_columns_.end();
  }

  void check_columns(const std::vector<std::string>& names, const std::vector<std::string>& wanted) const {
    for (const std::string& column : wanted)
      if (std::find(names.begin(), names.end(), column) == names.end()) {
        const std::vector<std::string> shown(names.begin(), names.begin() + std::min<size_t>(names.size(), 12));
        fail<DataError>("{}: has no column named '{}'; its columns are {}{}", path_, column, fmt::join(shown, ", "),
                        shown.size() < names.size() ? ", ..." : "");
      }
  }

  Table empty_table(int64_t rows, const std::vector<std::string>& names, const std::vector<int64_t>& role) const {
    Table table;
    for (size_t c = 0; c < names.size(); ++c)
      if (role[c] >= 0 && role[c] != kSkip) table.names.push_back(names[c]);
    const Shape shape{rows, static_cast<int64_t>(table.names.size())};
    const bool large = shape[0] * shape[1] * static_cast<int64_t>(sizeof(double)) >= map_from_;
    table.values = large ? temporary_tensor(shape, at::kDouble) : at::empty(shape, at::kDouble);
    table.words.assign(text_columns_.size(), std::vector<std::string>(rows));
    if (!text_columns_.empty()) table.lines.resize(rows);
    return table;
  }

  void fill_row(Table& table, int64_t r, const Line& line, const std::vector<std::string>& names,
                const std::vector<int64_t>& role) const {
    const std::vector<std::string_view> row = cells(line, names.size());
    if (row.size() != names.size())
      fail<DataError>("{}:{}: has {} cells, {} are expected", path_, line.number, row.size(), names.size());
    if (!table.lines.empty()) table.lines[r] = line.number;
    double* const values = table.values.data_ptr<double>() + r * table.values.size(1);
    for (size_t c = 0; c < row.size(); ++c) {
      if (role[c] == kSkip) continue;
      if (role[c] < 0)
        table.words[-1 - role[c]][r] = word_of(row[c]);
      else
        values[role[c]] = number_in(row[c], line, names[c]);
    }
  }

  double number_in(std::string_view cell, const Line& line, const std::string& name) const {
    const std::optional<double> number = number_of(cell);
    if (!number)
      fail<DataError>("{}:{}: column '{}' holds '{}', a number is expected; data.columns names the columns to read",
                      path_, line.number, name, word_of(cell));
    return *number;
  }

  std::string path_;
  char separator_;
  std::vector<std::string> text_columns_, number_columns_;
  int64_t map_from_;
};

}  // namespace

Table read_csv(const std::string& path, char separator, const std::vector<std::string>& text_columns,
               const std::vector<std::string>& number_columns, int64_t map_from) {
  return TableReader(path, separator, text_columns, number_columns, map_from).read();
}

std::vector<std::string> read_column_names(const std::string& path, char separator) {
  return TableReader(path, separator, {}, {}, kLargeFile).names();
}

}  // namespace vem
