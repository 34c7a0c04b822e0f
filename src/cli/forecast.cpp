// vem forecast: what comes after the end of each sequence, as a table.
#include <algorithm>
#include <set>

#include "inputs.h"
#include "output_file.h"
#include "text.h"
#include "vem/core/error.h"
#include "vem/core/names.h"
#include "vem/data/sequences.h"
#include "vem/data/writers.h"
#include "verbs.h"

namespace vem {
namespace {

const std::string kProbability = "probability_";

std::string feature_name(const Schema& schema, int64_t d) {
  const auto place = static_cast<size_t>(d);
  return place < schema.feature_names.size() ? schema.feature_names[place] : fmt::format("x{}", d);
}

/// What the symbols 0, 1 ... of a feature stand for: words of a column, symbols of a sequence, or the numbers.
std::vector<std::string> words_of(const Schema& schema, const std::string& feature, int64_t count) {
  std::vector<std::string> words;
  if (const auto found = schema.categories.find(feature); found != schema.categories.end()) words = found->second;
  if (words.empty()) words = symbols_of(schema.feature_names);
  for (auto c = static_cast<int64_t>(words.size()); c < count; ++c) words.push_back(std::to_string(c));
  return words;
}

/// The columns of the file, from the outputs of the method [items, horizon, n].
class ForecastTable {
 public:
  ForecastTable(const Schema& schema, int64_t rows) : schema_(schema), rows_(rows) {}
  void add(const std::string& name, const Tensor& column) {
    names_.push_back(name);
    columns_.push_back(column.to(at::kDouble).reshape({rows_, 1}));
  }
  void add_output(const std::string& name, const Tensor& values) {
    const Tensor own = values.reshape({rows_, -1});
    if (name.rfind(kProbability, 0) == 0) return add_symbols(name.substr(kProbability.size()), own);
    const bool by_feature = name != "states";
    for (int64_t d = 0; d < own.size(1); ++d) {
      const std::string feature = feature_name(schema_, d);
      if (by_feature && symbols_.count(feature)) continue;
      add(name + "_" + (by_feature ? feature : std::to_string(d)), own.select(1, d));
    }
  }
  /// Columns of symbols have no moments: add_output() leaves them out of these.
  void set_symbols(const Method& method) {
    for (const std::string& output : method.outputs)
      if (output.rfind(kProbability, 0) == 0) symbols_.insert(output.substr(kProbability.size()));
  }
  Tensor values() const { return at::cat(columns_, 1); }
  const std::vector<std::string>& names() const { return names_; }
  const std::map<std::string, std::vector<std::string>>& words() const { return words_; }
  /// Names of columns with an infinite variance.
  std::vector<std::string> infinite() const {
    std::vector<std::string> found;
    for (size_t c = 0; c < names_.size(); ++c)
      if (names_[c].rfind("variance_", 0) == 0 && columns_[c].isinf().any().item<bool>()) found.push_back(names_[c]);
    return found;
  }

 private:
  /// The most probable symbol, then the probability of each.
  void add_symbols(const std::string& feature, const Tensor& p) {
    const std::vector<std::string> words = words_of(schema_, feature, p.size(1));
    const std::string suffix = symbols_of(schema_.feature_names).empty() ? "_" + feature : "";
    const std::string best = "most_probable" + (suffix.empty() ? "_symbol" : suffix);
    words_[best] = words;
    add(best, p.argmax(1).to(at::kDouble).masked_fill(p.isnan().any(1), std::nan("")));
    for (int64_t c = 0; c < p.size(1); ++c)
      add("probability" + suffix + (suffix.empty() ? "_" : "=") + words[static_cast<size_t>(c)], p.select(1, c));
  }

  const Schema& schema_;
  int64_t rows_;
  std::set<std::string> symbols_;
  std::vector<std::string> names_;
  std::vector<Tensor> columns_;
  std::map<std::string, std::vector<std::string>> words_;
};

}  // namespace

int forecast(const Arguments& a, const Registry& registry) {
  const int64_t horizon = a["horizon"].as<int64_t>();
  if (horizon < 1) fail<UsageError>("--horizon must be >= 1, got {}", horizon);
  const LoadedRun run = load_run(a, registry);
  const auto methods = run.model->methods();
  const Method& method = method_of(methods, "forecast", run);
  const bool has_intervals = std::count(method.outputs.begin(), method.outputs.end(), "lower") > 0;
  if (!has_intervals) a.refuse("level", "columns of symbols have probabilities and no intervals");
  const double level = has_intervals ? a["level"].as<double>() : 0.5;
  if (!(level > 0 && level < 1)) fail<UsageError>("--level must be between 0 and 1, got {}", level);
  const std::string path = output_of(a, run, "forecast.csv", {".npy", ".csv"});
  const Items items = load_items(a, run);
  const at::NoGradGuard no_grad;
  const Batch batch = items.data.batch(at::arange(items.data.size, at::kLong), 0, run.model->dtype());
  const std::vector<Tensor> outputs = method.call(
      {batch.at("x"), batch.offsets, at::scalar_tensor(horizon, at::kLong), at::scalar_tensor(level, at::kDouble)},
      Rng(0));
  ForecastTable table(run.checkpoint.schema, batch.size() * horizon);
  table.set_symbols(method);
  table.add("sequence", batch.index.repeat_interleave(horizon));
  table.add("step", at::arange(1, horizon + 1, at::kLong).repeat({batch.size()}));
  for (size_t i = 0; i < outputs.size(); ++i) table.add_output(method.outputs[i], outputs[i]);
  if (has_extension(path, ".npy"))
    write_npy(path, table.values());
  else
    write_csv(path, table.values(), table.names(), table.words());
  fmt::print("{}\n{} after each of {}\n", one_line(path), counted(horizon, "step"), items.name);
  const int64_t impossible = outputs[0].isnan().any(-1).any(-1).sum().item<int64_t>();
  if (impossible > 0)
    fmt::print("{} impossible under the model (probability 0): nothing can be told of what follows\n",
               impossible == 1 ? "1 sequence is" : fmt::format("{} sequences are", impossible));
  if (const auto infinite = table.infinite(); !infinite.empty())
    fmt::print(
        "infinite: {}. A component that has hardly seen a row has a predictive density with tails so heavy (of a "
        "normal: "
        "a Student-t of two degrees of freedom or fewer) that it has no variance; the intervals stand. Fewer "
        "components "
        "or a stronger prior give it one\n",
        fmt::join(infinite, ", "));
  return 0;
}

}  // namespace vem
