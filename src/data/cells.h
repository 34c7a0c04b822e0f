// Cells of a table: where they end, what stands in their quotes, which number they are. Private to the readers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vem {

/// The cells of a line, without blanks around them but in their quotes; nothing where a quote is not closed.
/// `expected`: how many there probably are.
std::optional<std::vector<std::string_view>> cells_of(std::string_view line, char separator, size_t expected);

/// How many cells a line has; nothing where a quote is not closed. Takes no memory where nothing is quoted.
std::optional<size_t> count_cells(std::string_view line, char separator);

/// What a cell says, without its quotes.
std::string word_of(std::string_view cell);

/// The number that a cell holds, NaN where it is empty, NA or NaN; nothing where it holds something else.
std::optional<double> number_of(std::string_view cell, char decimal);

/// Whether a cell holds a whole number, written with digits alone.
bool is_whole_number(std::string_view cell);

/// What to try where `cell`, or a line, is not what was expected: "; ..." naming the option, or nothing.
std::string hint_of(std::string_view cell, char separator, char decimal);

}  // namespace vem
