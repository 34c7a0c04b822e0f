// vem describe RUN: the parameters of a fitted model, as a table or as JSON. What there is comes from the methods that
// take no input, whose tensors start with the components.
#include "vem/train/parameters.h"
#include "inputs.h"
#include "output_file.h"
#include "remarks.h"
#include "text.h"
#include "topics.h"
#include "vem/core/error.h"
#include "vem/core/names.h"
#include "vem/data/writers.h"
#include "verbs.h"

namespace vem {
namespace {

std::string short_text(const std::string& text, size_t width) {
  return text.size() <= width ? text : text.substr(0, width - 1) + ".";
}

}  // namespace

void print_tensor(const std::string& name, const Tensor& values, const std::vector<std::string>& columns) {
  fmt::print("{}\n", name);
  const bool named = values.dim() > 1 && values.size(-1) == static_cast<int64_t>(columns.size());
  if (named) {
    fmt::print("{:>6}", "");
    for (const std::string& column : columns) fmt::print("{:>14}", short_text(column, 13));
    fmt::print("\n");
  }
  for (int64_t k = 0; k < values.size(0); ++k) {
    const Tensor rows = values[k].reshape({-1, values.dim() > 1 ? values.size(-1) : 1});
    for (int64_t i = 0; i < rows.size(0); ++i) {
      fmt::print("{:>6}", i == 0 ? std::to_string(k) : "");
      for (int64_t j = 0; j < rows.size(1); ++j) fmt::print("{:>14.6g}", rows[i][j].item<double>());
      fmt::print("\n");
    }
  }
}

/// "p(z1 | z2)    conditional": a line for each arrow.
void print_graph(const std::vector<Dependence>& graph) {
  for (const Dependence& d : graph) {
    const char* side = d.side == Dependence::Side::p ? "p" : d.side == Dependence::Side::q ? "q" : "";
    const std::string given = d.given.empty() ? "" : fmt::format(" | {}", fmt::join(d.given, ", "));
    const std::string left = d.side == Dependence::Side::feature
                                 ? fmt::format("{} = f({})", d.name, fmt::join(d.given, ", "))
                                 : fmt::format("{}({}{})", side, d.name, given);
    fmt::print("  {:<32}  {}\n", left, d.by);
  }
}

/// The same for graphviz: p in solid arrows, q in dashed ones, features as boxes.
std::string dot_of(const std::vector<Dependence>& graph) {
  std::string text = "digraph model {\n";
  for (const Dependence& d : graph) {
    if (d.side == Dependence::Side::feature) text += fmt::format("  \"{}\" [shape=box];\n", d.name);
    for (const std::string& from : d.given)
      text +=
          fmt::format("  \"{}\" -> \"{}\"{};\n", from, d.name, d.side == Dependence::Side::p ? "" : " [style=dashed]");
  }
  return text + "}\n";
}

std::string json_of(const LoadedRun& run) {
  return parameters_json(*run.model, run.options.model.name, run.checkpoint);
}

int describe_run(const Arguments& a, const Registry& registry) {
  const LoadedRun run = load_run(a, a["name"].as<std::string>(), registry);
  const std::string json = a.count("json") ? a["json"].as<std::string>() : "";
  if (!json.empty()) check_output(a, json, {}, input_files(a, run.options.data));
  const auto graph = run.model->dependences();
  if (a.count("dot") && a["dot"].as<bool>()) {
    if (graph.empty()) a.refuse("dot", "the model has no graph of latents");
    a.require_all_read();
    fmt::print("{}", dot_of(graph));
    return 0;
  }
  if (json.empty() && Model::find(run.model->methods(), "topics")) return describe_topics(a, run, registry);
  a.require_all_read();
  const at::NoGradGuard no_grad;
  fmt::print("{} of {} ({} checkpoint)\n", run.options.model.name, one_line(run.directory.path()), run.checkpoint_name);
  if (run.model->sampled())
    fmt::print("the last draw; `vem diagnose {}` has posterior means\n", shell_word(run.directory.path()));
  const auto& notes = run.checkpoint.notes;
  if (const auto it = notes.find("start"); it != notes.end()) fmt::print("start: {}\n", it->second);
  for (const std::string& remark : remarks(*run.model, notes)) fmt::print("{}\n", remark);
  for (const auto& [column, words] : run.checkpoint.schema.categories) {
    fmt::print("{}:", column);
    for (size_t i = 0; i < words.size(); ++i) fmt::print(" {} = {}{}", i, words[i], i + 1 < words.size() ? "," : "\n");
  }
  print_graph(graph);
  bool any = !graph.empty();
  for (const Method& method : run.model->methods()) {
    if (!method.inputs.empty()) continue;
    any = true;
    const std::vector<Tensor> values = method.call({}, Rng(0));
    for (size_t i = 0; i < values.size(); ++i)
      print_tensor(method.outputs[i], values[i].detach().to(at::kDouble),
                   method.name == "allocation_parameters" ? std::vector<std::string>()  // of states, not of columns
                                                          : run.checkpoint.schema.feature_names);
  }
  if (!any)
    fail<UsageError>("describe: a {} has networks and no table of parameters; `vem export` writes them",
                     run.options.model.name);
  if (!json.empty()) write_text(json, json_of(run));
  return 0;
}

}  // namespace vem
