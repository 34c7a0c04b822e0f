// The groups of latents of an amortised model, its networks, and the order in which values are drawn.
// Legend: S samples, R rows, L dimensions of a group, P numbers of its q.
#pragma once

#include "options.h"

namespace vem {

/// A group of latents, with its q and its p.
struct Group {
  std::string name;
  Names parents;
  int64_t dim = 0;
  Level level = Level::rows;
  std::shared_ptr<Posterior> posterior;
  std::shared_ptr<Prior> prior;
  Reader encoder;            ///< what q reads, and the network from there; none where q is optimised for each datum
  std::string observed;      ///< the column that holds the latent where it is known, as a class; or empty
  bool merged = false;       ///< q is the product of p(z | parents) and of what the encoder gives
  bool chained = false;      ///< q reads the group's own value one row earlier
  bool of_draws = false;     ///< the encoder reads draws: of other groups, or of this one's previous row
  bool conditioned = false;  ///< q reads draws, be it by its encoder or by p, with which it is merged
  bool inner = false;        ///< some q reads draws of this group
  bool closed_form = true;   ///< KL(q || p) may be taken in closed form: no parent was drawn from what reads this group
};

class LatentGraph {
 public:
  using Posteriors = std::map<std::string, std::shared_ptr<Posterior>>;
  /// What it is made of besides its options. `posteriors`: of each group. `seen_range`: limits of rows as encoders see
  /// them.
  struct Parts {
    const Registry& registry;
    std::shared_ptr<GradientBlock> networks;
    std::shared_ptr<ConstantBlock> constants;
    Posteriors posteriors;
    std::shared_ptr<const Likelihood> likelihood;
    Range seen_range;
  };
  static Posteriors make_posteriors(const AmortizedOptions& options, const Schema& schema, const Registry& registry,
                                    const std::shared_ptr<GradientBlock>& networks);
  /// Throws ConfigError for names that there are not, circles, and what does not go together.
  LatentGraph(const AmortizedOptions& options, const Schema& schema, const Parts& parts);
  LatentGraph(const LatentGraph&) = delete;  // priors hold on to it
  LatentGraph& operator=(const LatentGraph&) = delete;

  /// In the order in which q draws them.
  const std::vector<Group>& groups() const { return groups_; }
  /// The same in the order in which p draws them.
  std::vector<const Group*> ancestral() const;
  const Graph& graph() const { return graph_; }
  /// Columns of the data besides x that some network reads.
  const Names& columns() const { return columns_; }
  /// The groups that hang on a group in p, in the order in which p draws them.
  std::vector<const Group*> descendants(const Group& group) const;
  /// The group that is observed for some items; null: none.
  const Group* observed() const;
  const Reader& decoder() const { return decoder_; }
  std::shared_ptr<Network> decoder_network() const { return decoder_network_; }
  bool one_group() const { return groups_.size() == 1; }
  /// A name of parameters, random streams or metrics: with one group the bare word, else followed by the group's name.
  std::string word(const std::string& base, const Group& group) const;
  const Group& find(const std::string& name) const;

  /// Draws the initial weights. `rows`: the first rows of the training data as encoders see them.
  void initialize(const Tensor& rows, const Rng& rng) const;

 private:
  Reader reader(const Choice& choice, const Names& given, const std::string& prefix, const Shape& output, Level level);
  void remember_columns(const Names& given);
  void add_names(const AmortizedOptions& options, const Schema& schema);
  void add_group(const std::string& name, const LatentOptions& options);
  void add_prior(Group& group, const LatentOptions& options);
  void add_encoder(Group& group, const LatentOptions& options);
  void add_first_values();
  void add_decoder();
  /// What the decoder reads where nobody says it: the latents that are parents of no other.
  Names default_given() const;
  bool is_parent(const Group& group) const;
  /// Parameters of the group's q at rows as its encoder sees them, for priors that are made of q.
  Tensor encoded(const std::string& group, const Tensor& rows) const;
  void sort_groups();
  void find_relations();
  void refuse_own_value(const Group& group, const Names& names) const;
  /// Whether one of these names leads, in q, to the group's value of the same or of a later row.
  bool leads_to(const Names& names, const std::string& group, bool earlier, std::set<std::string>& seen) const;
  void check_decoder(const Names& given) const;

  const AmortizedOptions& o_;
  Parts parts_;
  Shape item_shape_;
  at::ScalarType dtype_;
  bool sequences_;
  Graph graph_;
  Names columns_;
  std::vector<Group> groups_;
  Reader decoder_;
  std::shared_ptr<Network> decoder_network_;
  std::vector<std::shared_ptr<Network>> started_;  // those that initialize() starts, besides what priors and q have
};

}  // namespace vem
