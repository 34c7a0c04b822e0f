// Words of a label as classes, and words of columns as symbols.
#include <algorithm>
#include <unordered_map>

#include "corpus_builder.h"
#include "vem/core/error.h"
#include "vem/core/rng.h"
#include "vem/data/source.h"

namespace vem {

namespace {

bool is_missing(const std::string& word) { return word.empty() || word == "NA"; }

}  // namespace

std::vector<std::string> classes_of(const std::vector<std::string>& words) {
  std::vector<std::string> classes = words;
  std::sort(classes.begin(), classes.end());
  classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  classes.erase(std::remove_if(classes.begin(), classes.end(), is_missing), classes.end());
  const auto is_whole = [](const std::string& word) {
    return word.size() < 18 && word.find_first_not_of("0123456789") == std::string::npos;
  };
  if (std::all_of(classes.begin(), classes.end(), is_whole))
    std::stable_sort(classes.begin(), classes.end(),
                     [](const auto& a, const auto& b) { return std::stoll(a) < std::stoll(b); });
  return classes;
}

Tensor class_ids(const std::vector<std::string>& words, const std::vector<std::string>& classes) {
  std::unordered_map<std::string, int64_t> ids;
  for (const std::string& name : classes) ids.emplace(name, static_cast<int64_t>(ids.size()));
  const Tensor labels = at::empty({static_cast<int64_t>(words.size())}, at::kLong);
  int64_t* id = labels.data_ptr<int64_t>();
  for (const std::string& word : words) *id++ = is_missing(word) ? -1 : ids.at(word);
  return labels;
}

Tensor kept_labels(const Tensor& labels, int64_t count, uint64_t seed) {
  const Tensor order = Rng(seed).fold("labels kept").permutation(labels.size(0)), from = labels.contiguous();
  const int64_t classes = from.numel() == 0 ? 0 : from.max().item<int64_t>() + 1;
  std::vector<int64_t> left(static_cast<size_t>(std::max<int64_t>(classes, 0)));
  for (size_t k = 0; k < left.size(); ++k) left[k] = (count + classes - 1 - static_cast<int64_t>(k)) / classes;
  const Tensor kept = at::full_like(from, -1);
  const int64_t *place = order.data_ptr<int64_t>(), *label = from.data_ptr<int64_t>();
  int64_t* out = kept.data_ptr<int64_t>();
  for (int64_t i = 0; i < from.size(0); ++i) {
    const int64_t row = place[i];
    if (label[row] >= 0 && left[static_cast<size_t>(label[row])]-- > 0) out[row] = label[row];
  }
  return kept;
}

Dataset match_categories(Dataset data, const Schema& wanted, Unseen unseen) {
  for (const auto& [column, theirs] : wanted.categories) {
    const auto ours = data.schema.categories.find(column);
    if (ours == data.schema.categories.end() || ours->second == theirs) continue;
    std::vector<double> place;
    for (const std::string& word : ours->second) {
      const auto found = std::find(theirs.begin(), theirs.end(), word);
      if (found == theirs.end() && unseen == Unseen::refuse)
        fail<DataError>("{}: column '{}' holds '{}'; the model knows {}", data.schema.source, column, word,
                        fmt::join(theirs, ", "));
      place.push_back(found == theirs.end() ? std::nan("") : static_cast<double>(found - theirs.begin()));
    }
    place.push_back(std::nan(""));  // of a missing word
    const std::vector<std::string>& names = data.schema.feature_names;
    const int64_t feature = std::find(names.begin(), names.end(), column) - names.begin();
    Tensor x = data.columns.at("x").clone();
    const Tensor ids = x.select(1, feature), last = at::full({}, static_cast<double>(place.size() - 1), at::kDouble);
    x.select(1, feature)
        .copy_(at::tensor(place, at::kDouble).index_select(0, at::where(ids.isnan(), last, ids).to(at::kLong)));
    data.columns["x"] = x;
    data.schema.categories[column] = theirs;
  }
  return data;
}

}  // namespace vem
