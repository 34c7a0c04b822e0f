// The order of the groups of latents: who is drawn before whom, and what follows from that.
#include "latent_graph.h"
#include "vem/core/error.h"

namespace vem {
namespace {

/// The groups in an order in which each comes after those that it needs; `what` names the lists in the message.
std::vector<std::string> in_order_of_needs(const std::map<std::string, std::set<std::string>>& needs,
                                           const std::string& what) {
  std::vector<std::string> order;
  std::set<std::string> done;
  while (order.size() < needs.size()) {
    const size_t before = order.size();
    for (const auto& [name, needed] : needs)
      if (done.count(name) == 0 && std::includes(done.begin(), done.end(), needed.begin(), needed.end())) {
        order.push_back(name);
        done.insert(name);
      }
    if (order.size() > before) continue;
    Names rest;
    for (const auto& entry : needs)
      if (done.count(entry.first) == 0) rest.push_back(entry.first);
    fail<ConfigError>("vae: {} of {} go round in a circle", what, fmt::join(rest, ", "));
  }
  return order;
}

}  // namespace

void LatentGraph::sort_groups() {
  std::map<std::string, std::set<std::string>> needs;
  for (const Group& group : groups_) {
    std::set<std::string>& needed = needs[group.name];
    needed = graph_.latents_among(group.encoder.given);
    if (group.merged) needed.merge(graph_.latents_among(group.parents));
    needed.erase(group.name);
  }
  std::vector<Group> sorted;
  for (const std::string& name : in_order_of_needs(needs, "what q reads")) sorted.push_back(find(name));
  groups_ = sorted;
  ancestral();  // throws for circles of parents
}

std::vector<const Group*> LatentGraph::ancestral() const {
  std::map<std::string, std::set<std::string>> needs;
  for (const Group& group : groups_) {
    needs[group.name] = graph_.latents_among(group.parents);
    needs[group.name].erase(group.name);
  }
  std::vector<const Group*> order;
  for (const std::string& name : in_order_of_needs(needs, "the parents")) order.push_back(&find(name));
  return order;
}

const Group* LatentGraph::observed() const {
  for (const Group& group : groups_)
    if (!group.observed.empty()) return &group;
  return nullptr;
}

std::vector<const Group*> LatentGraph::descendants(const Group& group) const {
  std::set<std::string> names{group.name};
  std::vector<const Group*> all;
  for (const Group* other : ancestral()) {
    const auto parents = graph_.latents_among(other->parents);
    const bool below =
        std::any_of(parents.begin(), parents.end(), [&](const auto& name) { return names.count(name) > 0; });
    if (other->name == group.name || !below) continue;
    names.insert(other->name);
    all.push_back(other);
  }
  return all;
}

void LatentGraph::find_relations() {
  for (Group& group : groups_) {
    Names read = group.encoder.given;
    if (group.merged) read.insert(read.end(), group.parents.begin(), group.parents.end());
    group.of_draws = !graph_.latents_among(group.encoder.given).empty();
    group.conditioned = !graph_.latents_among(read).empty();
    group.chained = graph_.latents_among(read).count(group.name) > 0;
    refuse_own_value(group, read);
    refuse_own_value(group, group.parents);
    std::set<std::string> seen;
    group.closed_form = !leads_to(group.parents, group.name, false, seen);
    for (Group& other : groups_)
      if (graph_.latents_among(read).count(other.name) > 0) other.inner = true;
  }
}

// Rows of a group are drawn one after the other, so that networks over all rows of it, or its own row, can not be read.
void LatentGraph::refuse_own_value(const Group& group, const Names& names) const {
  for (const std::string& name : names)
    if (name != group.name + ".previous" && graph_.latents_among({name}).count(group.name) > 0)
      fail<ConfigError>("vae: {} reads '{}', which depends on {} itself; only {}.previous may be read", group.name,
                        name, group.name, group.name);
}

// A network over time sees rows before and after, so that what it gives for an earlier row may know of this one.
bool LatentGraph::leads_to(const Names& names, const std::string& group, bool earlier,
                           std::set<std::string>& seen) const {
  for (const std::string& listed : names) {
    const auto latent = previous_of(listed);
    const std::string name = latent.value_or(listed);
    const bool before = earlier || latent.has_value();
    if (name == group && !before) return true;
    if (!seen.insert((before ? "earlier " : "") + name).second) continue;
    if (const auto it = graph_.features.find(name); it != graph_.features.end()) {
      if (leads_to(it->second.given, group, before && !it->second.in_order, seen)) return true;
    } else if (graph_.latents.count(name) > 0) {
      const Group& other = find(name);
      if (leads_to(other.encoder.given, group, before, seen)) return true;
      if (other.merged && leads_to(other.parents, group, before, seen)) return true;
    }
  }
  return false;
}

}  // namespace vem
