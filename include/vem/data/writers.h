// Writers of results: each writes to a temporary name and renames, so a failure leaves nothing half-written.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "vem/core/types.h"

namespace vem {

/// Calls write(temporary path), flushes the file to disk and renames it to `path`. Throws OutputError; `path` is then
/// as it was.
void write_atomically(const std::string& path, const std::function<void(const std::string&)>& write);

void write_text(const std::string& path, const std::string& text);
void write_npy(const std::string& path, const Tensor& tensor);
/// values [rows, columns]; shortest decimals that read back to the same number.
void write_csv(const std::string& path, const Tensor& values, const std::vector<std::string>& names);
/// images [n, channels (1 or 3), height, width] in [0, 1] as a grid of `columns`, two pixels apart, enlarged `zoom` times.
void write_png_grid(const std::string& path, const Tensor& images, int64_t columns, int64_t zoom = 2);

}  // namespace vem
