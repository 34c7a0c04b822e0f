// The table of verbs with their options and examples.
#include "verbs.h"

namespace vem {
namespace {

using Values = std::vector<std::string>;

void declare_output(cxxopts::Options& o, const std::string& help, const std::string& names = "out") {
  o.add_options()(names, help, cxxopts::value<std::string>())("force", "replace the file if it exists");
}
/// What train and select fit.
void declare_fit(cxxopts::Options& o) {
  o.add_options()("what", "model, preset or TOML file", cxxopts::value<std::string>())(
      "data", "named set or path (data.source)", cxxopts::value<std::string>())(
      "set", "key=value, as in a TOML file; any number of times", cxxopts::value<Values>())(
      "seed", "of everything random", cxxopts::value<std::string>())(
      "threads", "0: all cores, or OMP_NUM_THREADS", cxxopts::value<std::string>())("device", "where tensors live",
                                                                                    cxxopts::value<std::string>());
  o.parse_positional({"what"});
}
void declare_train(cxxopts::Options& o) {
  declare_fit(o);
  o.add_options()("out", "folder of the run; default runs/MODEL-DATA", cxxopts::value<std::string>())(
      "resume", "go on with the run in this folder", cxxopts::value<std::string>())("force",
                                                                                    "replace a run that is there");
}
void declare_select(cxxopts::Options& o) {
  declare_fit(o);
  o.add_options()("components", "numbers of components to compare: 1..8", cxxopts::value<std::string>());
  declare_output(o, "file for the table", "json,out");
}
void declare_threads(cxxopts::Options& o) {
  o.add_options()("threads", "0: all cores, or OMP_NUM_THREADS; default: as the run was trained",
                  cxxopts::value<int64_t>());
}
/// Of a verb that loads a run.
void declare_loading(cxxopts::Options& o) {
  o.add_options()("checkpoint", "best or last; default: best where there is one", cxxopts::value<std::string>());
  declare_threads(o);
}
void declare_run(cxxopts::Options& o) {
  o.add_options()("run", "folder of a run", cxxopts::value<std::string>());
  declare_loading(o);
  o.parse_positional({"run"});
}
void declare_data(cxxopts::Options& o) {
  o.add_options()("data", "named set or path; default: the run's own", cxxopts::value<std::string>())(
      "split", "train, validation or test; default: the last of these that has items", cxxopts::value<std::string>())(
      "limit", "first so many items only", cxxopts::value<int64_t>()->default_value("0"))(
      "unseen", "symbols and categories that the model was not trained on: refuse, or missing; default: data.unseen",
      cxxopts::value<std::string>());
}
void declare_seed(cxxopts::Options& o) {
  o.add_options()("seed", "of random draws", cxxopts::value<uint64_t>()->default_value("0"));
}
void declare_evaluate(cxxopts::Options& o) {
  declare_run(o);
  declare_data(o);
  declare_seed(o);
  o.add_options()("samples", "importance samples an item, where the likelihood is not exact",
                  cxxopts::value<int64_t>()->default_value("5000"))(
      "bound-samples",
      "also the bound of so many importance samples (1: the ELBO), averaged over groups of --samples; 0: no",
      cxxopts::value<int64_t>()->default_value("0"))(
      "annealing",
      "also estimate the likelihood by annealed importance sampling with so many temperatures, and its error from "
      "both sides; 0: no",
      cxxopts::value<int64_t>()->default_value("0"))(
      "gaps", "say what the family of q and the encoder cost, by so many steps from the encoder's q to the best; 0: no",
      cxxopts::value<int64_t>()->default_value("0"))(
      "against", "another run: the difference of log-likelihoods on these items, with its paired standard error",
      cxxopts::value<std::string>())("factors",
                                     "file (.csv, .tsv, .npy) with what each item was made of, a column a factor: MIG, "
                                     "SAP, DCI and FactorVAE scores of "
                                     "the posterior means; needs thousands of items",
                                     cxxopts::value<std::string>())(
      "held-out", "documents: the words to predict, one document for each of --data; default: half of each, drawn",
      cxxopts::value<std::string>());
}
void declare_encode(cxxopts::Options& o) {
  declare_run(o);
  declare_data(o);
  declare_seed(o);
  declare_output(o, "file to write: .npy, .csv, or sparse .mtx");
  o.add_options()("least", "of .mtx: entries below are left out", cxxopts::value<double>()->default_value("0.01"))(
      "method",
      "another method of the model with an output a row: predict, filter; or log_prob, the log-likelihood of each item",
      cxxopts::value<std::string>())("samples",
                                     "of --method log_prob where the likelihood is not exact: importance samples an "
                                     "item; what is written are lower bounds",
                                     cxxopts::value<int64_t>()->default_value("5000"));
}
void declare_impute(cxxopts::Options& o) {
  declare_run(o);
  declare_data(o);
  declare_seed(o);
  declare_output(o, "file to write: .npy or .csv");
}
void declare_forecast(cxxopts::Options& o) {
  declare_run(o);
  declare_data(o);
  o.add_options()("horizon", "time steps after the end of each sequence",
                  cxxopts::value<int64_t>()->default_value("10"))(
      "level", "probability of the central interval lower .. upper of each column",
      cxxopts::value<double>()->default_value("0.95"));
  declare_output(
      o,
      "file to write: .npy or .csv; default RUN/forecast.csv. A row a step: probabilities of the states; mean, "
      "variance, "
      "lower and upper of each column of numbers (of counts too); of symbols the most probable one and the probability "
      "of each");
}
void declare_sample(cxxopts::Options& o) {
  declare_run(o);
  declare_seed(o);
  o.add_options()("n", "number of draws; default 64", cxxopts::value<int64_t>());
  o.add_options()("given", "what a conditional model draws given, as NAME=CLASS (label=3); may be repeated",
                  cxxopts::value<std::vector<std::string>>());
  declare_output(o, "file to write: .png (images), .npy or .csv; .ldac (documents)");
}
void declare_picture(cxxopts::Options& o) {
  declare_run(o);
  declare_data(o);
  declare_seed(o);
  o.add_options()("n", "items (default 32), or dimensions (default: the active ones, 10 at most)",
                  cxxopts::value<int64_t>());
  declare_output(o, "file to write: .png (images), .npy or .csv");
}
void declare_traverse(cxxopts::Options& o) {
  declare_picture(o);
  o.add_options()("latent",
                  "of several latents, the one that moves; those below it follow, others stay at the first item's",
                  cxxopts::value<std::string>());
  o.add_options()("between", "walk from items to their next ones instead: pairs of neighbours in the data");
}
void declare_export(cxxopts::Options& o) {
  declare_run(o);
  o.add_options()("format",
                  "torchscript: parameters and methods, for PyTorch; safetensors: parameters alone, for any program; "
                  "json: parameters, or topics; npy: topics",
                  cxxopts::value<std::string>()->default_value("torchscript"));
  declare_output(o, "file to write; default RUN/export/model.pt or .safetensors");
}
void declare_kind(cxxopts::Options& o) {
  o.add_options()("name", "kind, or name of a plug-in", cxxopts::value<std::string>());
  o.parse_positional({"name"});
}
void declare_diagnose(cxxopts::Options& o) {
  o.add_options()("runs", "folders of runs with estimate = gibbs, one a chain", cxxopts::value<Values>())(
      "skip", "first so many draws of each left out, beside those of train.burn_in",
      cxxopts::value<int64_t>()->default_value("0"))("thin", "of the others, every so many",
                                                     cxxopts::value<int64_t>()->default_value("1"));
  declare_output(o, "file for the results", "json,out");
  declare_threads(o);
  o.parse_positional({"runs"});
}
void declare_describe(cxxopts::Options& o) {
  declare_kind(o);
  declare_loading(o);  // of a run
  declare_output(o, "of a run: file for its parameters", "json,out");
  o.add_options()("dot", "of a run with latents: its graph for graphviz, p in solid arrows and q in dashed ones")(
      "words", "top words of a topic that are shown and scored", cxxopts::value<int64_t>()->default_value("10"))(
      "data", "of topics: corpus that coherence is counted in; default: the run's training documents",
      cxxopts::value<std::string>())("other", "of topics: another run, whose topics are matched with these",
                                     cxxopts::value<std::vector<std::string>>());
}
void declare_nothing(cxxopts::Options&) {}

}  // namespace

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> table{
      {"train", "fit a model to data", "MODEL|FILE.toml",
       "  vem train vae --data fashion-mnist --out runs/first --set data.binarize=dynamic --set train.epochs=10\n"
       "  vem train gmm --data table.csv --set model.num_components=3\n"
       "  vem train experiments/quickstart.toml --out runs/quickstart --force\n"
       "  vem train --resume runs/first --set train.epochs=20\n",
       declare_train, train},
      {"select", "compare numbers of components", "MODEL|FILE.toml",
       "  vem select gmm --data table.csv --components 1..8\n"
       "  vem select gmm --data table.csv --components 2..5 --set model.estimate=ml --set data.validation=0.2\n",
       declare_select, select},
      {"evaluate", "bound; likelihood, exact or by importance sampling; document completion", "RUN",
       "  vem evaluate runs/first --samples 1000 --limit 1000\n"
       "  vem evaluate runs/first --limit 500 --gaps 300\n"
       "  vem evaluate runs/first --limit 100 --annealing 200\n"
       "  vem evaluate runs/first --samples 1000 --against runs/second\n"
       "  vem evaluate runs/shapes --factors factors.csv\n"
       "  vem evaluate runs/first --data mnist:DIR --split test\n",
       declare_evaluate, evaluate},
      {"encode", "write q(z | x), or responsibilities", "RUN",
       "  vem encode runs/first --out z.npy\n"
       "  vem encode runs/gmm-table --data other.csv --out responsibilities.csv\n"
       "  vem encode runs/hmm-table --method predict --out paths.csv\n"
       "  vem encode runs/first --method log_prob --samples 1000 --out scores.csv\n",
       declare_encode, encode},
      {"impute", "write items with what is expected in their missing cells", "RUN",
       "  vem impute runs/gmm-table --out complete.csv\n  vem impute runs/gmm-table --data other.csv --out "
       "complete.csv\n",
       declare_impute, impute},
      {"forecast", "distributions of the time steps to come after each sequence", "RUN",
       "  vem forecast runs/hmm-table --horizon 20\n  vem forecast runs/hmm-table --level 0.8 --out next.csv\n",
       declare_forecast, forecast},
      {"sample", "draw new items", "RUN",
       "  vem sample runs/first -n 64 --out samples.png\n"
       "  vem sample runs/gmm-table -n 1000 --out rows.csv\n",
       declare_sample, sample},
      {"reconstruct", "items beside what the model makes of them", "RUN",
       "  vem reconstruct runs/first\n"
       "  vem reconstruct runs/first -n 100 --out reconstructions.npy\n",
       declare_picture, reconstruct},
      {"traverse", "a walk along the most active latent dimensions, or from item to item", "RUN",
       "  vem traverse runs/first\n"
       "  vem traverse runs/first -n 5 --out walk.png\n"
       "  vem traverse runs/first --between\n",
       declare_traverse, traverse},
      {"export", "write a file that other programs load, as experiments/python shows", "RUN",
       "  vem export runs/first --format torchscript --out model.pt\n"
       "  vem export runs/first --format safetensors --out model.safetensors\n"
       "  vem export runs/gmm-table --format json --out parameters.json\n",
       declare_export, export_model},
      {"list", "plug-ins, of all kinds or one", "[KIND]", "  vem list\n  vem list prior\n", declare_kind, list},
      {"describe", "every option of a plug-in, of the data or of training; or the parameters of a run", "NAME|RUN",
       "  vem describe vae\n  vem describe train\n  vem describe runs/gmm-table --json parameters.json\n"
       "  vem describe runs/lda-ap --other runs/lda-ap-2\n",
       declare_describe, describe},
      {"diagnose", "whether chains of Gibbs sampling have mixed, and posterior means of parameters", "RUN...",
       "  vem diagnose runs/chain-1 runs/chain-2 --json posterior.json\n", declare_diagnose, diagnose},
      {"info", "versions, threads, and the speed of matrix products", "", "  vem info\n", declare_nothing, info},
  };
  return table;
}

}  // namespace vem
