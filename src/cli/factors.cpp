#include "factors.h"

#include <cstdlib>

#include "text.h"
#include "vem/core/error.h"
#include "vem/data/readers.h"
#include "vem/data/source.h"

namespace vem {
namespace {

constexpr double kActive = 0.01;  // variance of the posterior mean (Burda, Grosse and Salakhutdinov 2016)

/// Words as numbers, or NaN where one is none.
Tensor numbers_of(const std::vector<std::string>& words) {
  const Tensor numbers = at::empty({static_cast<int64_t>(words.size())}, at::kDouble);
  double* value = numbers.data_ptr<double>();
  for (const std::string& word : words) {
    char* end = nullptr;
    *value++ = std::strtod(word.c_str(), &end);
    if (word.empty() || *end != '\0') return numbers.fill_(std::nan(""));
  }
  return numbers;
}

Factors factors_of_table(const std::string& path, char separator) {
  Factors factors{read_column_names(path, separator), {}, {}};
  const Table table = read_csv(path, separator, factors.names);
  std::vector<Tensor> values, numbers;
  for (size_t f = 0; f < factors.names.size(); ++f) {
    const std::vector<std::string>& words = table.words[f];
    const auto gap = std::find_if(words.begin(), words.end(), [](const auto& w) { return w.empty() || w == "NA"; });
    if (gap != words.end())
      fail<DataError>("{}:{}: factor '{}' has no value", path, table.lines[gap - words.begin()], factors.names[f]);
    std::map<std::string, int64_t> ids;
    for (const std::string& word : words) ids.emplace(word, ids.size());
    std::vector<int64_t> id;
    for (const std::string& word : words) id.push_back(ids.at(word));
    values.push_back(at::tensor(id, at::kLong));
    numbers.push_back(numbers_of(words));
  }
  factors.values = at::stack(values, 1);
  factors.numbers = at::stack(numbers, 1);
  return factors;
}

Factors factors_of_array(const std::string& path) {
  const Tensor array = read_npy(path);
  if (array.dim() != 2 || array.is_floating_point())
    fail<DataError>("{}: factors are whole numbers [items, factors], got [{}] of {}", path,
                    fmt::join(array.sizes(), ", "), c10::toString(array.scalar_type()));
  Factors factors{{}, {}, array.to(at::kDouble)};
  std::vector<Tensor> values;
  for (int64_t f = 0; f < array.size(1); ++f) {
    factors.names.push_back(fmt::format("{}", f));
    values.push_back(std::get<1>(at::_unique(array.select(1, f).to(at::kLong), true, true)));
  }
  factors.values = at::stack(values, 1);
  return factors;
}

}  // namespace

Factors read_factors(const std::string& path, const Items& items) {
  const char separator = separator_of(path);
  if (!separator && !has_extension(path, ".npy"))
    fail<UsageError>("--factors {}: .csv, .tsv or .npy is expected", path);
  Factors factors = separator ? factors_of_table(path, separator) : factors_of_array(path);
  if (factors.values.size(0) != items.of_file)
    fail<DataError>("{}: has {} rows, {} are expected: one for each item of {} that the run reads, in its order", path,
                    factors.values.size(0), items.of_file, items.data.schema.source);
  if (items.data.index.defined()) {
    factors.values = factors.values.index_select(0, items.data.index);
    factors.numbers = factors.numbers.index_select(0, items.data.index);
  }
  return factors;
}

Json print_disentanglement(const Method& encode, const Model& model, const Dataset& data, const Factors& factors,
                           uint64_t seed) {
  const Tensor means = map_items(encode, model, data, seed)[0].flatten(1).to(at::kDouble);
  const Tensor z = at::where(means.var(0, /*unbiased=*/false) > kActive, means, at::zeros({}, at::kDouble));
  const Rng rng = Rng(seed).fold("factors");
  const double mig = mutual_information_gap(z, factors), sap = attribute_predictability(z, factors),
               factor_vae = factor_vae_score(z, factors, rng);
  const DciScores dci = dci_scores(z, factors, rng);
  print_row("MIG", mig, fmt::format("mutual information gap, of factors {}", fmt::join(factors.names, ", ")));
  print_row("SAP", sap, "gap between the two dimensions that predict a factor best");
  print_row("DCI disentanglement", dci.disentanglement, "1: a dimension serves one factor");
  print_row("DCI completeness", dci.completeness, "1: a factor needs one dimension");
  print_row("DCI informativeness", dci.informativeness, "share of held-out factor values that trees predict");
  print_row("FactorVAE score", factor_vae, "share of factors told by the steadiest dimension");
  return {{"factors", factors.names},
          {"mig", mig},
          {"sap", sap},
          {"dci_disentanglement", dci.disentanglement},
          {"dci_completeness", dci.completeness},
          {"dci_informativeness", dci.informativeness},
          {"factor_vae_score", factor_vae}};
}

}  // namespace vem
