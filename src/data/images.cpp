// Images as rows of a data set, and the folders of the MNIST family.
#include "images.h"

#include <filesystem>

#include "vem/core/error.h"
#include "vem/data/readers.h"

namespace vem {

namespace {

namespace fs = std::filesystem;

Tensor load_labels(const std::string& path, const std::string& images, int64_t size) {
  const Tensor labels = read_idx(path);
  if (labels.dim() != 1)
    fail<DataError>("{}: holds images (IDX magic 0x00000803), labels (0x00000801) are expected", path);
  if (labels.size(0) != size)
    fail<DataError>("{}: holds {} labels, but {} holds {} images", path, labels.size(0), images, size);
  return labels.to(at::kLong);
}

/// The file of the MNIST family that `stem` names, under any of the names in use.
std::string find_idx(const std::string& folder, const std::string& stem) {
  for (const char* prefix : {"", "mnist-"})
    for (const char* suffix : {"", ".gz"}) {
      const std::string path = (fs::path(folder) / (prefix + stem + suffix)).string();
      std::error_code ignored;
      if (fs::exists(path, ignored)) return path;
    }
  fail<MissingInputError>("{}: has no file {}[.gz]", folder, stem);
}

Dataset load_labelled(const std::string& folder, const std::string& part) {
  const std::string images = find_idx(folder, part + "-images-idx3-ubyte");
  const std::string labels = find_idx(folder, part + "-labels-idx1-ubyte");
  Dataset data = load_images(images);
  data.columns["label"] = load_labels(labels, images, data.size);
  data.schema.num_classes = data.columns["label"].max().item<int64_t>() + 1;
  return data;
}

}  // namespace

Dataset rows_of(const Tensor& values, const std::string& path) {
  if (values.dim() < 1 || values.dim() > 4)
    fail<DataError>(
        "{}: has {} dimensions; [items, features] or images [items, (channels,) height, width] are expected", path,
        values.dim());
  Dataset data;
  data.size = values.size(0);
  if (values.numel() == 0) fail<DataError>("{}: holds no items", path);
  data.schema.item_shape.assign(values.sizes().begin() + 1, values.sizes().end());
  if (values.dim() == 1) data.schema.item_shape = {1};
  if (values.dim() == 3) data.schema.item_shape.insert(data.schema.item_shape.begin(), 1);
  data.columns["x"] = values.reshape({data.size, -1});
  // Bytes are grey levels, except where someone has binarised them already.
  const bool grey = values.dim() >= 3 && values.scalar_type() == at::kByte && values.max().item<uint8_t>() > 1;
  data.pixel_scale = grey ? 255 : 1;
  return data;
}

Dataset load_images(const std::string& path) {
  const Tensor images = read_idx(path);
  if (images.dim() != 3)
    fail<DataError>("{}: holds labels (IDX magic 0x00000801), images (0x00000803) are expected", path);
  return rows_of(images, path);
}

std::pair<Dataset, Dataset> load_mnist(const std::string& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) fail<MissingInputError>("{}: no such folder", folder);
  Dataset train = load_labelled(folder, "train"), test = load_labelled(folder, "t10k");
  if (train.schema.item_shape != test.schema.item_shape)
    fail<DataError>("{}: the training images are {}x{}, the test images {}x{}", folder, train.schema.item_shape[1],
                    train.schema.item_shape[2], test.schema.item_shape[1], test.schema.item_shape[2]);
  train.schema.num_classes = std::max(train.schema.num_classes, test.schema.num_classes);
  test.schema = train.schema;
  test.pixel_scale = train.pixel_scale;
  return {train, test};
}

}  // namespace vem
