// Hidden Markov models of any observation family in closed form: Baum-Welch for maximum likelihood and MAP, variational
// Bayes with the exact bound for a posterior (Rabiner 1989; MacKay 1997). Items are sequences.
#include "model.h"

namespace vem {
namespace {

struct HmmOptions final : FactoredOptions {
  HmmOptions() : FactoredOptions("markov-chain") {}
};

}  // namespace

void register_hmm(Registry& registry) {
  registry.add<Model, HmmOptions>(
      "hmm", "a hidden Markov model of any observation family, fitted in closed form",
      [](const HmmOptions& options, const Model::Context& context) {
        return std::make_shared<FactoredModel>("hmm", options, context);
      },
      "train.epochs = 200\ndata.sequence = \"*\"");
}

}  // namespace vem
