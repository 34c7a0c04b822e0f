// A flag that the handler sets and the fit reads between updates.
#include "signals.h"

#include <unistd.h>

#include <csignal>

#include "vem/data/writers.h"

namespace vem {
namespace {

volatile std::sig_atomic_t g_signal = 0;
// Seconds after a signal: until it is said that an update is waited for, and from then until that is given up.
volatile std::sig_atomic_t g_notice = 0, g_patience = 0;
volatile std::sig_atomic_t g_noticed = 0;

/// Ends the program as the signal does by default, without leaving a temporary file behind.
void end_program(int signal) {
  remove_unfinished_file();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void remember(int signal) {
  g_signal = signal;
  std::signal(signal, end_program);  // the next one ends the program
  g_noticed = 0;
  alarm(static_cast<unsigned>(g_notice));
}

/// The update has not ended since the signal came.
void wait_or_end(int) {
  if (g_noticed != 0) end_program(g_signal);
  g_noticed = 1;
  constexpr char kText[] =
      "\nvem: waiting for this update to end, to save it; a second signal ends the program at once\n";
  (void)!write(STDERR_FILENO, kText, sizeof(kText) - 1);
  alarm(static_cast<unsigned>(g_patience));
}

}  // namespace

void end_cleanly_on_signals() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    if (std::signal(signal, end_program) == SIG_IGN) std::signal(signal, SIG_IGN);  // as nohup wants it
}

Signals::Signals(int notice, int patience) : last_update_(Clock::now()) {
  g_signal = 0;
  g_notice = notice;
  g_patience = patience;
  std::signal(SIGALRM, wait_or_end);
  std::signal(SIGINT, remember);
  std::signal(SIGTERM, remember);
}

Signals::~Signals() {
  alarm(0);
  std::signal(SIGALRM, SIG_DFL);
  std::signal(SIGINT, end_program);
  std::signal(SIGTERM, end_program);
}

bool Signals::on_update(const Model&, const Expectation&, const Step&) {
  const double seconds = seconds_since(last_update_);
  last_update_ = Clock::now();
  g_patience = std::max(static_cast<int>(g_patience), static_cast<int>(std::min(2 * seconds, 1e6)));
  if (received() != 0) alarm(0);
  return received() == 0;
}

int Signals::received() { return g_signal; }

}  // namespace vem
