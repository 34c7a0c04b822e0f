// Batches as selections of a data set's columns. Ragged items are runs of rows between neighbouring offsets.
#include "vem/data/dataset.h"

#include <cmath>
#include <numeric>

#include "mapped.h"
#include "vem/core/error.h"
#include "vem/data/mapped_files.h"
#include "vem/data/readers.h"

namespace vem {

namespace {

const at::TensorOptions kInt64 = at::TensorOptions(at::kLong);

/// True where `positions` count up by one: a pass in order, cut into chunks.
bool is_run(const Tensor& positions) {
  const int64_t* p = positions.data_ptr<int64_t>();
  if (positions.numel() == 0 || p[0] < 0) return false;
  for (int64_t i = 1; i < positions.numel(); ++i)
    if (p[i] != p[0] + i) return false;
  return true;
}

/// Selected rows; without a copy where they are neighbours, which nobody notices since nobody writes to a batch.
Tensor select_rows(const Tensor& column, const Tensor& rows, bool run) {
  return run ? column.narrow(0, rows[0].item<int64_t>(), rows.numel()) : column.index_select(0, rows);
}

/// Likewise, to be kept: a copy of many rows is a file, since a second copy of the data may not fit into memory.
Tensor kept_rows(const Tensor& column, const Tensor& rows, bool run) {
  Shape shape = column.sizes().vec();
  shape[0] = rows.numel();
  const int64_t bytes = rows.numel() * (column.numel() / std::max<int64_t>(column.size(0), 1)) * column.element_size();
  if (run || bytes < kLargeFile) return select_rows(column, rows, run);
  Tensor kept = temporary_tensor(shape, column.scalar_type(), "the data set");
  at::index_select_out(kept, column, 0, rows);
  return kept;
}

Tensor lengths_of(const Tensor& offsets) { return offsets.slice(0, 1) - offsets.slice(0, 0, -1); }

Tensor offsets_of(const Tensor& lengths) { return at::cat({at::zeros({1}, kInt64), lengths.cumsum(0)}); }

/// [rows] int64: the place of each row in its own item.
Tensor places_of(const Tensor& offsets) {
  const Tensor lengths = lengths_of(offsets);
  const Tensor starts = offsets.slice(0, 0, -1).repeat_interleave(lengths);
  return at::arange(starts.size(0), kInt64) - (starts - offsets[0]);
}

/// What a selection of items selects of the rows.
struct Selection {
  explicit Selection(const Dataset& data, const Tensor& positions) : items(positions.contiguous()) {
    if (items.dim() != 1 || items.scalar_type() != at::kLong)
      fail<DataError>("dataset: positions must be [items] int64, got {} dimensions of {}", items.dim(),
                      c10::toString(items.scalar_type()));
    items_run = is_run(items);
    if (!data.offsets.defined()) {
      rows = items;
      lengths = at::ones({1}, kInt64).expand_as(items);
      if (data.disk) disk_begin = data.disk_begin.defined() ? data.disk_begin.index_select(0, items) : items;
    } else {
      const Tensor begins = data.offsets.index_select(0, items);
      lengths = data.offsets.index_select(0, items + 1) - begins;
      offsets = offsets_of(lengths);
      if (data.disk) disk_begin = data.disk_begin.defined() ? data.disk_begin.index_select(0, items) : begins;
      if (!data.columns.empty()) rows = begins.repeat_interleave(lengths) + places_of(offsets);
    }
    rows_run = rows.defined() && is_run(rows);
  }

  using Select = Tensor (*)(const Tensor& column, const Tensor& rows, bool run);
  TensorMap columns(const TensorMap& from, Select select) const {
    TensorMap result;
    for (const auto& [name, column] : from) result[name] = select(column, rows, rows_run);
    return result;
  }
  TensorMap item_columns(const TensorMap& from) const {
    TensorMap result;
    for (const auto& [name, column] : from) result[name] = select_rows(column, items, items_run);
    return result;
  }
  /// Of a column with one entry an item; what `absent` gives where there is none.
  Tensor per_item(const Tensor& column, const std::function<Tensor()>& absent) const {
    return column.defined() ? select_rows(column, items, items_run) : absent();
  }

  Tensor items, rows, lengths, offsets, disk_begin;  // rows: only where columns are in memory, they may be billions
  bool items_run = false, rows_run = false;
};

}  // namespace

const Tensor& Batch::at(const std::string& column) const {
  const auto found = columns.find(column);
  if (found != columns.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& entry : columns) names.push_back(entry.first);
  fail<DataError>("batch: there is no column '{}'; the data have {}", column,
                  names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
}

Tensor Batch::row_item() const {
  return offsets.defined() ? at::repeat_interleave(lengths_of(offsets)) : at::arange(size(), kInt64);
}

Tensor Batch::row_weight() const { return offsets.defined() ? weight.index_select(0, row_item()) : weight; }

Tensor Batch::per_item(const Tensor& rows, int64_t dim) const {
  if (!offsets.defined()) return rows;
  std::vector<int64_t> shape = rows.sizes().vec();
  const int64_t d = dim < 0 ? dim + rows.dim() : dim;
  shape.at(d) = size();
  return at::zeros(shape, rows.options()).index_add(d, row_item(), rows);
}

Tensor Batch::normal(const Rng& rng, const Shape& shape, std::string_view stream, at::ScalarType dtype) const {
  if (!offsets.defined()) return rng.normal(index, shape, stream, dtype);
  return rng.normal(index.index_select(0, row_item()), shape, stream, dtype, places_of(offsets));
}

Tensor Batch::uniform(const Rng& rng, const Shape& shape, std::string_view stream) const {
  if (!offsets.defined()) return rng.uniform(index, shape, stream);
  return rng.uniform(index.index_select(0, row_item()), shape, stream, at::kDouble, places_of(offsets));
}

bool Schema::operator==(const Schema& other) const {
  return source == other.source && feature_names == other.feature_names && item_shape == other.item_shape &&
         num_classes == other.num_classes && categories == other.categories;
}

int64_t Schema::num_features() const {
  return std::accumulate(item_shape.begin(), item_shape.end(), int64_t{1}, std::multiplies<>());
}

Batch Dataset::batch(const Tensor& positions, int64_t epoch, at::ScalarType dtype) const {
  expect_mapped_files_whole();
  const Selection selection(*this, positions);
  Batch batch;
  batch.columns = selection.columns(columns, select_rows);
  if (disk) batch.columns.merge(disk->read(selection.disk_begin, selection.lengths));
  batch.item_columns = selection.item_columns(item_columns);
  batch.offsets = selection.offsets;
  batch.index = selection.per_item(index, [&] { return selection.items; });
  batch.weight = selection.per_item(weight, [&] { return at::ones({1}, at::kDouble).expand_as(selection.items); });

  const auto found = batch.columns.find("x");
  if (found == batch.columns.end()) return batch;
  Tensor& x = found->second;
  const bool as_read = dtype == at::ScalarType::Undefined;
  if (as_read && (binarize != Binarize::none || pixel_scale != 1)) dtype = at::kDouble;
  if (binarize == Binarize::none) {
    if (dtype != at::ScalarType::Undefined) x = x.to(dtype);
    if (pixel_scale != 1) x = x / pixel_scale;
    return batch;
  }
  // Coins are thrown in float32, whatever `dtype` is: the same pixels are on at every precision.
  const Rng rng = Rng(binarize_seed).at(binarize == Binarize::dynamic ? epoch : 0);
  const bool ragged = batch.offsets.defined();
  x = rng.bernoulli(ragged ? batch.index.index_select(0, batch.row_item()) : batch.index, x, pixel_scale, "binarize",
                    ragged ? places_of(batch.offsets) : Tensor())
          .to(dtype);
  return batch;
}

Dataset Dataset::subset(const Tensor& positions) const {
  expect_mapped_files_whole();
  const Selection selection(*this, positions);
  Dataset result = *this;
  result.columns = selection.columns(columns, kept_rows);
  result.item_columns = selection.item_columns(item_columns);
  result.offsets = selection.offsets;
  result.disk_begin = selection.disk_begin;
  result.index = selection.per_item(index, [&] { return selection.items; });
  result.weight = selection.per_item(weight, [] { return Tensor(); });
  result.size = selection.items.size(0);
  return result;
}

Dataset Dataset::first(int64_t count) const { return subset(at::arange(std::min(count, size), kInt64)); }

double Dataset::total_weight() const {
  return weight.defined() ? weight.sum(at::kDouble).item<double>() : static_cast<double>(size);
}

}  // namespace vem
