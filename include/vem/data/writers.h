// Writers of results: each writes to a temporary name and renames, so a failure leaves nothing half-written.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "vem/core/types.h"

namespace vem {

/// Calls write(temporary path), flushes the file to disk and renames it to `path`. Throws OutputError with
/// the system's reason, also for what `write` throws unless that is an Error; `path` is then as it was. Links are
/// followed; a device or a pipe (/dev/stdout) is written to directly. Parent folders are not made.
void write_atomically(const std::string& path, const std::function<void(const std::string&)>& write);

/// For signal handlers: removes the temporary file of a write_atomically() that is under way, if there is one. Only one
/// thread of a program may write at a time.
void remove_unfinished_file() noexcept;
/// Removes the temporary files that killed programs have left in a folder in which no other program writes.
void remove_temporary_files(const std::string& folder);

void write_text(const std::string& path, const std::string& text);
/// float32, float64, uint8, int32, int64 or bool; DataError for others.
void write_npy(const std::string& path, const Tensor& tensor);
/// How a cell is spelled; null: as its number, or the word that this stands for.
using Spelling = std::function<const std::string*(int64_t row, int64_t column)>;
/// values [rows, columns]; shortest decimals that read back to the same number. One name a column; those in `words`
/// hold places in a list of words, which are written instead. `spelling`, where there is one, has the first say.
void write_csv(const std::string& path, const Tensor& values, const std::vector<std::string>& names,
               const std::map<std::string, std::vector<std::string>>& words = {}, const Spelling& spelling = {});
/// CSR documents as LDA-C, one a line: word and count [rows] int32, offsets [documents + 1] int64.
void write_lda_c(const std::string& path, const Tensor& word, const Tensor& count, const Tensor& offsets);
/// Entries of values [rows, columns] that are at least `least`, as Matrix Market coordinates from 1; the same decimals.
void write_matrix_market(const std::string& path, const Tensor& values, double least);
/// images [n, channels (1 or 3), height, width] in [0, 1] as a grid of `columns`, two pixels apart on grey, then
/// enlarged `zoom` times. Levels outside [0, 1] are cut, NaN is black. Throws DataError for another shape.
void write_png_grid(const std::string& path, const Tensor& images, int64_t columns, int64_t zoom = 2);

}  // namespace vem
