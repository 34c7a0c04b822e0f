// Items by their places in the file; of long sequences, rows at equal distances.
#include "row_sample.h"

#include "inputs.h"

namespace vem {
namespace {

constexpr int64_t kKeptRows = 500;             // that are kept
constexpr int64_t kLookedAt = 10 * kKeptRows;  // rows of whole sequences from which these are taken

/// `most` of the numbers 0 .. n-1 at equal distances, or all of them.
Tensor spread_over(int64_t n, int64_t most) {
  return n <= most ? at::arange(n, at::kLong) : (at::arange(most, at::kLong) * n).div(most, "floor");
}

/// FNV-1a of the bytes of tensors, in the 53 bits that a number of JSON keeps.
int64_t hash_of(const std::vector<Tensor>& tensors) {
  uint64_t hash = 14695981039346656037ull;
  for (const Tensor& tensor : tensors) {
    const Tensor bytes = tensor.contiguous();
    const auto* byte = static_cast<const unsigned char*>(bytes.data_ptr());
    for (size_t i = 0; i < bytes.nbytes(); ++i) hash = (hash ^ byte[i]) * 1099511628211ull;
  }
  return static_cast<int64_t>(hash >> 11);
}

Tensor places_of(const Dataset& data) { return data.index.defined() ? data.index : at::arange(data.size, at::kLong); }

int64_t num_rows(const Dataset& data) { return data.offsets.defined() ? data.offsets[-1].item<int64_t>() : data.size; }

/// The parts of the file that the training items are from.
std::vector<const Dataset*> parts_of_file(const Splits& splits) {
  std::vector<const Dataset*> parts{&splits.train};
  for (const Dataset* part : {&splits.validation, &splits.test})
    if (part->size > 0 && part->index.defined() && splits.train.index.defined()) parts.push_back(part);
  return parts;
}

}  // namespace

RowSample::RowSample(const Splits& splits, at::ScalarType dtype) {
  const std::vector<const Dataset*> parts = parts_of_file(splits);
  std::vector<Tensor> places, place_of_row, rows;
  int64_t size = 0, all_rows = 0;
  for (const Dataset* part : parts) {
    places.push_back(places_of(*part));
    size += part->size;
    all_rows += num_rows(*part);
  }
  const bool ragged = splits.train.offsets.defined();
  const int64_t items = ragged ? std::max<int64_t>(1, kLookedAt * size / std::max<int64_t>(1, all_rows)) : kKeptRows;
  const Tensor wanted = std::get<0>(at::cat(places).sort()).index_select(0, spread_over(size, items));
  for (size_t i = 0; i < parts.size(); ++i) {
    const Tensor positions = at::isin(places[i], wanted).nonzero().view({-1});
    if (positions.numel() == 0) continue;
    Batch batch = parts[i]->batch(positions, 0, dtype);
    if (ragged) {  // one sequence alone may be too long
      batch.offsets = batch.offsets.clamp_max(kLookedAt);
      batch.columns["x"] = batch.at("x").slice(0, 0, kLookedAt);
    }
    place_of_row.push_back(ragged ? batch.index.index_select(0, batch.row_item()) : batch.index);
    rows.push_back(batch.at("x"));
    parts_.push_back(std::move(batch));
  }
  const auto [place, order] = at::cat(place_of_row).sort(/*stable=*/true, 0, false);
  kept_ = order.index_select(0, spread_over(order.size(0), kKeptRows));
  id_ = hash_of({place, at::cat(rows).index_select(0, order)});
}

Tensor RowSample::components(const Method& responsibilities, int64_t num_components) const {
  std::vector<Tensor> all;
  for (const Batch& part : parts_) all.push_back(responsibilities.call(inputs_of(responsibilities, part), Rng(0))[0]);
  const Tensor r = at::cat(all);
  return r.size(1) == num_components ? r.argmax(1).index_select(0, kept_) : Tensor();
}

}  // namespace vem
