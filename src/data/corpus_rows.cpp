// Documents as rows of counts, for models that take rows, and back.
#include "vem/core/error.h"
#include "vem/data/corpus.h"

namespace vem {

namespace {

/// Reads documents and spreads their counts over the vocabulary: one row a document.
class CountRows final : public RowSource {
 public:
  explicit CountRows(Dataset documents) : documents_(std::move(documents)) {}

  TensorMap read(const Tensor& begins, const Tensor& /*lengths: all 1*/) const override {
    const Batch batch = documents_.batch(begins, 0, at::kFloat);
    const Tensor &word = batch.at("word"), &count = batch.at("count");
    const int64_t V = documents_.schema.num_features();
    constexpr int32_t kExact = 1 << 24;  // float32 holds the whole numbers up to this
    const bool exact = count.numel() == 0 || count.max().item<int32_t>() <= kExact;
    const Tensor x = at::zeros({batch.size(), V}, exact ? at::kFloat : at::kDouble);
    const Tensor place = batch.row_item() * V + word;
    x.view({-1}).index_put_({place}, count.to(x.scalar_type()));
    return {{"x", x}};
  }

 private:
  Dataset documents_;
};

}  // namespace

Dataset rows_of_counts(Dataset data) {
  if (!data.offsets.defined() || !(data.disk || data.columns.count("word"))) return data;
  Dataset rows;
  rows.schema = data.schema;
  rows.columns = data.item_columns;
  rows.index = data.index;
  rows.weight = data.weight;
  rows.size = data.size;
  data.index = Tensor();
  rows.disk = std::make_shared<CountRows>(std::move(data));
  return rows;
}

Batch as_documents(Batch batch) {
  if (batch.columns.count("word")) return batch;
  const Tensor x = batch.at("x"), places = x.nonzero();
  if (x.numel() > 0 && x.max().item<double>() > std::numeric_limits<int32_t>::max())
    fail<DataError>("documents: a count is {}; counts are below 2^31", x.max().item<double>());
  batch.columns = {{"word", places.select(1, 1).to(at::kInt)}, {"count", x.index({x != 0}).to(at::kInt)}};
  batch.offsets = at::cat({at::zeros({1}, at::kLong), at::bincount(places.select(1, 0), {}, x.size(0)).cumsum(0)});
  return batch;
}

}  // namespace vem
