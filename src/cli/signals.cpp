// A flag that the handler sets and the fit reads between updates.
#include "signals.h"

#include <csignal>

#include "vem/data/writers.h"

namespace vem {
namespace {

volatile std::sig_atomic_t g_signal = 0;

/// Ends the program as the signal does by default, without leaving a temporary file behind.
void end_program(int signal) {
  remove_unfinished_file();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void remember(int signal) {
  g_signal = signal;
  std::signal(signal, end_program);  // the next one ends the program
}

}  // namespace

void end_cleanly_on_signals() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    if (std::signal(signal, end_program) == SIG_IGN) std::signal(signal, SIG_IGN);  // as nohup wants it
}

Signals::Signals() {
  g_signal = 0;
  std::signal(SIGINT, remember);
  std::signal(SIGTERM, remember);
}

Signals::~Signals() {
  std::signal(SIGINT, end_program);
  std::signal(SIGTERM, end_program);
}

int Signals::received() { return g_signal; }

}  // namespace vem
