// A number is what std::from_chars takes, with a point or, if that is asked for, a comma before its fraction.
#include "cells.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <utility>

namespace vem {
namespace {

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

/// Without the blanks before a quote: what is quoted may hold separators.
std::string_view from_quote(std::string_view text, char separator) {
  size_t at = 0;
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t') && text[at] != separator) ++at;
  return at < text.size() && text[at] == '"' ? text.substr(at) : text;
}

/// What stands between the quotes of a quoted cell, "" not yet replaced.
std::string_view unquoted(std::string_view cell) {
  if (cell.size() >= 2 && cell.front() == '"' && cell.back() == '"') return cell.substr(1, cell.size() - 2);
  return cell;
}

std::optional<double> parsed(std::string_view text) {
  const bool plus = text.size() > 1 && text[0] == '+' && text[1] != '-';  // from_chars takes no plus sign
  double value = 0;
  const auto [end, error] = std::from_chars(text.data() + plus, text.data() + text.size(), value);
  if (end != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::strtod(std::string(text).c_str(), nullptr);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

std::string with_point(std::string_view text) {
  std::string result(text);
  std::replace(result.begin(), result.end(), ',', '.');
  return result;
}

/// Calls body(cell) for each cell of a line, blanks and quotes included; false where a quote is not closed.
template <class Body>
bool for_each_cell(std::string_view line, char separator, const Body& body) {
  for (std::string_view rest = line;;) {
    rest = from_quote(rest, separator);
    const size_t length = cell_length(rest, separator);
    if (length == std::string_view::npos) return false;
    body(rest.substr(0, length));
    if (length == rest.size()) return true;
    rest.remove_prefix(length + 1);
  }
}

}  // namespace

std::optional<std::vector<std::string_view>> cells_of(std::string_view line, char separator, size_t expected) {
  std::vector<std::string_view> found;
  found.reserve(expected);
  if (!for_each_cell(line, separator, [&](std::string_view cell) { found.push_back(trim(cell)); })) return std::nullopt;
  return found;
}

std::optional<size_t> count_cells(std::string_view line, char separator) {
  if (line.find('"') == std::string_view::npos)
    return 1 + static_cast<size_t>(std::count(line.begin(), line.end(), separator));
  size_t count = 0;
  if (!for_each_cell(line, separator, [&](std::string_view) { ++count; })) return std::nullopt;
  return count;
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

std::optional<double> number_of(std::string_view cell, char decimal) {
  const std::string_view text = trim(unquoted(cell));
  if (text.empty() || text == "NA") return std::numeric_limits<double>::quiet_NaN();
  if (decimal == '.') return parsed(text);
  return text.find('.') == std::string_view::npos ? parsed(with_point(text)) : std::nullopt;
}

bool is_whole_number(std::string_view cell) {
  const std::string_view text = trim(unquoted(cell));
  return !text.empty() && text.size() < 18 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string hint_of(std::string_view cell, char separator, char decimal) {
  for (const auto& [other, name] : {std::pair{';', "semicolon"}, {'\t', "tab"}})
    if (separator != other && cell.find(other) != std::string_view::npos)
      return std::string("; a ") + name + " seems to separate cells: data.separator = \"" + name + "\"";
  const std::string_view text = trim(unquoted(cell));
  if (decimal == '.' && std::count(text.begin(), text.end(), ',') == 1 && parsed(with_point(text)))
    return "; if its comma stands before a fraction, data.decimal = \"comma\"";
  if (decimal == ',' && text.find('.') != std::string_view::npos && parsed(text))
    return "; data.decimal = \"point\" reads points before fractions";
  return "";
}

}  // namespace vem
