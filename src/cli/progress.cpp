// The live line and the plain lines of a training run.
#include "progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "text.h"

namespace vem {
namespace {

constexpr double kRedraw = 0.1;  // seconds: often enough to look alive, too seldom to cost anything
constexpr size_t kBar = 24;

/// A line that wraps can not be redrawn in place.
std::string cut_to_terminal(const std::string& line) {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return line;
  return line.substr(0, size.ws_col - 1u);
}

}  // namespace

void Progress::on_start(const Model&, int64_t num_epochs, int64_t) {
  num_epochs_ = num_epochs;
  start_ = drawn_ = Clock::now();
}

void Progress::on_batch(const Step& step, int64_t) {
  if (first_progress_ < 0) first_progress_ = step.progress;
  if (live_ && seconds_since(drawn_) >= kRedraw) draw(step.progress, step.epoch + 1);
}

bool Progress::on_update(const Model&, const Expectation& total, const Step&) {
  if (live_ && status_.empty()) bound_ = total.bound, count_ = total.count;
  return true;
}

bool Progress::on_epoch(const Model&, const EpochReport& r, const std::function<TensorMap()>&) {
  const std::string validation =
      std::isnan(r.validation_bound) ? "" : fmt::format("  validation {:.4f}", r.validation_bound);
  status_ = fmt::format("bound {:.4f}{}  {} items/s", r.bound, validation, grouped(std::llround(r.items_per_second)));
  if (!live_) fmt::print(stderr, "epoch {}/{}  {}\n", r.epoch, num_epochs_, status_);
  return true;
}

void Progress::on_end(const Model&, const std::string&, const std::function<TensorMap()>&) {
  clear();
  if (live_ && !status_.empty()) fmt::print(stderr, "{}\n", status_);
}

void Progress::on_warning(const std::string& text) {
  clear();
  fmt::print(stderr, "vem: warning: {}\n", text);
}

std::string Progress::line(double share, int64_t epoch, int64_t num_epochs, double left, const std::string& status) {
  const auto filled = static_cast<size_t>(std::clamp(share, 0.0, 1.0) * kBar);
  return fmt::format("[{}{}] {:.0f} %  epoch {}/{}{}{}", std::string(filled, '='), std::string(kBar - filled, ' '),
                     100 * share, epoch, num_epochs, left < 0 ? "" : "  " + duration(left) + " left",
                     status.empty() ? "" : "  " + status);
}

void Progress::draw(double progress, int64_t epoch) {
  drawn_ = Clock::now();
  const auto end = static_cast<double>(num_epochs_);
  const double rate = (progress - first_progress_) / seconds_since(start_);
  const double left = rate > 0 ? (end - progress) / rate : -1;
  std::string status = status_;
  if (status.empty() && bound_.defined()) status = fmt::format("bound {:.4f}", (bound_ / count_).item<double>());
  fmt::print(stderr, "\r\033[K{}", cut_to_terminal(line(progress / end, epoch, num_epochs_, left, status)));
  std::fflush(stderr);
}

void Progress::clear() const {
  if (live_) fmt::print(stderr, "\r\033[K");
}

}  // namespace vem
