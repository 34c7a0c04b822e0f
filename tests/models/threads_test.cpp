// The number of threads changes no bit of a closed-form fit: matrices large enough for a library to split its work.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/models.h"

namespace vem {
namespace threads_test {

class NumThreads {
 public:
  NumThreads() : before_(at::get_num_threads()) {}
  ~NumThreads() { at::set_num_threads(before_); }
  NumThreads(const NumThreads&) = delete;
  NumThreads& operator=(const NumThreads&) = delete;

 private:
  int before_;
};

/// Two blobs whose columns depend on each other, so that no product is of zeros; weights that no sum keeps exactly.
Dataset blobs(int64_t rows, int64_t columns) {
  const Rng rng(5);
  const Tensor index = at::arange(rows, at::kLong), mix = rng.normal(at::arange(columns, at::kLong), {columns}, "mix");
  const Tensor x = at::mm(rng.normal(index, {columns}, "rows"), mix / std::sqrt(static_cast<double>(columns)));
  Dataset data;
  data.columns["x"] = x + 2 * index.remainder(2).unsqueeze(1) * rng.normal(at::zeros({1}, at::kLong), {columns}, "far");
  data.weight = rng.uniform(index, {}, "weight") + 0.5;
  data.schema.item_shape = {columns};
  data.size = rows;
  return data;
}

/// What a fit with so many threads ends with: parameters and bounds.
TensorMap fitted(const std::string& toml, const Dataset& data, int threads, int64_t batch_size) {
  at::set_num_threads(threads);
  const auto model = make_model(toml, data);
  FitOptions options;
  options.epochs = 2;
  options.batch_size = batch_size;
  const FitResult result = fit(*model, data, options, {plugins()});
  TensorMap all = copy(model->state());
  all["bounds"] = at::tensor(result.bounds, at::kDouble);
  all["after"] = at::tensor(result.after, at::kDouble);
  return all;
}

void expect_equal_bits(const std::string& name, const std::string& toml, const Dataset& data,
                       const std::vector<int>& numbers = {3}, int64_t batch_size = 0) {
  const NumThreads restored;
  const TensorMap one = fitted(toml, data, 1, batch_size);
  for (const int threads : numbers)
    for (const auto& [key, value] : fitted(toml, data, threads, batch_size))
      EXPECT_TRUE(at::equal(value.nan_to_num(), one.at(key).nan_to_num()))
          << name << ", " << threads << " threads: " << key << " differs by " << difference(value, one.at(key));
}

TEST(Threads, ChangeNoBitOfANormalMixture) {
  const Dataset data = blobs(600, 48);
  for (const auto& [covariance, estimate] :
       std::initializer_list<std::pair<std::string, std::string>>{{"full", "posterior"},
                                                                  {"full", "gibbs"},
                                                                  {"tied", "map"},
                                                                  {"diagonal", "posterior"},
                                                                  {"spherical", "ml"},
                                                                  {"factor\"\nrank = 3\n#", "ml"},
                                                                  {"ppca\"\nrank = 3\n#", "map"}}) {
    Dataset own = data;
    if (estimate == "gibbs") own.weight = Tensor();
    expect_equal_bits(covariance + " " + estimate,
                      "[model]\nkind = \"mixture\"\nnum_components = 2\nestimate = \"" + estimate +
                          "\"\n[model.observation]\nkind = \"normal\"\ncovariance = \"" + covariance + "\"\n",
                      own, {2, 3});
  }
}

TEST(Threads, ChangeNoBitOfAChain) {
  Dataset data = blobs(800, 40);
  data.offsets = at::arange(0, 801, 100, at::kLong);
  data.size = 8;
  data.weight = Rng(2).uniform(at::arange(8, at::kLong), {}, "weight") + 0.5;
  for (const std::string observation : {"kind = \"normal\"\n", "kind = \"autoregressive\"\norder = 1\n"})
    expect_equal_bits(
        observation,
        "[model]\nkind = \"hmm\"\nnum_components = 3\nstart = \"segments\"\n[model.observation]\n" + observation, data);
}

// A sum of more than 32768 numbers is one that LibTorch splits.
TEST(Threads, ChangeNoBitOfSumsOverManyParameters) {
  Dataset data = blobs(20, 12000);
  expect_equal_bits("diagonal",
                    "[model]\nkind = \"mixture\"\nnum_components = 3\nobservation = {kind = \"normal\", covariance = "
                    "\"diagonal\"}\n",
                    data);
  data.columns["x"] = data.columns["x"].abs().mul(3).floor();
  expect_equal_bits("poisson", "[model]\nkind = \"mixture\"\nnum_components = 3\nobservation = \"poisson\"\n", data);
  expect_equal_bits("multinomial", "[model]\nkind = \"mixture\"\nnum_components = 3\nobservation = \"multinomial\"\n",
                    data);
}

// Of products this small: those of wide networks are split along what is summed by some libraries.
TEST(Threads, ChangeNoBitOfStepsOfAVae) {
  const Dataset data = blobs(512, 100);
  for (const std::string prior : {"\"standard\"", "{kind = \"mixture\", num_components = 4}"})
    expect_equal_bits(
        "vae with prior " + prior,
        "[model]\nkind = \"vae\"\nlatent_dim = 8\nlikelihood = \"normal\"\nstandardize = true\nprior = " + prior +
            "\nencoder = {kind = \"mlp\", widths = [128]}\ndecoder = {kind = \"mlp\", widths = [128]}\n",
        data, {2, 3}, 128);
}

TEST(Threads, ChangeNoBitOfAnyClosedFormModel) {
  for (const Variant& variant : variants("float64"))
    if (variant.closed_form) expect_equal_bits(variant.name, variant.toml, sample_data(variant.sample));
}

}  // namespace threads_test
}  // namespace vem
