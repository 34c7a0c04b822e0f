// Which of several starts a closed-form model goes on from, after Biernacki, Celeux and Govaert 2003 ("em-EM": short
// runs, then the best goes on). No kind of start suits all chains: clusters say nothing of symbols, of which there are
// few, and states that begin without some of them stay so; runs of neighbours that are dealt at random take many passes
// to differ where states last long. And whether several components are worth having.
#include <array>

#include "model.h"
#include "side_by_side.h"
#include "vem/core/error.h"

namespace vem {
namespace {

using Start = FactoredOptions::Start;

// Rows times states up to which several kinds of start are tried: passes over so few take less than a second in all.
constexpr int64_t kSmall = int64_t{1} << 16;
// Draws of random rows, of which the best after `restart_passes` goes on; how many times as many passes a start gets
// before kinds are compared (they differ in how soon they rise); and a rise, in nats a row, that ends them.
constexpr int64_t kDrawn = 3, kFinal = 10;
// Runs of neighbours that a state gets, in turn: how long states last is not known, and short runs make them alike.
constexpr std::array<int64_t, 5> kRuns{20, 10, 6, 4, 3};
constexpr double kSettled = 1e-6;

TensorMap copied(const TensorMap& state) {
  TensorMap copies;
  for (const auto& [key, value] : state) copies[key] = value.detach().clone();
  return copies;
}

/// States dealt at random to runs of neighbours, `runs` for each.
Tensor dealt(int64_t rows, int64_t num_states, int64_t runs, const Rng& rng) {
  const int64_t length = std::max<int64_t>(1, rows / (runs * num_states)), count = (rows + length - 1) / length;
  return rng.permutation(count).remainder(num_states).index_select(0, at::arange(rows, at::kLong).div(length, "floor"));
}

/// The same states, numbered in the order in which they come in the sequences of a batch on average.
Tensor in_order(const Tensor& states, const Batch& batch, int64_t num_states) {
  const Tensor item = batch.row_item(), begin = batch.offsets.slice(0, 0, -1);
  const Tensor length = (batch.offsets.slice(0, 1) - begin).index_select(0, item).to(at::kDouble);
  const Tensor place = (at::arange(item.size(0), at::kLong) - begin.index_select(0, item)) / length;
  const Tensor zero = at::zeros({num_states}, at::kDouble);
  const Tensor count = zero.index_add(0, states, at::ones_like(place)), sum = zero.index_add(0, states, place);
  return (sum / count.clamp_min(1)).argsort().argsort().index_select(0, states);
}

}  // namespace

std::vector<Start> FactoredModel::kinds_of_start(int64_t rows) const {
  if (options_.start != Start::automatic) return {options_.start};
  const Allocation& allocation = part_.allocation();
  const bool real = part_.observation().real_columns().any().item<bool>();
  const bool small = rows * options_.num_components <= kSmall && options_.estimate != Estimate::gibbs;
  if (allocation.independent_rows()) return {Start::kmeans};
  if (options_.num_components == 1) return {Start::ordered};
  std::vector<Start> kinds;
  if (allocation.ordered()) kinds.push_back(Start::ordered);
  if (real && (small || kinds.empty())) kinds.push_back(Start::kmeans);
  if (!allocation.ordered() && small) kinds.push_back(Start::random);
  if (!allocation.ordered() && (small || !real)) kinds.push_back(Start::segments);
  return kinds;
}

Tensor FactoredModel::candidate(Start kind, int64_t place, const Points& points, const Batch& batch,
                                const Rng& rng) const {
  const int64_t K = options_.num_components, rows = points.weight.size(0);
  const Rng own = rng.fold(static_cast<uint64_t>(place));
  const bool automatic = options_.start == Start::automatic;
  if (automatic && kind == Start::segments && rows >= K)
    return dealt(rows, K, kRuns[static_cast<size_t>(place) % kRuns.size()], own);
  const Tensor states = start_labels(kind, points, batch, own);
  return automatic && kind == Start::kmeans && part_.allocation().ordered() ? in_order(states, batch, K) : states;
}

FactoredModel::Entry FactoredModel::best_start(Start kind, int64_t first, int64_t count, const Points& points,
                                               const Batch& batch, const Moments& moments, const Rng& rng) {
  const TensorMap before = copied(state());
  const RowReader rows = scaled_rows(batch);
  const auto begin = [&](int64_t place) {
    load(before);
    start(batch, candidate(kind, place, points, batch, rng), rng);
  };
  Entry best{kind, {}, {}};
  if (count == 1) {
    begin(first);
    best.state = copied(state());
    load(before);
    return best;
  }
  const Choice &allocation = options_.allocation, &observation = options_.observation;
  const int64_t K = options_.num_components, most = SideBySide::most(part_, allocation, observation, K);
  for (int64_t done = 0; done < count; done += most) {
    const int64_t size = std::min(most, count - done);
    SideBySide starts(part_, allocation, observation, K, moments, size);
    for (int64_t r = 0; r < size; ++r) {
      begin(first + done + r);
      starts.take(r);
    }
    for (int64_t pass = 0; pass < options_.restart_passes; ++pass) starts.pass(rows, batch, rng);
    const Tensor bounds = starts.expect(rows, batch).bound;
    for (int64_t r = 0; r < size; ++r) {
      starts.give(r);
      const Score ours{floored(), (bounds[r] - kl_global()).item<double>()};
      if (!best.state.empty() && !ours.better(best.score)) continue;
      best.score = ours;
      best.state = copied(state());
    }
  }
  load(before);
  return best;
}

/// Passes from where an entry stands until its bound hardly rises.
void FactoredModel::play_on(Entry& entry, const Batch& batch, const Rng& rng) {
  const RowReader rows = scaled_rows(batch);
  const double least = kSettled * static_cast<double>(batch.at("x").size(0));
  load(entry.state);
  for (int64_t pass = 0; pass < kFinal * options_.restart_passes; ++pass) {
    const Expectation total = part_.expect(rows, batch, part_.point());
    const Score now{floored(), (total.bound - kl_global()).item<double>()};
    const bool settled = pass > 0 && now.bound - entry.score.bound < least;
    entry.score = now;
    if (settled) break;
    for (const auto& block : part_.blocks()) block->m_step(total, Step(), rng);
  }
  entry.state = copied(state());
}

void FactoredModel::search(const Batch& batch, const Moments& moments, const Rng& rng) {
  const Points points = points_of(batch);
  const std::vector<Start> kinds = kinds_of_start(points.weight.size(0));
  const auto name = [](Start kind) { return FactoredOptions::word(kind); };
  const auto restarts = [&](Start kind) { return kind == Start::ordered ? 1 : options_.restarts; };
  if (kinds.size() == 1) {
    const int64_t count = restarts(kinds[0]);
    notes_["start"] = count == 1 ? name(kinds[0]) : fmt::format("{}, the best of {}", name(kinds[0]), count);
    if (count == 1) return start(batch, candidate(kinds[0], 0, points, batch, rng), rng);
    return load(best_start(kinds[0], 0, count, points, batch, moments, rng).state);
  }
  const TensorMap before = copied(state());
  std::vector<Entry> finals;
  std::string why;
  const auto enter = [&](Start kind, int64_t restart) {
    const int64_t draws = kind == Start::random ? kDrawn : 1;
    load(before);
    try {
      finals.push_back(best_start(kind, restart * draws, draws, points, batch, moments, rng));
      play_on(finals.back(), batch, rng);
    } catch (const DataError& e) {  // too few different rows for clusters
      why = e.what();
    }
  };
  for (const Start kind : kinds) {
    const int64_t times = kind == Start::segments ? static_cast<int64_t>(kRuns.size()) : 1;
    for (int64_t r = 0; r < times * restarts(kind); ++r) enter(kind, r);
  }
  if (finals.empty()) fail<DataError>("{}", why);
  const Entry* best = &finals[0];
  for (const Entry& entry : finals)
    if (entry.score.better(best->score)) best = &entry;
  load(best->state);
  std::vector<const char*> tried;
  for (const Start kind : kinds) tried.push_back(name(kind));
  notes_["start"] = fmt::format("{}, the best of {}", name(best->kind), fmt::join(tried, ", "));
}

int64_t FactoredModel::num_free(const Factored& part) {
  int64_t sum = part.allocation().num_free();
  for (const auto& block : part.observation().blocks()) sum += block->num_free();
  return sum;
}

double FactoredModel::one_component(const Batch& batch, const Moments& moments, const Rng& rng) const {
  const int64_t K = options_.num_components, rows = batch.at("x").size(0);
  const Labelings labels = labelings();
  const bool comparable = labels.log_count > 0 || part_.allocation().ordered();
  if (K == 1 || part_.allocation().per_state() > 1 || !comparable || rows * K > kSmall) return std::nan("");
  if (options_.estimate != Estimate::ml && options_.estimate != Estimate::posterior) return std::nan("");
  Observation::Context context = part_.observation().context();
  context.num_components = 1;
  Factored one = make_part(options_.allocation, options_.observation, context);
  std::atomic<bool> gaps{false};
  const RowReader x = scaled_rows(batch, &gaps);
  one.set_priors(moments);
  one.start(
      x, batch, [](int64_t begin, int64_t end) { return at::zeros({end - begin}, at::kLong); }, rng);
  for (int64_t pass = 0; pass < options_.restart_passes; ++pass) {
    const Expectation total = one.expect(x, batch, one.point());
    for (const auto& block : one.blocks()) block->m_step(total, Step(), rng);
  }
  const Expectation total = one.expect(x, batch, one.point());
  Tensor bound = total.bound + log_units(batch, total.count, gaps);
  for (const auto& block : one.blocks()) bound = bound - block->kl_global();
  const double extra =
      options_.estimate == Estimate::ml ? static_cast<double>(num_free(part_) - num_free(one)) : -labels.log_count;
  return (bound.item<double>() + extra) / total.count.item<double>();
}

}  // namespace vem
