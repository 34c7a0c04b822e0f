// Options of amortised models: one group of latents by the keys of the model itself, or any number of groups, each in a
// section of its own; besides, what all groups share.
#pragma once

#include "vem/infer/graph.h"
#include "vem/infer/likelihood.h"
#include "vem/infer/objective.h"

namespace vem {

enum class EStep { amortized, local, semi_amortized };
enum class EncoderInputs { scaled, raw };

/// A deterministic network of the graph: [model.feature.NAME].
struct FeatureOptions final : Options {
  std::string given = "x";
  int64_t width = 128;
  Level per = Level::rows;
  Choice network{"network", "mlp", nullptr};
  void visit(OptionVisitor& v) override;
};

/// A group of latents: [model.latent.NAME].
struct LatentOptions final : Options {
  int64_t dim = 20;
  std::string given = "x", parents, observed;
  std::optional<double> weight;  // of labels; none: by how many items have one
  Level per = Level::rows;
  bool merged = false;
  Choice posterior{"posterior", "diagonal", nullptr}, encoder{"network", "mlp", nullptr},
      prior{"prior", "standard", nullptr}, prior_given_parents{"prior", "conditional", nullptr},
      prior_of_classes{"prior", "categorical", nullptr};
  bool has_encoder = true;  // told by the model: false where q is optimised for each datum instead
  void visit(OptionVisitor& v) override;
  const Choice& chosen_prior() const {
    if (!observed.empty()) return prior_of_classes;
    return parents.empty() ? prior : prior_given_parents;
  }
};

struct AmortizedOptions final : ModelOptions {
  Sections feature{[] { return std::make_shared<FeatureOptions>(); }},
      latent{[] { return std::make_shared<LatentOptions>(); }};
  LatentOptions z;    // the only group, where no section describes one
  std::string given;  // what the decoder reads
  Precision precision = Precision::float32;
  EStep e_step = EStep::amortized;
  int64_t inner_steps = 20;
  double inner_learning_rate = 0.05, inner_tolerance = 1e-4;
  bool standardize = true, standardize_given_scale = false;  // one option, whose default depends on the likelihood
  EncoderInputs encoder_inputs = EncoderInputs::scaled;
  Choice decoder{"network", "mlp", nullptr}, likelihood{"likelihood", "bernoulli", nullptr},
      objective{"objective", "elbo", nullptr}, optimizer = default_optimizer();

  void visit(OptionVisitor& v) override;
  bool has_conjugate() const override;
  bool has_gradient() const override { return true; }
  std::string advice(int64_t batch_size) const override;

  /// Whether the keys of the model describe its only group, called z.
  bool one_group() const { return latent.entries.empty(); }
  /// Tells each group whether it has an encoder: visit() does, programs that set options by hand have to.
  void tell_groups();
  /// By name.
  std::map<std::string, const LatentOptions*> groups() const;
  std::map<std::string, const FeatureOptions*> features() const;
  /// Whether these names lead to a latent, by way of features or not.
  bool reads_draws(const Names& names) const;
  /// Whether some value stands for the rows of an item in order: a latent or feature per item, or NAME.previous.
  bool of_sequences() const;
  /// What the likelihood's rows are made of.
  Cells cells() const;
  /// Whether rows are standardised in this run.
  bool standardizes() const;
  /// Whether `encoder_inputs` has an effect.
  bool has_encoder_inputs() const;

 private:
  bool scale_given() const;
  void visit_rows(OptionVisitor& v);
};

}  // namespace vem
