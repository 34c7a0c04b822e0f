// The graph of an amortised model: which network reads what. A name is a column of the data, a feature (the output of a
// deterministic network), a group of latents, or NAME.previous: that group one row earlier in its item.
// Legend: S samples, R rows of a batch, B items, C numbers of a value.
#pragma once

#include <memory>
#include <optional>
#include <set>

#include "vem/data/dataset.h"
#include "vem/infer/network.h"

namespace vem {

using Names = std::vector<std::string>;
/// The names in a list with commas between them: {"x", "z2"} of "x, z2".
Names split_names(const std::string& list);
/// The latent whose value one row earlier a name stands for: "z" of "z.previous". Nothing for any other name.
std::optional<std::string> previous_of(const std::string& name);

/// What a value has one of: every row, or every item of several rows. Both are the same where an item is one row.
enum class Level { rows, items };

/// A network and the names that it reads, side by side in their order.
struct Reader {
  Names given{};
  std::shared_ptr<const Network> network = nullptr;
  std::shared_ptr<const Network> stopped = nullptr;  ///< another network on the same weights, which get no gradient
  Level level = Level::rows;                         ///< of what it gives
  bool in_order = false;  ///< whether it reads the rows of an item one after the other, as recurrent networks do
};

/// The names of a model, the networks of its features, and where its chains begin.
struct Graph {
  struct Name {
    int64_t width;  ///< numbers of its value
    Level level = Level::rows;
  };
  std::map<std::string, Name> names{};       ///< columns, features and latents
  std::map<std::string, Reader> features{};  ///< by name
  std::set<std::string> latents{};
  /// What stands before the first row of a latent [C]: a parameter of p, or zeros.
  std::map<std::string, Tensor> first{};

  /// Throws ConfigError for a name that there is not; `reader`, which reads it, stands in the message.
  const Name& find(const std::string& name, const std::string& reader) const;
  /// How many numbers the values of these names have together.
  int64_t width(const Names& names, const std::string& reader) const;
  /// The latents among these names and among what their features read; of NAME.previous, NAME.
  std::set<std::string> latents_among(const Names& names) const;
};

/// One evaluation of the graph: values by name, each computed once, [R, C] (or [B, C]) where no draw is read and else
/// [S, R, C]. An E-step makes up to three of them. In the sampling graph draws and weights are live. In the graph of
/// densities draws and the parameters of q are leaf copies. In the third one, for the gradients of q's path alone,
/// weights are stopped too.
class World {
 public:
  /// `dropout`: what the networks' dropout draws from; null: nothing is dropped.
  World(const Graph& graph, const Batch& batch, Network::Noise dropout = nullptr);
  /// Another world of the same batch that has the same columns, and nothing else yet.
  std::unique_ptr<World> with_columns() const;
  /// A world with stopped weights; values that depend on no draw are those of this one, cut off.
  std::unique_ptr<World> stopped() const;

  void set(const std::string& name, const Tensor& value) { values_[name] = value; }
  const Tensor& at(const std::string& name) const;
  /// Side by side at that level, those of items repeated for each of their rows; undefined for none.
  Tensor at(const Names& names, Level level) const;
  /// What the network gives: [R or B, outputs], or [S, R or B, outputs] where it reads draws.
  Tensor read(const Reader& reader) const;
  /// The batch as a value of that level sees it: items of one row each where it has one of every item.
  const Batch& batch(Level level) const { return level == Level::items && ragged_ ? items_ : batch_; }

 private:
  Tensor computed(const std::string& name) const;
  Tensor previous(const std::string& latent) const;
  Tensor in_order(const Reader& reader, const Network& network, const Tensor& input) const;
  Tensor over_rows(const Tensor& of_items) const;

  const Graph& graph_;
  const Batch& batch_;
  Batch items_;  // the same without offsets, where it has some
  bool ragged_;
  Network::Noise dropout_;
  const World* data_ = nullptr;  // of stopped weights: where values that depend on no draw are taken from
  mutable TensorMap values_;
};

}  // namespace vem
