// The one loop. Legend: N items, a pass is every item once, an update is one M-step.
#include "vem/train/fit.h"

#include <chrono>

#include "fit_state.h"
#include "squarem.h"
#include "vem/core/activity.h"
#include "vem/core/error.h"
#include "vem/core/infinity.h"
#include "vem/data/mapped_files.h"
#include "vem/infer/one_thread.h"

namespace vem {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr const char* kRemedy = "a lower learning rate, gradient clipping or float64 may help";
// Closed form has neither rates nor gradients: there it is the numbers themselves.
constexpr const char* kClosedFormRemedy =
    "are there numbers in the data that are very large, or of very different sizes? Columns in other units, or "
    "standardised, may help";

class Fit {
 public:
  Fit(Model& model, const Dataset& train, const FitOptions& options, const FitContext& context)
      : model_(model),
        train_(train),
        options_(options),
        context_(context),
        comm_(context.communicator ? *context.communicator : local_comm_),
        root_(options.seed),
        total_weight_(on_one_thread([&] { return train.total_weight(); })) {
    if (train.size == 0) fail<DataError>("fit: the training data are empty");
    if (!(total_weight_ > 0)) fail<DataError>("fit: the training data have no item of any weight");
    if (!std::isfinite(total_weight_))
      fail<DataError>("fit: the weights of the training items add up to {}; divide them all by one number",
                      total_weight_);
    const int64_t size = options.batch_size > 0 ? std::min(options.batch_size, train.size) : train.size;
    batch_size_ = size;
    batches_ = (train.size + size - 1) / size;
    sampled_ = model.sampled();
    every_ = options.memoised                        ? 1
             : options.update_every > 0 && !sampled_ ? std::min(options.update_every, batches_)
                                                     : batches_;
    model.check();
    start();
    closed_form_ = model.closed_form();
    skips_outliers_ = model.skips_outliers();
    accelerated_ = options.acceleration == FitOptions::Acceleration::squarem;
    if (accelerated_ && (!closed_form_ || sampled_ || batches_ > 1))
      fail<ConfigError>("fit: train.acceleration needs passes in closed form over all of the data");
    if (accelerated_ && !model.monotone())
      fail<ConfigError>(
          "fit: train.acceleration needs a bound that no full pass lowers, to tell which extrapolations to keep");
    if (accelerated_ && keeps_item_state())
      fail<ConfigError>("fit: train.acceleration does not go with a model that keeps a state for each item");
    if (sampled_ && options.memoised) fail<ConfigError>("fit: train.memoised does not go with Gibbs sampling");
    if (options.memoised && !closed_form_)
      fail<ConfigError>(
          "fit: train.memoised needs every block to be updated in closed form, and this model has gradient blocks");
    for (const auto& [name, schedule] : model.schedules()) schedules_[name] = schedule;
    const auto conjugate = [](const auto& block) { return block->conjugate(); };
    const bool any_conjugate = std::any_of(model.blocks().begin(), model.blocks().end(), conjugate);
    if (any_conjugate && every_ < batches_ && !options.memoised)
      schedules_["rho"] = context.registry.create<Schedule>(options.rho, {context.registry});
  }

  FitResult run() {
    for (auto* c : context_.callbacks) c->on_start(model_, options_.epochs, batches_);
    while (result_.reason.empty() && state_.epoch < options_.epochs) pass();
    if (result_.reason.empty()) result_.reason = fmt::format("all {} epochs are done", options_.epochs);
    const auto snapshot = lazy_state();
    for (auto* c : context_.callbacks) c->on_end(model_, result_.reason, snapshot);
    result_.epoch = state_.epoch;
    result_.iteration = state_.iteration;
    result_.state = state_.to_tensors();
    return std::move(result_);
  }

 private:
  /// Rank 0 initialises, everyone gets its state; or the state comes from a checkpoint.
  void start() {
    if (context_.resume) {
      try {
        state_ = FitState::from_tensors(
            *context_.resume, {train_.size, batches_, options_.memoised, model_.e_step(no_items(), Step(), root_)});
        squarem_.check(model_);
      } catch (const DataError& e) {
        fail<DataError>("{}: can not be resumed from: {}", context_.resume_from, e.what());
      }
      return;
    }
    const Activity activity("starting the model");
    if (comm_.rank() == 0) model_.initialize(train_, root_.fold("initialize"));
    if (comm_.size() > 1) {
      TensorMap shared = model_.state();
      for (auto& [key, value] : shared)
        value = comm_.all_reduce_sum(comm_.rank() == 0 ? value.detach().clone() : at::zeros_like(value.detach()));
      model_.load(shared);
    }
    if (options_.memoised) {
      state_.cache.resize(static_cast<size_t>(batches_));
      state_.entropy.resize(static_cast<size_t>(batches_));
    }
  }

  Batch no_items() const { return train_.batch(at::empty({0}, at::kLong), 0, model_.dtype()); }

  /// Whether the model keeps variational state for each item: the E-step of an empty batch has its keys.
  bool keeps_item_state() const { return !model_.e_step(no_items(), Step(), root_).local.empty(); }

  /// One pass over the data, from where the state stands.
  void pass() {
    const Activity activity(fmt::format("training in epoch {}", state_.epoch + 1));
    const auto begin = Clock::now();
    double items = 0;
    const bool in_order = batches_ == 1 || options_.memoised || !options_.shuffle;
    if (in_order && !in_order_.defined()) in_order_ = at::arange(train_.size, at::kLong);
    const Tensor order = in_order ? in_order_ : root_.at(state_.epoch).fold("order").permutation(train_.size);
    on_trial_ = accelerated_ && squarem_.extrapolate(model_);
    Expectation pending;
    int64_t pending_batches = 0;
    while (result_.reason.empty() && state_.batch < batches_) {
      const int64_t b = state_.batch++;
      Step step = step_at(b);
      const Tensor positions = order.slice(0, b * batch_size_, std::min(train_.size, (b + 1) * batch_size_));
      Expectation part = on_trial_ ? e_step_on_trial(positions, step) : e_step(positions, step);
      items += static_cast<double>(positions.size(0));
      for (auto* c : context_.callbacks) c->on_batch(step, b * batch_size_ + positions.size(0));
      if (options_.memoised) {
        if (!replace(b, std::move(part))) continue;
        update(state_.total, step);
      } else {
        if (pending_batches++ == 0)
          pending = std::move(part);
        else
          pending += part;
        if (pending_batches < every_ && state_.batch < batches_) continue;
        update(reduce(std::move(pending)), step);
        pending = Expectation();
        pending_batches = 0;
      }
    }
    if (state_.batch == batches_) end_of_pass(items / std::max(1e-9, seconds_since(begin)));
  }

  Step step_at(int64_t batch) const {
    Step step;
    step.iteration = state_.iteration;
    step.epoch = state_.epoch;
    step.progress = static_cast<double>(state_.epoch) + static_cast<double>(batch) / static_cast<double>(batches_);
    step.num_epochs = static_cast<double>(options_.epochs);
    step.bounds = state_.bounds;
    step.total_weight = total_weight_;
    for (const auto& [name, schedule] : schedules_) step.weights[name] = schedule->at(step);
    return step;
  }

  /// The E-step over this rank's share; per-item state is taken in and put back.
  Expectation e_step(const Tensor& positions, const Step& step) {
    const Tensor mine =
        comm_.size() == 1 ? positions : positions.index({positions.remainder(comm_.size()) == comm_.rank()});
    Batch batch = train_batch(mine);
    for (const auto& [key, rows] : state_.local) batch.local[key] = rows.index_select(0, mine);
    Expectation part = model_.e_step(batch, step, root_.at(state_.epoch));
    expect_mapped_files_whole();
    for (const auto& [key, rows] : part.local) {
      Tensor& stored = state_.local[key];
      if (!stored.defined()) {
        Shape shape = rows.sizes().vec();
        shape[0] = train_.size;
        stored = at::full(shape, std::nan(""), rows.options());
      }
      stored.index_copy_(0, mine, rows);
    }
    part.local.clear();
    tell_others(part);
    return part;
  }

  /// Whether this rank was asked to stop; every rank hears of it with the next reduction.
  void tell_others(Expectation& part) const {
    if (comm_.size() > 1) part.metrics["trainer.stop"] = at::full({}, stop_requested_ ? 1.0 : 0.0, at::kDouble);
  }

  /// At an extrapolation, which may be beyond what the parameters allow: then the bound is -infinity.
  Expectation e_step_on_trial(const Tensor& positions, const Step& step) {
    try {
      return e_step(positions, step);
    } catch (const NumericError&) {
      Expectation none;
      none.count = at::zeros({}, at::kDouble);
      none.bound = at::full({}, -kInfinity, at::kDouble);
      for (const auto& [key, value] : model_.globals()) none.sums[key] = at::zeros_like(value.detach());
      tell_others(none);
      return none;
    }
  }

  /// Full batches in order are the same rows each pass: they are selected once.
  Batch train_batch(const Tensor& positions) {
    if (batches_ > 1 || train_.binarize == Binarize::dynamic)
      return train_.batch(positions, state_.epoch, model_.dtype());
    if (!whole_.index.defined()) whole_ = train_.batch(positions, 0, model_.dtype());
    return whole_;
  }

  Expectation reduce(Expectation e) {
    if (comm_.size() == 1) return e;
    auto buffers = e.pack();
    for (auto& entry : buffers) entry.second = comm_.all_reduce_sum(entry.second);
    e.unpack(buffers);
    return e;
  }

  /// Memoised: puts a batch's new sums in the place of its old ones. False while some batch was never seen.
  bool replace(int64_t b, Expectation part) {
    part = reduce(std::move(part));
    const auto i = static_cast<size_t>(b);
    const bool first_pass = state_.epoch == 0;
    if (!first_pass) state_.total -= state_.cache[i];
    state_.total += part;
    state_.entropy[i] = part.bound - model_.linear(part);
    state_.cache[i] = std::move(part);
    if (b + 1 == batches_) resum();  // so that rounding of subtractions does not add up
    return !first_pass || b + 1 == batches_;
  }

  void resum() {
    state_.total = Expectation();
    for (const Expectation& part : state_.cache)
      if (part.count.defined()) state_.total += part;
  }

  /// One M-step, with the bound before it and, where it is exact, after it. None for a batch of no weight: it says
  /// nothing, and means over it do not exist.
  void update(const Expectation& total, Step& step) {
    if (total.count.item<double>() == 0) return;
    const bool partial = every_ < batches_ && !options_.memoised;
    if (partial) step.scale = total_weight_ / total.count;
    const auto scaled = [&](const Tensor& t) { return partial ? t * step.scale : t; };
    Tensor before, entropy;
    if (closed_form_) {
      before = scaled(total.bound) - model_.kl_global();
      entropy = options_.memoised ? at::stack(state_.entropy).sum() : scaled(total.bound - model_.linear(total));
    }
    if (on_trial_ && !judge_extrapolation(before.item<double>())) return;
    if (!skips_outliers_) check_finite(total);
    model_.m_step(total, step, root_.fold("m_step").at(state_.iteration));
    ++state_.iteration;
    add_to_pass(total);
    if (closed_form_) follow_bound(before, entropy, total, step, partial);
    finish_update(total, step);
  }

  /// Whether an extrapolation has raised the bound. One that has not is taken back, and its pass is lost.
  bool judge_extrapolation(double bound) {
    const bool kept = bound >= state_.previous;
    on_trial_ = false;
    if (kept) {
      squarem_.keep();
      ++result_.kept["extrapolation"];
      return true;
    }
    squarem_.undo(model_);
    state_.epoch_total.count = at::full({}, total_weight_, at::kDouble);
    state_.epoch_total.bound = at::full({}, state_.previous, at::kDouble);
    lost_ = true;
    return false;
  }

  void add_to_pass(const Expectation& total) {
    if (skips_outliers_ && !std::isfinite(total.bound.item<double>())) return;  // the optimiser has counted it
    if (options_.memoised) state_.epoch_total = Expectation();                  // the totals hold every batch already
    Expectation logged;
    logged.count = total.count;
    logged.bound = total.bound;
    logged.metrics = total.metrics;
    logged.metrics.erase("trainer.stop");
    state_.epoch_total += logged;
  }

  void follow_bound(const Tensor& before, const Tensor& entropy, const Expectation& total, const Step& step,
                    bool partial) {
    if (!options_.memoised) result_.bounds.push_back(before.item<double>());
    if (step.weight("rho") == 1 && !sampled_) result_.after.push_back((entropy + model_.gain()).item<double>());
    if (partial || !model_.monotone()) return;
    const double now = options_.memoised ? result_.after.back() : result_.bounds.back();
    if (now < state_.previous && now < state_.previous - rounding_of(total, state_.previous)) {
      const std::string text =
          fmt::format("the bound fell from {:.15g} to {:.15g} at iteration {}; a full pass should never lower it",
                      state_.previous, now, state_.iteration);
      for (auto* c : context_.callbacks) c->on_warning(text);
    }
    state_.previous = now;
  }

  /// What rounding may change of a bound, from the sizes of what was added up: log-likelihoods that cancel, or that are
  /// logarithms of numbers near 1, leave a total much smaller than its terms and their errors.
  double rounding_of(const Expectation& total, double bound) const {
    double size = std::abs(bound);
    for (const auto& [key, value] : model_.globals()) {
      const auto sums = total.sums.find(key);
      if (sums == total.sums.end()) continue;
      const Tensor weight = sums->second.to(at::kDouble).abs(), term = value.detach().to(at::kDouble).abs();
      size += at::where(weight > 0, weight * (1 + term), at::zeros_like(weight)).sum().item<double>();
    }
    return (model_.dtype() == at::kFloat ? 1e-6 : 1e-9) * size;
  }

  void finish_update(const Expectation& total, const Step& step) {
    bool go_on = true;
    for (auto* c : context_.callbacks) go_on = c->on_update(model_, total, step) && go_on;
    if (comm_.size() > 1) {
      stop_requested_ = stop_requested_ || !go_on;
      go_on = total.metrics.at("trainer.stop").item<double>() == 0;
    }
    if (!go_on)
      interrupt("stopped on request");
    else if (options_.max_minutes > 0 && comm_.size() == 1 && seconds_since(begin_) > 60 * options_.max_minutes)
      interrupt(fmt::format("train.max_minutes = {} are over", options_.max_minutes));
  }

  void interrupt(const std::string& reason) {
    if (!result_.reason.empty()) return;
    result_.reason = reason;
    result_.interrupted = true;
  }

  /// Closes a pass: report, validation, early stopping.
  void end_of_pass(double items_per_second) {
    if (!state_.epoch_total.count.defined())
      fail<NumericError>("fit: no bound was finite in epoch {}; a lower learning rate or float64 may help",
                         state_.epoch + 1);
    check_finite(state_.epoch_total);
    check_parameters();  // the last step may have spoiled them, and a checkpoint would keep that
    EpochReport report;
    report.weights = step_at(batches_ - 1).weights;
    report.items_per_second = items_per_second;
    report.bound = pass_bound() / total_weight_;
    report.metrics = model_.report(state_.epoch_total);
    for (const auto& [name, value] : model_.diagnostics()) report.metrics[name] = {value};
    if (!closed_form_) result_.bounds.push_back(report.bound * total_weight_);
    report.validation_bound = std::nan("");
    if (context_.validation && context_.validation->size > 0) {
      const AveragedParameters averaged(model_);
      const Expectation held_out = evaluate(model_, *context_.validation, options_.batch_size, options_.seed);
      report.validation_bound = (held_out.bound / held_out.count).item<double>();
      for (auto& [name, values] : model_.report(held_out)) report.metrics["validation." + name] = values;
    }
    if (!lost_) judge_tolerance();
    lost_ = false;
    ++state_.epoch;
    state_.batch = 0;
    state_.epoch_total = Expectation();
    report.epoch = state_.epoch;
    report.iteration = state_.iteration;
    judge_best(report);
    const auto snapshot = lazy_state();
    bool go_on = true;
    for (auto* c : context_.callbacks) go_on = c->on_epoch(model_, report, snapshot) && go_on;
    if (!go_on && comm_.size() == 1) interrupt("stopped on request");
  }

  /// The bound of this pass, kl_global taken off: exact where the model stood still, an average over updates elsewhere.
  double pass_bound() const {
    if (closed_form_ && options_.memoised) return result_.after.empty() ? std::nan("") : result_.after.back();
    if (lost_) return state_.previous;
    if (closed_form_ && every_ == batches_) return result_.bounds.back();
    return (state_.epoch_total.bound * (total_weight_ / state_.epoch_total.count) - model_.kl_global()).item<double>();
  }

  /// Whether the exact bound still rises, pass by pass.
  void judge_tolerance() {
    if (!closed_form_ || !model_.monotone() || (every_ < batches_ && !options_.memoised)) return;
    const double now = state_.previous, rise = (now - state_.pass_end) / total_weight_;
    state_.pass_end = now;
    if (options_.tolerance > 0 && rise < options_.tolerance && options_.moves && make_moves()) {
      squarem_.forget();
      return;
    }
    if (options_.tolerance > 0 && rise < options_.tolerance && result_.reason.empty())
      result_.reason = fmt::format("converged: the bound rose by {:.1e} nats per item, less than train.tolerance",
                                   std::max(0.0, rise));
  }

  /// One full pass without an M-step: what it gives, and the bound.
  std::pair<Expectation, double> look() {
    Expectation total = reduce(e_step(at::arange(train_.size, at::kLong), step_at(0)));
    const double bound = (total.bound - model_.kl_global()).item<double>();
    return {std::move(total), bound};
  }

  static TensorMap copied(const TensorMap& tensors) {
    TensorMap copies;
    for (const auto& [key, value] : tensors) copies[key] = value.detach().clone();
    return copies;
  }

  /// Keeps what `change` does to the model if the bound after so many passes is higher by more than rounding.
  bool keep_if_better(const std::string& name, int64_t passes, const std::function<bool()>& change) {
    const TensorMap before = copied(model_.state()), local = copied(state_.local);
    const double bound = look().second;
    bool better = false;
    try {
      if (!change()) return false;
      auto [total, after] = look();
      for (int64_t pass = 0; pass < passes; ++pass) {
        model_.m_step(total, step_at(0), root_.fold("move").at(state_.iteration));
        std::tie(total, after) = look();
      }
      better = after > bound + std::max(rounding_of(total, bound), options_.tolerance * total_weight_);
    } catch (const NumericError&) {  // a proposal beyond what the parameters allow
    }
    if (better) {
      ++result_.kept[name];
      return true;
    }
    model_.load(before);
    state_.local = local;
    return false;
  }

  /// Every move until none is kept any more; true if one was.
  bool make_moves() {
    const auto moves = model_.moves();
    const Batch all = train_batch(at::arange(train_.size, at::kLong));
    bool any = false;
    for (const auto& move : moves) {
      bool more = true;
      for (int64_t attempt = 0; more;) {
        const Rng rng = root_.at(state_.epoch).fold(move->name()).fold(static_cast<uint64_t>(attempt));
        const bool kept =
            keep_if_better(move->name(), options_.move_passes, [&] { return more = move->propose(all, attempt, rng); });
        any = any || kept;
        attempt = kept ? 0 : attempt + 1;
      }
    }
    return any;
  }

  void judge_best(EpochReport& report) {
    const double judged = std::isnan(report.validation_bound) ? report.bound : report.validation_bound;
    // As long as every bound is -infinity (an item is impossible), the last one is the best.
    report.improved = judged > state_.best || (std::isinf(judged) && judged == state_.best);
    state_.bounds = at::cat({state_.bounds, at::full({1}, judged, at::kDouble)});
    if (report.improved) state_.best = judged;
    state_.epochs_since_best = report.improved ? 0 : state_.epochs_since_best + 1;
    if (options_.patience > 0 && state_.epochs_since_best >= options_.patience && result_.reason.empty())
      result_.reason =
          fmt::format("the validation bound has not risen for train.patience = {} epochs", options_.patience);
  }

  /// What a checkpoint holds; with several ranks everyone takes part, so it is made at once.
  std::function<TensorMap()> lazy_state() {
    if (comm_.size() == 1) return [this] { return full_state(state_.local); };
    const Tensor owner = at::arange(train_.size, at::kLong).remainder(comm_.size()) == comm_.rank();
    TensorMap gathered;
    for (const auto& [key, rows] : state_.local) {
      Shape shape(static_cast<size_t>(rows.dim()), 1);
      shape[0] = -1;
      gathered[key] = comm_.all_reduce_sum(at::where(owner.view(shape), rows, at::zeros_like(rows)));
    }
    return [all = full_state(gathered)] { return all; };
  }

  TensorMap full_state(const TensorMap& local) const {
    FitState state = state_;
    state.local = local;
    TensorMap all = state.to_tensors();
    for (const auto& [key, value] : model_.state()) all[key] = value.detach().clone();
    return all;
  }

  /// The sums of conjugate blocks and the gradients of others are looked at where they are used, in the M-step.
  void check_finite(const Expectation& e) {
    if (std::isfinite(e.bound.item<double>())) return;
    if (closed_form_ && e.bound.item<double>() == -kInfinity) return tell_impossible();
    const std::vector<std::pair<const char*, std::vector<std::string>>> parts{
        {"the term", not_finite(e.metrics)},
        {"the parameter", not_finite(gradient_parameters())},
        {"the gradient of", not_finite(e.sums)}};
    std::string culprits;
    for (const auto& [what, names] : parts)
      if (!names.empty())
        culprits += fmt::format("{} {} {}", culprits.empty() ? "; not finite:" : ",", what, some(names));
    fail<NumericError>("fit: the bound is {} at iteration {}{}; {}", e.bound.item<double>(), state_.iteration, culprits,
                       closed_form_ ? kClosedFormRemedy : kRemedy);
  }

  /// Impossible training items are learnt from all the same (see Factored), so this is no end.
  void tell_impossible() {
    if (told_impossible_) return;
    told_impossible_ = true;
    const std::string text = fmt::format(
        "at iteration {} the model gives some training items probability 0, so the bound is -infinity until it has "
        "learnt from them; model.estimate = \"posterior\" gives nothing probability 0",
        state_.iteration);
    for (auto* c : context_.callbacks) c->on_warning(text);
  }

  void check_parameters() const {
    const auto names = not_finite(gradient_parameters());
    if (!names.empty())
      fail<NumericError>("fit: not finite after iteration {}: the parameter {}; {}", state_.iteration, some(names),
                         kRemedy);
  }

  static std::vector<std::string> not_finite(const TensorMap& tensors) {
    std::vector<std::string> names;
    for (const auto& [key, value] : tensors)
      if (!at::isfinite(value.detach()).all().item<bool>()) names.push_back(key);
    return names;
  }

  /// "a" or "a and 2 others".
  static std::string some(const std::vector<std::string>& names) {
    if (names.size() == 1) return names[0];
    return fmt::format("{} and {} other{}", names[0], names.size() - 1, names.size() == 2 ? "" : "s");
  }

  /// What closed-form blocks hand out may be infinite (the log of a probability that is 0).
  TensorMap gradient_parameters() const {
    TensorMap parameters;
    for (const auto& block : model_.blocks())
      if (!block->conjugate()) parameters.merge(block->globals());
    return parameters;
  }

  Model& model_;
  const Dataset& train_;
  const FitOptions& options_;
  const FitContext& context_;
  LocalCommunicator local_comm_;
  Communicator& comm_;
  const Rng root_;
  const double total_weight_;
  const Clock::time_point begin_ = Clock::now();
  int64_t batch_size_ = 0, batches_ = 0, every_ = 0;
  bool closed_form_ = false, sampled_ = false, skips_outliers_ = false, stop_requested_ = false;
  bool accelerated_ = false, on_trial_ = false, lost_ = false;  // extrapolations; one before this pass; not kept
  bool told_impossible_ = false;
  std::map<std::string, std::shared_ptr<const Schedule>> schedules_;
  Tensor in_order_;  // positions of all items, for passes that do not shuffle
  Batch whole_;      // full batch: its rows
  FitState state_;
  Squarem squarem_{state_.extrapolation};
  FitResult result_;
};

}  // namespace

FitResult fit(Model& model, const Dataset& train, const FitOptions& options, const FitContext& context) {
  const at::NoGradGuard no_grad;
  return Fit(model, train, options, context).run();
}

}  // namespace vem
