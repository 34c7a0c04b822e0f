// A model is an E-step plus named blocks. Everything else is a loop over the blocks, written once, here.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "vem/core/expectation.h"
#include "vem/data/dataset.h"
#include "vem/infer/block.h"
#include "vem/infer/move.h"
#include "vem/infer/schedule.h"

namespace vem {

/// A named pure function on tensors: what `encode`, `sample`, `evaluate` and the exporter read. The command line never
/// asks what kind of model it has.
struct Method {
  std::string name;                          ///< "encode", "decode", "log_prob", "sample" ...
  std::string help;                          ///< one line
  std::vector<std::string> inputs, outputs;  ///< "x" is rows as the model was trained on, in the user's units
  /// Tensors in the order of `inputs` -> tensors in the order of `outputs`. Deterministic methods ignore the key.
  std::function<std::vector<Tensor>(const std::vector<Tensor>&, const Rng&)> call;
  /// Inputs for tracing; empty if the method is not exported by tracing. `offsets` begins with 0, and the other inputs
  /// of such a method are the rows of its items.
  std::vector<Tensor> example{};
  /// Names of `inputs` that are whole numbers (a count, a number of samples): tensors [] int64 in `call`.
  std::vector<std::string> integers{};
  /// Of a method whose input is a number of draws n: the draws as a function of `index`, which is 0 .. n - 1 [n] int64.
  /// An export records it with Rng::recorded() as the method <name>_at, and calls that.
  std::function<std::vector<Tensor>(const Tensor& index, const Rng&)> draws{};
  /// The name of a method that takes the rows of one sequence, for what would freeze lengths in a trace: an export
  /// hands it the rows of each sequence in turn, and joins its outputs. Rows and offsets are the inputs, or the outputs
  /// of `draws`.
  std::string of_each_sequence{};

  /// One tensor of rows to another. Without an example it is not exported.
  static Method of_rows(const std::string& name, const std::string& help, const std::string& input,
                        const std::string& output, const std::function<Tensor(const Tensor&, const Rng&)>& function,
                        const Tensor& example = {});
  /// n draws, "n" being the one input.
  static Method of_draws(const std::string& name, const std::string& help, const std::vector<std::string>& outputs,
                         const std::function<std::vector<Tensor>(const Tensor& index, const Rng&)>& draws);
  /// Whether an exported file has it.
  bool exported() const { return !example.empty() || inputs.empty() || draws || !of_each_sequence.empty(); }
};

/// One arrow of a model's graph, for people: what a value depends on, and by what.
struct Dependence {
  enum class Side { p, q, feature } side;
  std::string name;                ///< "z1"
  std::vector<std::string> given;  ///< {"x", "z2"}; none: a root of p
  std::string by;                  ///< "diagonal by mlp"
};

class Model {
 public:
  static constexpr const char* kKind = "model";
  struct Context {
    Schema schema;
    const Registry& registry;
    at::Device device = at::kCPU;
  };
  virtual ~Model() = default;

  /// Learns from the training split what is fixed or where to start (centres, initial weights, k-means++). A model that
  /// is loaded needs none of it. Throws DataError for data outside the model's support.
  virtual void initialize(const Dataset& train, const Rng& rng) = 0;
  /// Finds q(z | x) for a batch and returns the bound and its gradient with respect to globals(), summed over items.
  /// Leaves the state bitwise as it was. An empty batch gives every key, with zeros.
  virtual Expectation e_step(const Batch& batch, const Step& step, const Rng& rng) const = 0;
  virtual std::vector<Method> methods() const = 0;
  /// The graph of latents of a model that has one; p comes in the order in which p draws, q in that of q.
  virtual std::vector<Dependence> dependences() const { return {}; }
  /// Moves out of local optima, in the order in which they are tried; they change this model.
  virtual std::vector<std::shared_ptr<Move>> moves() const { return {}; }
  /// Numbers that change with the step, by the name under which Step::weights has them; the default: those of blocks.
  virtual Schedules schedules() const;
  /// Turns summed metrics into what is logged, in nats per item; the default divides by count.
  virtual std::map<std::string, std::vector<double>> report(const Expectation& total) const;
  /// The floating-point type of the rows that e_step() takes; Undefined: whatever they were read as.
  virtual at::ScalarType dtype() const = 0;

  /// Throws ConfigError for options that only the finished model can judge; fit() asks before it begins.
  void check() const;
  void m_step(const Expectation& total, const Step& step, const Rng& rng);
  Tensor kl_global() const;
  Tensor linear(const Expectation& total) const;
  Tensor gain() const;
  /// Whether every block that is updated is conjugate: then a full pass is monotone and memoising is possible.
  bool closed_form() const;
  /// Whether sums that are not finite leave some block as it is (skip_above of its optimiser).
  bool skips_outliers() const;
  /// Exchanges the parameters of every block with their average over steps; false if no block has one.
  bool swap_averages();
  /// Whether some block hands out draws (Gibbs sampling): then bounds go up and down.
  bool sampled() const;
  /// Whether a full pass of a closed-form model can not lower its bound; where it may, a fall is no warning and the
  /// bound does not end a run. The default: no block is sampled.
  virtual bool monotone() const { return !sampled(); }
  /// Numbers worth logging after an M-step, per run and not per item; the default: those of the blocks.
  virtual std::map<std::string, double> diagnostics() const;
  /// Whether some component sits on its variance floor: then a likelihood is no optimum, it has none there.
  bool floored() const;
  TensorMap globals() const;
  TensorMap state() const;
  /// Loads every block or, if any key is missing or misshapen, none.
  void load(const TensorMap& state);
  const std::vector<std::shared_ptr<Block>>& blocks() const { return blocks_; }
  /// The method of that name, or null.
  static const Method* find(const std::vector<Method>& methods, const std::string& name);

 protected:
  /// An E-step by autograd: `bound` gives the nats of each item [items], once; its gradients with respect to every
  /// global are the sums.
  Expectation differentiate(const std::function<Tensor()>& bound, const Batch& batch, const Step& step) const;

  std::vector<std::shared_ptr<Block>> blocks_;
};

/// Averaged parameters in the place of the last ones, where a model has any, as long as this lives.
class AveragedParameters {
 public:
  explicit AveragedParameters(Model& model) : model_(model) { model_.swap_averages(); }
  ~AveragedParameters() { model_.swap_averages(); }
  AveragedParameters(const AveragedParameters&) = delete;
  AveragedParameters& operator=(const AveragedParameters&) = delete;

 private:
  Model& model_;
};

/// Options of a model say which regimes it brings, so that training options without effect can be refused.
struct ModelOptions : Options {
  virtual bool has_conjugate() const = 0;                 ///< some block is updated in closed form
  virtual bool has_gradient() const = 0;                  ///< some block is updated by an optimiser
  virtual bool sampled() const { return false; }          ///< parameters are draws (Gibbs sampling)
  virtual bool takes_documents() const { return false; }  ///< words and counts; else documents become rows of counts
  /// What is asked for and left out, since this machine is quicker without at that batch size: a sentence, or nothing.
  virtual std::string advice(int64_t /*batch_size*/) const { return {}; }
};

}  // namespace vem
