// Words of a label as classes.
#include <algorithm>
#include <unordered_map>

#include "corpus_builder.h"

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

}  // namespace vem
