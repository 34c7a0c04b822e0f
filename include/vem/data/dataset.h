// A data set is one tensor a column, kept as it was read; a batch is a selection of items.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string_view>

#include "vem/core/rng.h"
#include "vem/core/types.h"

namespace vem {

/// Items that are independent given the globals: a row, a sequence, a document.
struct Batch {
  TensorMap columns;  ///< by name: "x" [rows, features] floating, "label" [rows] int64 ...; NaN marks a missing cell
  TensorMap item_columns;  ///< likewise, but one entry an item where items are ragged: "label" of documents ...
  Tensor offsets;   ///< [items + 1] int64 for ragged items, whose rows are concatenated; undefined: one row an item
  Tensor index;     ///< [items] int64: identity in the data set; the key of random numbers
  Tensor weight;    ///< [items] float64; perhaps one number for all, with a stride of 0
  TensorMap local;  ///< per-item state as the last E-step returned it; NaN rows for items never seen; empty at first

  int64_t size() const { return index.size(0); }
  /// The column, or a DataError that names it and what there is.
  const Tensor& at(const std::string& column) const;
  /// [rows] int64: the position in the batch of the item that a row belongs to.
  Tensor row_item() const;
  /// [rows] float64: the weight of the item that a row belongs to.
  Tensor row_weight() const;
  /// Sums rows into items along `dim`; the identity where every item is one row.
  Tensor per_item(const Tensor& rows, int64_t dim = -1) const;
  /// Standard normal noise [rows, *shape], a function of (rng, stream, item, place in the item) only.
  Tensor normal(const Rng& rng, const Shape& shape, std::string_view stream, at::ScalarType dtype) const;
  /// Likewise uniform on (0, 1), float64.
  Tensor uniform(const Rng& rng, const Shape& shape, std::string_view stream) const;
};

/// What a model must know of its data before it sees any, and what is saved with it.
struct Schema {
  std::string source;                      ///< where the data came from, for people
  std::vector<std::string> feature_names;  ///< of column "x"; empty where they have none
  Shape item_shape;                        ///< of one row of "x": {784}, or {channels, height, width} for images
  int64_t num_classes = 0;                 ///< of column "label", whose entry is -1 where it is missing; 0: none
  std::map<std::string, std::vector<std::string>>
      categories{};  ///< of features that are words: what 0, 1 ... stand for
  bool operator==(const Schema& other) const;
  int64_t num_features() const;  ///< product of item_shape
};

/// How pixels become 0 or 1 (Bernoulli data).
enum class Binarize { none, fixed, dynamic };

/// Columns that stay on disk; a batch reads the rows that it needs.
class RowSource {
 public:
  virtual ~RowSource() = default;
  /// Rows begins[i] .. begins[i] + lengths[i] of every column, one run after the other; both [runs] int64.
  virtual TensorMap read(const Tensor& begins, const Tensor& lengths) const = 0;
};

struct Dataset {
  Schema schema;
  TensorMap columns;       ///< "x" [rows, features] in the type it was read (uint8 pixels stay uint8), "label" ...
  TensorMap item_columns;  ///< of ragged items: columns with one entry an item
  Tensor offsets;          ///< [items + 1] int64 for ragged items
  std::shared_ptr<const RowSource> disk;  ///< columns of ragged items that are not in memory; null: none
  Tensor disk_begin;       ///< [items] int64: where the rows of each item begin in `disk`; undefined: at `offsets`
  Tensor index;            ///< [items] int64: identity of each item, kept through splits; undefined: 0 .. size-1
  Tensor weight;           ///< [items] float64; undefined: 1
  int64_t size = 0;        ///< items
  double pixel_scale = 1;  ///< "x" is divided by this (255 for uint8 images)
  Binarize binarize = Binarize::none;  ///< dynamic: redrawn each epoch; fixed: drawn once from the seed
  uint64_t binarize_seed = 0;

  /// Items at these positions: selected, scaled and binarised; "x" [rows, features] of `dtype` (Undefined: as it was
  /// read, float64 where it is scaled). `epoch` matters for dynamic binarisation only (evaluations pass 0). Neighbours
  /// may be views of the data set's columns, so a batch is never written to. DataError for positions not [items] int64.
  Batch batch(const Tensor& positions, int64_t epoch, at::ScalarType dtype) const;
  /// The items at these positions as a data set of their own; identities are kept, neighbours share the storage.
  Dataset subset(const Tensor& positions) const;
  /// The first `count` items, on the same storage.
  Dataset first(int64_t count) const;
  double total_weight() const;
};

}  // namespace vem
