// Documents as rows of counts, for models that take rows, and back.
#include "vem/data/corpus.h"

namespace vem {

namespace {

/// Reads documents and spreads their counts over the vocabulary: one row a document.
class CountRows final : public RowSource {
 public:
  explicit CountRows(Dataset documents) : documents_(std::move(documents)) {}

  TensorMap read(const Tensor& begins, const Tensor& /*lengths: all 1*/) const override {
    const Batch batch = documents_.batch(begins, 0, at::kFloat);
    const Tensor word = batch.at("word").contiguous(), count = batch.at("count").contiguous();
    const int64_t V = documents_.schema.num_features(), *offset = batch.offsets.data_ptr<int64_t>();
    Tensor x = at::zeros({batch.size(), V}, at::kFloat);
    float* row = x.data_ptr<float>();
    for (int64_t d = 0; d < batch.size(); ++d, row += V)
      for (int64_t i = offset[d]; i < offset[d + 1]; ++i)
        row[word.data_ptr<int32_t>()[i]] = static_cast<float>(count.data_ptr<int32_t>()[i]);
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
  batch.columns = {{"word", places.select(1, 1).to(at::kInt)}, {"count", x.index({x != 0}).to(at::kInt)}};
  batch.offsets = at::cat({at::zeros({1}, at::kLong), at::bincount(places.select(1, 0), {}, x.size(0)).cumsum(0)});
  return batch;
}

}  // namespace vem
