// Readers, one a format. All read plain or gzipped files, told apart by content. A file that is not there or may not be
// read is a MissingInputError, one that is not what it should be a DataError.
#pragma once

#include <string>
#include <vector>

#include "vem/core/types.h"

namespace vem {

/// Values of so many bytes (256 MiB) stay on disk, and the system holds of them what it has memory for.
constexpr int64_t kLargeFile = int64_t{1} << 28;

/// IDX (the MNIST container): uint8 [items, rows, columns] for images (magic 0x0803), uint8 [items] for labels
/// (0x0801). Throws DataError for another magic or a size that does not match ("truncated: got .. bytes, .. are
/// wanted").
Tensor read_idx(const std::string& path);

/// Whether the first row of a table holds the names of its columns.
enum class TableHeader { automatic, yes, no };

/// How a table is written.
struct TableFormat {
  TableFormat(char between = ',') : separator(between) {}
  char separator;      ///< between cells: ',' ';' or a tab
  char decimal = '.';  ///< before fractions: '.' or ','
  TableHeader header =
      TableHeader::automatic;  ///< automatic: yes if some cell of the first row is a word, or numbers look so
};

struct Table {
  std::vector<std::string> names;               ///< of the numeric columns
  Tensor values;                                ///< [rows, columns] float64; empty cells, NA and NaN are NaN
  std::vector<std::vector<std::string>> words;  ///< per column asked for as text: its cells
  std::vector<int64_t> lines;                   ///< of each row, from 1; only where text was asked for
  bool has_header = false;                      ///< whether the first row was read as names
};
/// A table; without a header its columns are x1, x2 ... A warning says so where a first row of numbers could be either:
/// 0, 1, 2 ... over fractions or an index are names, as pandas writes them, other numbers are a row. `text_columns` are
/// read as words, `number_columns` as numbers (empty: all others). Left out are row names: a first column named "",
/// rownames or "Unnamed: 0", and one that the header does not count, as R's write.table has it. Throws DataError with
/// file and line for a text cell in a numeric column or a row of another length, for a name that no column has and for
/// one that two columns have. Numbers of at least `map_from` bytes go to a temporary file: they may be larger than
/// memory.
Table read_csv(const std::string& path, const TableFormat& format, const std::vector<std::string>& text_columns = {},
               const std::vector<std::string>& number_columns = {}, int64_t map_from = kLargeFile);

/// The names of all columns, those of text and row names too.
std::vector<std::string> read_column_names(const std::string& path, const TableFormat& format);

/// NumPy .npy, versions 1 to 3, in C or Fortran order and of either byte order: float32, float64, uint8, int32, int64,
/// bool. Throws DataError for others. An array of at least `map_from` bytes stays in its file, if that is not gzipped,
/// or is copied to a temporary one where its order has to change: it may be larger than memory.
Tensor read_npy(const std::string& path, int64_t map_from = kLargeFile);

}  // namespace vem
