// A flag that the handler sets and the fit reads between updates.
#include "signals.h"

#include <csignal>

namespace vem {
namespace {

volatile std::sig_atomic_t g_signal = 0;

void remember(int signal) {
  g_signal = signal;
  std::signal(signal, SIG_DFL);  // the next one ends the program
}

}  // namespace

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
