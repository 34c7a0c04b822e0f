// Every closed-form model: allocation x observation, scaled data, starts, the E-step and methods. A mixture, a hidden
// Markov model and their like are this class with other defaults; they register it under a name of their own.
#pragma once

#include <algorithm>
#include <atomic>

#include "vem/infer/component_model.h"
#include "vem/infer/factored.h"
#include "vem/infer/model.h"

namespace vem {

/// Rows: a component that explains fewer counts as empty, and is free to be born anew.
constexpr double kEmpty = 0.5;

/// body(begin, end) for parts of so many rows, in order, where all of a batch are looked at: as many numbers as stay
/// small beside a model.
template <class Body>
void for_parts(int64_t rows, const Body& body) {
  constexpr int64_t kRowsAtOnce = 4096;
  for (int64_t begin = 0; begin < rows; begin += kRowsAtOnce) body(begin, std::min(rows, begin + kRowsAtOnce));
}

struct FactoredOptions : ModelOptions {
  enum class Start { automatic, kmeans, random, segments, ordered, labels, run };

  int64_t num_components = 2;
  Estimate estimate = Estimate::posterior;
  Precision precision = Precision::float64;
  Choice observation{"observation", "normal", nullptr}, allocation;
  bool standardize = true;
  Start start = Start::automatic;
  std::string start_from;
  int64_t restarts = 1, restart_passes = 10;

  /// How a start is written as an option.
  static const char* word(Start start);

  /// The allocation that a model of this name has unless it is told another.
  explicit FactoredOptions(std::string allocation_name)
      : allocation{"allocation", std::move(allocation_name), nullptr} {}
  bool has_conjugate() const override { return true; }
  bool has_gradient() const override { return false; }
  bool sampled() const override { return estimate == Estimate::gibbs; }
  void visit(OptionVisitor& v) override;

 private:
  void visit_part(OptionVisitor& v, const char* name, Choice& choice, const char* help) const;
  bool real_valued() const;
};

/// Both factors for `context.num_components` states, whose registry is set. Throws ConfigError where they do not fit.
Factored make_part(const Choice& allocation, const Choice& observation, Observation::Context context);

class FactoredModel final : public Model, public ComponentModel {
 public:
  /// `name` is what messages call the model.
  FactoredModel(std::string name, const FactoredOptions& options, const Context& context);

  void initialize(const Dataset& train, const Rng& rng) override;
  Expectation e_step(const Batch& batch, const Step& step, const Rng& rng) const override;
  /// The allocation's readouts, component_parameters and sample.
  std::vector<Method> methods() const override;
  /// The blocks', the observation's, and "components.empty": how many explain less than half a row.
  std::map<std::string, double> diagnostics() const override;
  /// Birth, merge and delete of components, where rows are independent.
  std::vector<std::shared_ptr<Move>> moves() const override;
  /// Rows stay as they were read, on disk or in memory: parts of them are centred in float64, whatever the precision.
  at::ScalarType dtype() const override { return at::ScalarType::Undefined; }
  int64_t num_free() const override { return num_free(part_); }
  Labelings labelings() const override { return part_.allocation().labelings(); }
  int64_t lags() const override { return part_.observation().lags(); }
  /// "start": which start was kept, and where several competed, what they came to. "one component": the bound per item
  /// that a fit must exceed to be better than one component.
  std::map<std::string, std::string> notes() const override { return notes_; }

 private:
  static int64_t num_free(const Factored& part);
  const Tensor& center() const { return scaling_->get("scaling.center"); }
  const Tensor& scale() const { return scaling_->get("scaling.scale"); }
  /// Rows, or rows beside their history.
  Tensor scaled(const Tensor& x) const {
    if (part_.observation().lags() == 0) return (x.to(at::kDouble) - center()) / scale();
    const Shape times{x.size(1) / schema_.num_features()};
    return (x.to(at::kDouble) - center().repeat(times)) / scale().repeat(times);
  }
  bool posterior() const { return options_.estimate == Estimate::posterior; }

  const Tensor& rows_of(const Batch& batch) const;
  std::string column_name(int64_t column) const;
  /// Rows of a batch as the factors take them, a part at a time: the column itself may be a file. Sets `gaps`, unless
  /// null, when it meets a missing cell.
  RowReader scaled_rows(const Batch& batch, std::atomic<bool>* gaps = nullptr) const;
  void require_support(const Tensor& x) const;
  /// Throws DataError for a column of x without any value, or whose squares are beyond or below the range of numbers.
  void require_values(const Moments& moments, const Tensor& x) const;
  /// Throws the NumericError of a bound that is NaN, which names the largest number among the rows x.
  [[noreturn]] void fail_not_a_number(const Tensor& x, const Step& step) const;
  /// Warns where the numbers of symbols or words are explained as real numbers: their order and distances mean nothing.
  void warn_of_symbols() const;
  Tensor log_unit(const Tensor& rows) const;
  /// Its sum over the rows of a batch whose items weigh `count` in all, with or without missing cells, weighted: [].
  Tensor log_units(const Batch& batch, const Tensor& count, bool gaps) const;
  /// Learns what rows are centred and divided by. `read_as`: the type of the numbers in the file.
  void set_scaling(const Moments& moments, at::ScalarType read_as);

  Tensor label_column(const Batch& batch) const;
  /// Rows between which distances mean something, each part formed when it is asked for.
  struct Points {
    std::function<Tensor(const Tensor& places)> at;
    RowReader rows;
    Tensor weight;
  };
  Points points_of(const Batch& batch) const;
  static Points part_of(const Points& all, const Tensor& places);
  static Tensor clusters(const Points& points, int64_t num_clusters, const Rng& rng);
  /// States of rows by a start of this kind.
  Tensor start_labels(FactoredOptions::Start kind, const Points& points, const Batch& batch, const Rng& rng) const;
  Tensor ordered_labels(const Batch& batch) const;
  /// Component indices of rows whose states are known: where a state has several, by k-means among its rows.
  Tensor component_labels(const Points& points, const Tensor& states, const Rng& rng) const;
  void start(const Batch& batch, const Tensor& states, const Rng& rng);
  /// How starts compare: those without a component on the variance floor come first, then the bound counts.
  struct Score {
    bool floored = false;
    double bound = 0;
    bool better(const Score& other) const { return floored != other.floored ? !floored : bound > other.bound; }
  };
  /// Where a start of some kind has come to.
  struct Entry {
    FactoredOptions::Start kind;
    TensorMap state;
    Score score;
  };
  /// The kinds of start that compete.
  std::vector<FactoredOptions::Start> kinds_of_start(int64_t rows) const;
  /// States of rows by the start of a kind that `place` names.
  Tensor candidate(FactoredOptions::Start kind, int64_t place, const Points& points, const Batch& batch,
                   const Rng& rng) const;
  /// The best of `count` starts of a kind after a few passes, those at `first` and the following places. `moments`:
  /// those that the priors were set from.
  Entry best_start(FactoredOptions::Start kind, int64_t first, int64_t count, const Points& points, const Batch& batch,
                   const Moments& moments, const Rng& rng);
  void play_on(Entry& entry, const Batch& batch, const Rng& rng);
  /// The best of the kinds of start, or of the restarts of one kind.
  void search(const Batch& batch, const Moments& moments, const Rng& rng);
  /// The bound per item that a fit of several components should exceed; NaN where that can not be told.
  double one_component(const Batch& batch, const Moments& moments, const Rng& rng) const;
  /// The state of the run that this one starts from. Throws DataError where it has other factors or columns.
  TensorMap previous_run() const;
  /// The sums that the previous run's posterior has beyond its prior, under the priors of this one.
  void continue_from(const TensorMap& state, const Rng& rng);

  /// log p(row | k) [rows, K] in the units of the data: theta integrated out, or at the point that the E-step uses.
  /// Of rows as the observation takes them, beside their history where it has lags.
  Tensor row_log_lik(const Tensor& rows, bool predictive) const;
  Tensor log_lik(const Tensor& x, const Tensor& offsets, bool predictive) const;
  Method method_of(const Allocation::Readout& readout) const;
  const char* row_method(bool predictive) const;
  std::vector<Method> row_methods() const;
  Method component_parameters() const;
  Method allocation_parameters() const;
  Method encode() const;
  Method impute() const;
  Method sample() const;
  Method forecast() const;
  std::string feature_name(size_t column) const;
  /// Of rows to come [items, horizon, D], in the units of the fitted rows: p [items, horizon, K] are the probabilities
  /// of their components.
  ColumnForecast column_forecast(const Tensor& p, const Allocation::Outlook& outlook, const Tensor& x,
                                 const Tensor& offsets, double level) const;

  std::string name_;
  FactoredOptions options_;
  Schema schema_;
  std::shared_ptr<ConstantBlock> scaling_;
  Factored part_;
  std::map<std::string, std::string> notes_;
};

}  // namespace vem
