// Images and their like as rows of a data set. Private to load_splits.
#pragma once

#include <string>
#include <utility>

#include "vem/data/dataset.h"

namespace vem {

/// Images of one or three dimensions an item, or plain features, as rows. `path` is for messages.
Dataset rows_of(const Tensor& values, const std::string& path);

/// The images of an IDX file.
Dataset load_images(const std::string& path);

/// Training and test set of the MNIST family, in a folder.
std::pair<Dataset, Dataset> load_mnist(const std::string& folder);

}  // namespace vem
