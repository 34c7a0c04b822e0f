#include "callbacks.h"

#include <csignal>

#include <nlohmann/json.hpp>
#include <torch/version.h>

#include "vem/core/error.h"
#include "vem/data/writers.h"

namespace vem {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string duration(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{}:{:02d} min", s / 60, s % 60);
  return fmt::format("{}:{:02d} h", s / 3600, s / 60 % 60);
}

volatile std::sig_atomic_t g_signal = 0;
void remember(int signal) {
  g_signal = signal;
  std::signal(signal, SIG_DFL);  // the second one ends the program
}

/// JSON has no NaN.
nlohmann::ordered_json number(double x) { return std::isfinite(x) ? nlohmann::ordered_json(x) : nlohmann::ordered_json(nullptr); }

}  // namespace

// ---- progress --------------------------------------------------------------------------------------------------------

void Progress::on_start(const Model&, int64_t num_epochs, int64_t) {
  num_epochs_ = num_epochs;
  start_ = drawn_ = Clock::now();
}

void Progress::on_batch(const Step& step, int64_t) {
  if (first_progress_ < 0) first_progress_ = step.progress;
  if (!live_ || seconds_since(drawn_) < 0.1) return;
  drawn_ = Clock::now();
  const double done = step.progress, rate = (done - first_progress_) / std::max(1e-9, seconds_since(start_));
  const double share = done / static_cast<double>(num_epochs_);
  const auto filled = static_cast<size_t>(share * 24);
  const std::string left = rate > 0 ? duration((static_cast<double>(num_epochs_) - done) / rate) + " left" : "";
  fmt::print(stderr, "\r\033[K[{}{}] epoch {}/{}  {}  {}", std::string(filled, '='), std::string(24 - filled, ' '), step.epoch + 1,
             num_epochs_, last_, left);
  std::fflush(stderr);
}

bool Progress::on_epoch(const Model&, const EpochReport& r, const std::function<TensorMap()>&) {
  const auto validation = std::isnan(r.validation_bound) ? "" : fmt::format("  validation {:.4f}", r.validation_bound);
  const std::string rate = fmt::format("{:.0f} items/s", r.items_per_second);
  last_ = fmt::format("bound {:.4f}{}  {}", r.bound, validation, rate);
  if (!live_) fmt::print(stderr, "epoch {}/{}  {}\n", r.epoch, num_epochs_, last_);
  return true;
}

void Progress::on_end(const Model&, const std::string&, const std::function<TensorMap()>&) {
  clear();
  if (live_ && !last_.empty()) fmt::print(stderr, "{}\n", last_);
}

void Progress::on_warning(const std::string& text) {
  clear();
  fmt::print(stderr, "vem: warning: {}\n", text);
}

void Progress::clear() const {
  if (live_) fmt::print(stderr, "\r\033[K");
}

// ---- metrics ---------------------------------------------------------------------------------------------------------

MetricsLog::MetricsLog(const std::string& path, int64_t epochs) : path_(path) {
  std::string kept;
  if (epochs > 0) {
    std::ifstream old(path);
    for (std::string line; epochs-- > 0 && std::getline(old, line);) kept += line + "\n";
  }
  write_text(path, kept);
  out_.open(path, std::ios::app);
  if (!out_) fail<OutputError>("{}: can not be written", path);
}

bool MetricsLog::on_epoch(const Model&, const EpochReport& r, const std::function<TensorMap()>&) {
  nlohmann::ordered_json line{{"epoch", r.epoch}, {"iteration", r.iteration}, {"bound", number(r.bound)}};
  if (!std::isnan(r.validation_bound)) line["validation_bound"] = number(r.validation_bound);
  for (const auto& [name, value] : r.weights) line[name] = number(value);
  line["items_per_second"] = number(std::round(r.items_per_second));
  for (const auto& [name, values] : r.metrics) {
    if (values.size() == 1) {
      line[name] = number(values[0]);
      continue;
    }
    auto list = nlohmann::ordered_json::array();
    for (const double v : values) list.push_back(number(v));
    line[name] = list;
  }
  out_ << line.dump() << std::endl;
  if (!out_) fail<OutputError>("{}: can not be written; is the disk full?", path_);
  return true;
}

// ---- checkpoints -----------------------------------------------------------------------------------------------------

std::map<std::string, std::string> environment_notes() {
  return {{"vem", VEM_VERSION}, {"libtorch", TORCH_VERSION}, {"threads", std::to_string(at::get_num_threads())}};
}

Checkpoints::Checkpoints(const RunDirectory& directory, std::string config, Schema schema)
    : directory_(directory), blank_{std::move(config), std::move(schema), {}, environment_notes()} {}

void Checkpoints::save(const std::string& name, const TensorMap& state) const {
  Checkpoint checkpoint = blank_;
  checkpoint.state = state;
  save_checkpoint(directory_.checkpoint(name), checkpoint);
}

bool Checkpoints::on_epoch(const Model&, const EpochReport& report, const std::function<TensorMap()>& state) {
  const TensorMap all = state();
  save("last", all);
  if (report.improved) save("best", all);
  return true;
}

void Checkpoints::on_end(const Model&, const std::string&, const std::function<TensorMap()>& state) { save("last", state()); }

// ---- signals ---------------------------------------------------------------------------------------------------------

Signals::Signals() {
  g_signal = 0;
  std::signal(SIGINT, remember);
  std::signal(SIGTERM, remember);
}
Signals::~Signals() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}
int Signals::received() { return g_signal; }

}  // namespace vem
