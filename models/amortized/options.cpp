#include "options.h"

#include <limits>

#include "networks/linear.h"
#include "vem/core/error.h"

namespace vem {
namespace {

void visit_level(OptionVisitor& v, Level& level, const char* help) {
  v("per", level, {{"row", Level::rows}, {"item", Level::items}}, help);
}

}  // namespace

void FeatureOptions::visit(OptionVisitor& v) {
  v("given", given, "what the network reads, side by side: columns of the data, features, latents");
  v("width", width, {1, 65536}, "numbers that it gives");
  visit_level(
      v, per,
      "of sequences: what has such numbers, each row, or a sequence as a whole, which a recurrent network reads");
  v("network", network, "the network");
}

void LatentOptions::visit(OptionVisitor& v) {
  v("observed", observed,
    "label: the latent is the class of an item, which is known for some items and summed over for the others; its q is "
    "a classifier");
  const bool classes = !observed.empty();
  v.when(!classes, "observed is empty", [&] { v("dim", dim, {1, 65536}, "dimensions"); });
  v("given", given, "what q depends on, side by side: columns of the data, features, latents, NAME.previous");
  v.when(classes, "observed names a column", [&] {
    v("prior", prior_of_classes, "p of the classes");
    v("weight", weight, "auto", at_least(0),
      "nats of log q(class | x) of an item whose class is known that networks ascend besides the bound; auto: 0.1 "
      "times "
      "the items over those with a class (Kingma et al. 2014)");
  });
  v.when(!classes, "observed is empty", [&] {
    v("parents", parents, "what p depends on, likewise; none: p(z)");
    visit_level(v, per, "of sequences: what has a z of its own, each row, or a sequence as a whole");
    v("posterior", posterior, "family of q");
  });
  v.when(has_encoder, "q has an encoder", [&] { v("encoder", encoder, "network from what is given to q"); });
  if (classes) return;
  v.when(parents.empty(), "parents is empty", [&] { v("prior", prior, "p(z)"); });
  v.when(!parents.empty(), "parents is not empty", [&] {
    v("prior", prior_given_parents, "p(z | parents)");
    v("merged", merged,
      "q is the normalised product of p(z | parents) and of what the encoder gives, as in ladder VAEs, where both are "
      "normal with independent dimensions");
  });
}

void AmortizedOptions::visit(OptionVisitor& v) {
  visit_precision(v, precision, true);
  v("e_step", e_step,
    {{"amortized", EStep::amortized}, {"local", EStep::local}, {"semi-amortized", EStep::semi_amortized}},
    "how q(z | x) is found: by an encoder, by optimising it for each datum, or by both");
  v.when(e_step != EStep::amortized, "e_step is local or semi-amortized", [&] {
    v("inner_steps", inner_steps, at_least(1),
      "steps of the inner optimisation of q at most; ten times as many where local evaluates, which starts anew");
    v("inner_learning_rate", inner_learning_rate, positive(), "its step size (Adam on the parameters of q)");
    v("inner_tolerance", inner_tolerance, at_least(0),
      "shorten the steps of an item whose bound rises less, in nats, and then stop them; 0: never");
  });
  v("feature", feature, "networks without a latent of their own, by name");
  v("latent", latent, "groups of latents by name; without any the model has one group, z, which its own keys describe");
  tell_groups();
  v.when(one_group(), "there is no section model.latent", [&] {
    v("latent_dim", z.dim, {1, 65536}, "dimensions of z");
    v("latents", z.per, {{"rows", Level::rows}, {"sequences", Level::items}},
      "of sequences: whether each row has a z of its own, or a sequence as a whole, which recurrent networks (gru) "
      "then read and write");
  });
  v.when(!one_group(), "there are sections model.latent", [&] {
    v("given", given, "what the decoder reads, side by side; empty: the latents that are parents of no other");
  });
  v.when(one_group() && z.has_encoder, "e_step has an encoder",
         [&] { v("encoder", z.encoder, "network from x to q"); });
  v("decoder", decoder, "network from z to the likelihood");
  v.when(one_group(), "there is no section model.latent", [&] {
    v("prior", z.prior, "p(z)");
    v("posterior", z.posterior, "family of q(z | x)");
  });
  v("likelihood", likelihood, "p(x | z)");
  visit_rows(v);
  v("objective", objective, "what is maximised");
  v("optimizer", optimizer, "how parameters are updated");
}

void AmortizedOptions::visit_rows(OptionVisitor& v) {
  constexpr const char* kStandardize =
      "model (x - mean) / std of the training data, of each column or of each channel of images; densities stay in "
      "x's units, a scale that is given or a floor of scales is in units of std";
  const bool real = cells() == Cells::real;
  v.when(real && !scale_given(), "likelihood is of real numbers and learns their scale",
         [&] { v("standardize", standardize, kStandardize); });
  v.when(real && scale_given(), "likelihood is of real numbers whose scale is given",
         [&] { v("standardize", standardize_given_scale, kStandardize); });
  v.when(has_encoder_inputs(),
         "an encoder reads counts, symbols, or real numbers that are not standardised, and does not itself divide "
         "rows by their sums",
         [&] {
           v("encoder_inputs", encoder_inputs, {{"scaled", EncoderInputs::scaled}, {"raw", EncoderInputs::raw}},
             "what the encoder sees of rows: log(1 + x) of counts, symbols over the largest one, real numbers as "
             "(x - mean) / std; or the numbers as they are, which large ones let overflow");
         });
}

std::map<std::string, const LatentOptions*> AmortizedOptions::groups() const {
  std::map<std::string, const LatentOptions*> all;
  if (one_group()) all["z"] = &z;
  for (const auto& [name, options] : latent.entries) all[name] = &dynamic_cast<const LatentOptions&>(*options);
  return all;
}

std::map<std::string, const FeatureOptions*> AmortizedOptions::features() const {
  std::map<std::string, const FeatureOptions*> all;
  for (const auto& [name, options] : feature.entries) all[name] = &dynamic_cast<const FeatureOptions&>(*options);
  return all;
}

bool AmortizedOptions::reads_draws(const Names& names) const {
  return std::any_of(names.begin(), names.end(), [this](const std::string& name) {
    if (latent.entries.count(previous_of(name).value_or(name)) > 0) return true;
    const auto it = feature.entries.find(name);
    return it != feature.entries.end() &&
           reads_draws(split_names(dynamic_cast<const FeatureOptions&>(*it->second).given));
  });
}

void AmortizedOptions::tell_groups() {
  z.has_encoder = e_step != EStep::local;
  for (const auto& [name, options] : latent.entries) {
    auto& group = dynamic_cast<LatentOptions&>(*options);
    group.has_encoder = e_step != EStep::local || reads_draws(split_names(group.given));
  }
}

bool AmortizedOptions::of_sequences() const {
  const auto reads_previous = [](const std::string& list) {
    const Names names = split_names(list);
    return std::any_of(names.begin(), names.end(),
                       [](const std::string& name) { return previous_of(name).has_value(); });
  };
  for (const auto& [name, group] : groups())
    if (group->per == Level::items || reads_previous(group->given) || reads_previous(group->parents)) return true;
  for (const auto& [name, feature] : features())
    if (feature->per == Level::items) return true;
  return false;
}

bool AmortizedOptions::has_conjugate() const {
  for (const auto& [name, group] : groups()) {
    const auto* chosen = dynamic_cast<const PriorOptions*>(group->chosen_prior().options.get());
    if (chosen && chosen->conjugate()) return true;
  }
  return false;
}

std::string AmortizedOptions::advice(int64_t batch_size) const {
  if (precision != Precision::bf16 || bf16_pays(batch_size)) return {};
  if (bf16_pays(std::numeric_limits<int64_t>::max() - 1))
    return fmt::format("precision = \"bf16\": batches of {} are faster in float32, which they stay in", batch_size);
  return "precision = \"bf16\": this processor has no products of bfloat16 (AVX512_BF16 or AMX); they stay in float32";
}

Cells AmortizedOptions::cells() const {
  const auto* options = dynamic_cast<const LikelihoodOptions*>(likelihood.options.get());
  return options ? options->cells() : Cells::unit;
}

bool AmortizedOptions::scale_given() const {
  const auto* options = dynamic_cast<const LikelihoodOptions*>(likelihood.options.get());
  return options && options->scale_given();
}

bool AmortizedOptions::standardizes() const {
  return cells() == Cells::real && (scale_given() ? standardize_given_scale : standardize);
}

bool AmortizedOptions::has_encoder_inputs() const {
  if (cells() == Cells::unit || standardizes()) return false;
  const auto scales_by_itself = [](const Choice& network) {
    const auto* options = dynamic_cast<const NetworkOptions*>(network.options.get());
    return options && options->divides_rows();
  };
  const auto reads_rows = [](const std::string& list) {
    const Names names = split_names(list);
    return std::count(names.begin(), names.end(), "x") > 0;
  };
  for (const auto& [name, group] : groups())
    if (group->has_encoder && reads_rows(group->given) && !scales_by_itself(group->encoder)) return true;
  for (const auto& [name, feature] : features())
    if (reads_rows(feature->given) && !scales_by_itself(feature->network)) return true;
  return false;
}

}  // namespace vem
