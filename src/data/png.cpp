// Images as one PNG: tiles in a grid, encoded in memory by libpng's simplified interface (no setjmp), then written
// like every other result.
#include <png.h>

#include "vem/core/error.h"
#include "vem/data/writers.h"

namespace vem {

namespace {

constexpr int64_t kGap = 2;         // pixels between tiles
constexpr double kBackground = .5;  // grey tells the gap from black and from white images

/// [n, channels, height, width] -> [rows * (height + gap) - gap, columns * (width + gap) - gap, channels].
Tensor grid_of(const Tensor& images, int64_t columns) {
  const int64_t n = images.size(0), channels = images.size(1), height = images.size(2), width = images.size(3);
  const int64_t rows = (n + columns - 1) / columns;
  const Tensor tiles = at::full({rows * columns, channels, height + kGap, width + kGap}, kBackground, images.options());
  tiles.narrow(0, 0, n).narrow(2, 0, height).narrow(3, 0, width).copy_(images);
  const Tensor grid = tiles.view({rows, columns, channels, height + kGap, width + kGap})
                          .permute({0, 3, 1, 4, 2})
                          .reshape({rows * (height + kGap), columns * (width + kGap), channels});
  return grid.slice(0, 0, -kGap).slice(1, 0, -kGap);
}

/// pixels [height, width, channels] uint8, contiguous.
std::string encode(const Tensor& pixels) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.height = static_cast<png_uint_32>(pixels.size(0));
  image.width = static_cast<png_uint_32>(pixels.size(1));
  image.format = pixels.size(2) == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string bytes(size, '\0');
  if (!png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels.data_ptr(), 0, nullptr))
    fail<OutputError>("write_png_grid: libpng: {}", image.message);
  bytes.resize(size);
  return bytes;
}

}  // namespace

void write_png_grid(const std::string& path, const Tensor& images, int64_t columns, int64_t zoom) {
  if (images.dim() != 4 || images.numel() == 0 || (images.size(1) != 1 && images.size(1) != 3))
    fail<DataError>("write_png_grid: images have shape {}, but [n, 1 or 3, height, width] is expected",
                    fmt::format("[{}]", fmt::join(images.sizes(), ", ")));
  if (columns < 1 || zoom < 1)
    fail<DataError>("write_png_grid: columns and zoom must be at least 1, got {} and {}", columns, zoom);
  const Tensor levels = images.detach().to(at::kFloat).nan_to_num(0).clamp(0, 1);
  const Tensor pixels = (grid_of(levels, columns) * 255).round().to(at::kByte);
  write_text(path, encode(pixels.repeat_interleave(zoom, 0).repeat_interleave(zoom, 1).contiguous()));
}

}  // namespace vem
