// The words for Model::diagnostics().
#include "remarks.h"

#include "text.h"
#include "vem/core/error.h"

namespace vem {

std::vector<std::string> remarks(const Model& model, const std::map<std::string, std::string>& notes) {
  const auto ends_with = [](const std::string& name, const std::string& end) {
    return name.size() > end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
  };
  std::vector<std::string> all;
  for (const auto& [name, value] : model.diagnostics()) {
    const std::string components = counted(std::llround(value), "component");
    if (ends_with(name, ".empty"))
      all.push_back(fmt::format("empty: {} with less than half a row; fewer, or model.restarts, may help", components));
    if (ends_with(name, ".floored"))
      all.push_back(fmt::format(
          "at the smallest variance (or largest rate) that is allowed: {}; the likelihood has no maximum there. Fewer "
          "components, model.restarts, or model.estimate = \"map\" or \"posterior\" may help",
          components));
    if (ends_with(name, ".flat"))
      all.push_back(fmt::format(
          "flat: the training rows do not vary in {} of their columns' space (fewer rows than columns, or columns that "
          "follow from others); the prior holds components up there with a billionth of the mean variance, so "
          "densities "
          "and responsibilities rest on that number. A diagonal covariance, fewer columns or a larger covariance_scale "
          "may help",
          counted(std::llround(value), "direction")));
  }
  const auto one = notes.find("one component"), bound = notes.find("bound");
  if (one != notes.end() && bound != notes.end() && std::stod(bound->second) <= std::stod(one->second))
    all.push_back(
        "no better than one component: the fit is worth less than the parameters it adds; another model.start, more "
        "model.restarts or model.restart_passes may help, or there is nothing to find");
  return all;
}

}  // namespace vem
