// The amortised model: prior x posterior x likelihood x objective x networks (Kingma and Welling 2014; Rezende et al.
// 2014), with three E-steps: an encoder, per-datum parameters optimised until the bound stops rising (textbook
// variational EM), or an encoder refined by a few such steps (Kim et al. 2018). The E-step is in vae.cpp, its inner
// optimisation in vae_refine.cpp, what is learned before it in vae_start.cpp, what can be asked of a model in
// vae_methods.cpp and, of whole sequences, in vae_sequences.cpp.
// Legend: B items of a batch, S samples, L latent dimensions, P numbers of q a row, D features.
#pragma once

#include "vem/infer/gradients.h"
#include "vem/infer/likelihood.h"
#include "vem/infer/network.h"
#include "vem/infer/objective.h"

namespace vem {

enum class EStep { amortized, local, semi_amortized };
enum class Latents { rows, sequences };
enum class EncoderInputs { scaled, raw };

struct VaeOptions final : ModelOptions {
  int64_t latent_dim = 20;
  Latents latents = Latents::rows;
  Precision precision = Precision::float32;
  EStep e_step = EStep::amortized;
  int64_t inner_steps = 20;
  double inner_learning_rate = 0.05, inner_tolerance = 1e-4;
  bool standardize = true, standardize_given_scale = false;  // one option, whose default depends on the likelihood
  EncoderInputs encoder_inputs = EncoderInputs::scaled;
  Choice encoder{"network", "mlp", nullptr}, decoder{"network", "mlp", nullptr}, prior{"prior", "standard", nullptr},
      posterior{"posterior", "diagonal", nullptr}, likelihood{"likelihood", "bernoulli", nullptr},
      objective{"objective", "elbo", nullptr}, optimizer = default_optimizer();

  void visit(OptionVisitor& v) override {
    v("latent_dim", latent_dim, {1, 65536}, "dimensions of z");
    v("latents", latents, {{"rows", Latents::rows}, {"sequences", Latents::sequences}},
      "of sequences: whether each row has a z of its own, or a sequence as a whole, which recurrent networks (gru) "
      "then "
      "read and write");
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
    v.when(e_step != EStep::local, "e_step has an encoder", [&] { v("encoder", encoder, "network from x to q"); });
    v("decoder", decoder, "network from z to the likelihood");
    v("prior", prior, "p(z)");
    v("posterior", posterior, "family of q(z | x)");
    v("likelihood", likelihood, "p(x | z)");
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
    v("objective", objective, "what is maximised");
    v("optimizer", optimizer, "how parameters are updated");
  }
  bool has_conjugate() const override {
    const auto* chosen = dynamic_cast<const PriorOptions*>(prior.options.get());
    return chosen && chosen->conjugate();
  }
  bool has_gradient() const override { return true; }
  std::string advice(int64_t batch_size) const override;

  /// What the likelihood's rows are made of.
  Cells cells() const;
  /// Whether rows are standardised in this run.
  bool standardizes() const;
  /// Whether `encoder_inputs` has an effect.
  bool has_encoder_inputs() const;

 private:
  bool scale_given() const;
};

/// Means and standard deviations of the training data, where an encoder sees real numbers scaled that the likelihood
/// takes as they are.
constexpr const char *kInputCenter = "inputs.center", *kInputScale = "inputs.scale";
/// Of the training sequences on average; what is drawn has it.
constexpr const char* kLength = "sequences.length";

class Vae final : public Model {
 public:
  Vae(const VaeOptions& options, const Context& context);

  /// Rows that are standardised stay as they were read: they are centred in float64, whatever the precision.
  at::ScalarType dtype() const override { return standardized_ ? at::ScalarType::Undefined : dtype_; }
  Schedules schedules() const override;
  void initialize(const Dataset& train, const Rng& rng) override;
  Expectation e_step(const Batch& batch, const Step& step, const Rng& rng) const override;
  std::map<std::string, std::vector<double>> report(const Expectation& total) const override;
  std::vector<Method> methods() const override;

 private:
  /// Some of the globals: what one call of autograd is asked for.
  struct Leaves {
    std::vector<std::string> keys;
    std::vector<Tensor> tensors;
    void add(const TensorMap& globals);
  };
  /// Which sums a pull is for: those of the decoder's side, or none.
  enum class Sums { none, densities };
  /// The objective at q, and what it sends to the sampling graph: one pass over the density graph.
  struct Pull {
    ObjectiveValue value;
    Tensor log_px, kl, mean;  // for the metrics: [S, items], KL(q || p) [items, L or 1], E_q[z] [rows, L]
    std::vector<Tensor> outputs, gradients;  // the parameters of q and, where it depends on them, z; the surrogate's
                                             // gradients there
    TensorMap sums;                          // of everything but the encoder
  };

  /// Rows in the type of the networks, centred and scaled before that where they are standardised.
  Tensor scaled(const Tensor& x) const;
  /// The inverse, float64 where rows are standardised: float32 has no digits for small changes far from zero.
  Tensor unscaled(const Tensor& x) const;
  /// log |d scaled / d x| of each row [rows] float64: densities are in the user's units.
  Tensor log_jacobian(const Tensor& x) const;
  /// What an encoder sees of scaled rows: VaeOptions::encoder_inputs, and zeros in missing cells, which is the mean if
  /// rows are standardised (Mattei and Frellsen 2019). `gaps`: whether cells may be missing.
  Tensor seen(const Tensor& x, bool gaps = true) const;
  /// The same range of numbers as an encoder sees them.
  Range seen(const Range& range) const;
  /// Throws NumericError for a first training step whose bound is not finite, where the cause is most often a column
  /// whose numbers are too large for networks that have learned nothing yet.
  void check_first_step(const Tensor& bound, const Tensor& x, const Step& step) const;
  std::string feature_name(int64_t i) const;
  /// Rows of the training data that are looked at at once.
  int64_t chunk() const;
  /// Mean and variance [D] float64 of the weighted training data, which must be within the likelihood's support; NaN
  /// is missing.
  std::pair<Tensor, Tensor> moments(const Dataset& train) const;
  /// Learns the scales of the training data, whose columns have this mean and variance.
  void set_scaling(const Tensor& mean, const Tensor& variance, const Dataset& train);
  /// Mean and variance [D] of all columns of an image's channel together; of a table, as they are.
  std::pair<Tensor, Tensor> by_channel(const Tensor& mean, const Tensor& variance) const;
  /// Lets the decoder begin where a constant one fits the training data best.
  void set_output_bias(const Tensor& mean, const Tensor& variance);
  /// Throws DataError for a column whose values the networks' type would round to one and the same number.
  void require_digits(const Tensor& mean, const Tensor& deviation) const;
  void require_support(const Batch& batch) const;
  /// Throws ConfigError for factors that do not go together.
  void check_combination() const;

  /// Of rows that a method makes, and that an exported one is shown.
  at::ScalarType row_type() const { return standardized_ ? at::kDouble : dtype_; }
  bool of_sequences() const { return o_.latents == Latents::sequences; }
  /// The batch as latents see it: an item of one row for each z.
  Batch latents_of(const Batch& batch) const;
  /// The encoder's parameters of q.
  Tensor encode(const Tensor& x, const Tensor& offsets, const Network::Noise& dropped = {}) const;
  Tensor noise(const Batch& batch, const Rng& rng, int64_t samples) const;
  /// The parameters of q that per-datum inference begins with: those of the last time, else zeros.
  Tensor start_of(const Batch& batch) const;
  /// Of the networks in a training step, a function of items and not of batches; none elsewhere.
  Network::Noise dropout(const Batch& batch, const Step& step, const Rng& rng) const;
  /// The decoder on samples [S, rows, L], or [S, items, L] of whole sequences, -> [S, rows, outputs].
  Tensor decode(const Tensor& z, const Tensor& offsets, const Network::Noise& dropped = {}) const;
  Pull pull(const Tensor& x, const Tensor& parameters, const Tensor& noise, const Batch& batch, const Step& step,
            Sums wanted, const Network::Noise& dropped = {}) const;
  void measure(Expectation& e, const Pull& pulled, const Batch& batch) const;
  /// `settle`: steps shrink to nothing, so that what remains of their noise goes too.
  Tensor refine(const Tensor& x, const Tensor& start, const Batch& batch, const Step& step, int64_t steps,
                const Rng& rng, bool settle = false) const;
  /// Of a training step, or of an evaluation.
  int64_t inner_steps(const Step& step) const;
  /// The bound of each row [rows] float64 at the encoder's q and at what `steps` inner steps make of it, and log p(x)
  /// by importance samples from the latter.
  std::vector<Tensor> bounds(const Tensor& x, int64_t steps, int64_t samples, const Rng& rng) const;

  /// What can be asked where sequences have one z each.
  std::vector<Method> sequence_methods() const;
  /// Annealed importance sampling, which moves along gradients with respect to z.
  void add_annealing(std::vector<Method>& methods) const;
  /// Rows, or the sequences that they make.
  Batch rows(const Tensor& x, const Tensor& offsets = {}) const;
  Tensor encoded(const Tensor& x, const Tensor& offsets, const Rng& rng) const;
  /// The mean of q or, of a flow, the image of the mean that it begins with.
  Tensor mean_of(const Tensor& parameters) const;
  Tensor decoded(const Tensor& z) const;
  Tensor responsibilities(const Tensor& x, const Rng& rng) const;
  /// Draws of z [S, rows, L] from q with these parameters, and their log importance weights [S, rows] float64, nats of
  /// x in the user's units.
  std::pair<Tensor, Tensor> weighted_draws(const Batch& batch, const Tensor& parameters, int64_t samples,
                                           const Rng& rng) const;
  /// Those weights at the E-step's own q.
  Tensor log_weights(const Batch& batch, int64_t samples, const Rng& rng) const;
  Tensor impute(const Tensor& x, const Tensor& offsets, const Rng& rng) const;
  /// Means of p(x | z) [n * steps, D] of sequences, each of the training data's mean length, one after the other.
  Tensor decoded_sequences(const Tensor& z) const;
  /// log p of the held words of documents and their number [documents] float64, given their other words: those and
  /// these as word, count and offsets.
  std::vector<Tensor> complete(const std::vector<Tensor>& documents, const Rng& rng) const;
  std::vector<Tensor> aggregate(const Tensor& x, const Rng& rng) const;
  /// Annealed importance sampling at rows x, from `draws` [C, rows, L] of the prior or, backwards, of the posterior.
  std::vector<Tensor> annealed(const Tensor& x, const Tensor& draws, int64_t temperatures, bool back,
                               const Rng& rng) const;

  VaeOptions o_;
  Schema schema_;
  at::ScalarType dtype_;
  int64_t features_;
  bool bags_ = false;  // rows are bags of words
  const bool standardized_;
  const Cells seen_as_;  // what encoder_inputs scales; Cells::unit where an encoder sees numbers as they are
  std::shared_ptr<GradientBlock> networks_;
  std::shared_ptr<ConstantBlock> scaling_;
  std::shared_ptr<Posterior> posterior_;
  std::shared_ptr<Likelihood> likelihood_;
  std::shared_ptr<Prior> prior_;
  std::shared_ptr<Objective> objective_;
  std::shared_ptr<Network> encoder_, decoder_;
  TensorMap globals_;                        // of all blocks: the same leaves at every step
  Leaves encoders_, densities_, conjugate_;  // the same in three parts
};

}  // namespace vem
