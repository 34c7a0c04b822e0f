#include "support/models.h"

#include "support/amortised.h"
#include "support/lda_reference.h"
#include "vem/data/corpus.h"

#include <gtest/gtest.h>

#include <tuple>

namespace vem {
std::vector<Variant> variants(const std::string& precision) {
  std::vector<Variant> rows;
  for (const std::string covariance : {"full", "diagonal", "tied", "spherical"})
    for (const std::string estimate : {"ml", "map", "posterior"})
      for (const Sample sample : {Sample::blobs, Sample::gaps})
        rows.push_back({"gmm_" + covariance + "_" + estimate + (sample == Sample::gaps ? "_gaps" : ""),
                        "kind = \"gmm\"\nnum_components = 3\nestimate = \"" + estimate +
                            "\"\n[model.observation]\nkind = \"normal\"\ncovariance = \"" + covariance + "\"\n",
                        sample, true});
  const std::vector<std::tuple<std::string, std::string, Sample>> families{
      {"bernoulli", "", Sample::bits},
      {"categorical", "num_symbols = 3\n", Sample::symbols},
      {"multinomial", "", Sample::counts},
      {"poisson", "", Sample::counts},
      {"exponential", "", Sample::durations},
      {"product",
       "normal_columns = \"x0,x2\"\npoisson_columns = \"x1\"\ncategorical_columns = "
       "\"x3\"\n[model.observation.normal]\n"
       "kind = \"normal\"\ncovariance = \"tied\"\n[model.observation.categorical]\nkind = \"categorical\"\n"
       "num_symbols = 3\n",
       Sample::mixed}};
  for (const auto& [family, observation, sample] : families)
    for (const std::string estimate : {"ml", "map", "posterior"})
      rows.push_back({"mixture_" + family + "_" + estimate,
                      "kind = \"mixture\"\nnum_components = 3\nestimate = \"" + estimate +
                          "\"\n[model.observation]\nkind = \"" + family + "\"\n" + observation,
                      sample, true});
  for (const std::string estimate : {"ml", "map", "posterior"})
    rows.push_back({"mixture_sticks_" + estimate,
                    "kind = \"mixture\"\nnum_components = 5\nestimate = \"" + estimate +
                        "\"\n[model.allocation]\nkind = \"stick-breaking\"\n",
                    Sample::blobs, true});
  // Starts that compete run until they hardly rise, which leaves a fit of 25 passes little to show.
  const auto hmm = [&](const std::string& name, const std::string& estimate, const std::string& chain,
                       const std::string& covariance) {
    rows.push_back({"hmm_" + name,
                    "kind = \"hmm\"\nstart = \"kmeans++\"\nnum_components = 3\nestimate = \"" + estimate +
                        "\"\nallocation = {kind = \"markov-chain\"" + chain +
                        "}\nobservation = {kind = \"normal\", covariance = \"" + covariance + "\"}\n",
                    Sample::sequences, true});
  };
  for (const std::string estimate : {"ml", "map", "posterior"}) {
    hmm("full_" + estimate, estimate, "", "full");
    hmm("diagonal_left_right_" + estimate, estimate, ", topology = \"left-right\", start = \"first\"", "diagonal");
  }
  hmm("sticky_uniform_posterior", "posterior", ", concentration = 0.3, stickiness = 4.0, start = \"uniform\"",
      "diagonal");
  // Chains with other families, gaps, mixtures in their states; each with one estimate at least.
  const auto chain = [&](const std::string& name, const std::string& estimate, const std::string& allocation,
                         const std::string& observation, Sample sample) {
    rows.push_back({"hmm_" + name + "_" + estimate,
                    "kind = \"hmm\"\nstart = \"kmeans++\"\nnum_components = 2\nestimate = \"" + estimate +
                        "\"\nallocation = {kind = \"markov-chain\"" + allocation + "}\n[model.observation]\n" +
                        observation,
                    sample, true});
  };
  const std::string product_of_three = "kind = \"product\"\n" + std::get<1>(families.back());
  chain("bernoulli", "ml", ", topology = \"left-right\"", "kind = \"bernoulli\"\n", Sample::bit_sequences);
  chain("categorical", "map", ", stickiness = 2.0", "kind = \"categorical\"\nnum_symbols = 3\n",
        Sample::symbol_sequences);
  chain("poisson", "posterior", ", start = \"uniform\"", "kind = \"poisson\"\n", Sample::count_sequences);
  chain("product", "posterior", "", product_of_three, Sample::mixed_sequences);
  chain("tied_gaps", "map", "", "kind = \"normal\"\ncovariance = \"tied\"\n", Sample::gap_sequences);
  chain("full_gaps", "posterior", "", "kind = \"normal\"\n", Sample::gap_sequences);
  chain("spherical_gaps", "ml", "", "kind = \"normal\"\ncovariance = \"spherical\"\n", Sample::gap_sequences);
  chain("factor_gaps", "ml", "", "kind = \"normal\"\ncovariance = \"factor\"\n", Sample::gap_sequences);
  for (const std::string estimate : {"ml", "map", "posterior"}) {
    chain("mixtures", estimate, ", state_components = 2", "kind = \"normal\"\ncovariance = \"diagonal\"\n",
          Sample::sequences);
    chain("autoregressive", estimate, "", "kind = \"autoregressive\"\norder = 2\n", Sample::sequences);
  }
  for (const std::string estimate : {"ml", "map"})
    for (const std::string covariance : {"factor", "ppca"})
      rows.push_back({"mixture_" + covariance + "_" + estimate,
                      "kind = \"mixture\"\nnum_components = 2\nestimate = \"" + estimate +
                          "\"\n[model.observation]\nkind = \"normal\"\ncovariance = \"" + covariance + "\"\n",
                      estimate == "ml" ? Sample::blobs : Sample::gaps, true});
  const std::string mlp =
      "[model.encoder]\nkind = \"mlp\"\nwidths = [12]\nactivation = \"tanh\"\n[model.decoder]\nkind = \"mlp\"\nwidths "
      "= [12]\nactivation = \"tanh\"\n";
  const auto vae = [&](const std::string& name, const std::string& top, const std::string& networks, Sample sample) {
    const std::string two = top.find("latent_dim") == std::string::npos ? "latent_dim = 2\n" : "";
    rows.push_back({"vae_" + name, "kind = \"vae\"\n" + two + top + networks, sample, false});
  };
  vae("elbo", "", mlp, Sample::images);
  vae("elbo_monte_carlo", "objective = {kind = \"elbo\", kl = \"monte-carlo\", num_samples = 3}\n", mlp,
      Sample::images);
  vae("beta", "objective = \"beta-elbo\"\n", mlp, Sample::images);
  vae("iwae", "objective = {kind = \"iwae\", num_samples = 4}\n", mlp, Sample::images);
  vae("sticking", "objective = {kind = \"elbo\", kl = \"sticking\", num_samples = 2}\n", mlp, Sample::images);
  vae("free_bits", "objective = {kind = \"elbo\", free_bits = 0.1}\n", mlp, Sample::images);
  vae("capacity", "objective = {kind = \"elbo\", pull_to_capacity = true, capacity = 0.01}\n", mlp, Sample::images);
  vae("dreg", "objective = {kind = \"iwae\", num_samples = 3, gradient = \"dreg\"}\n", mlp, Sample::images);
  vae("renyi", "objective = {kind = \"iwae\", num_samples = 3, alpha = 0.5}\n", mlp, Sample::images);
  vae("groups", "objective = {kind = \"iwae\", num_samples = 2, groups = 2, elbo_share = 0.2}\n", mlp, Sample::images);
  vae("pooled", "objective = {kind = \"iwae\", num_samples = 2, groups = 2, pooled = true}\n", mlp, Sample::images);
  vae("total_correlation", "objective = {kind = \"total-correlation\", num_samples = 2}\n", mlp, Sample::images);
  vae("total_correlation_weighted", "objective = {kind = \"total-correlation\", estimator = \"weighted\"}\n", mlp,
      Sample::images);
  vae("dip", "objective = \"dip\"\n", mlp, Sample::images);
  vae("dip_aggregate", "objective = {kind = \"dip\", covariance = \"aggregate\"}\n", mlp, Sample::images);
  vae("info", "objective = {kind = \"info\", scale = 10.0}\n", mlp, Sample::images);
  vae("full_posterior", "posterior = \"full\"\n", mlp, Sample::images);
  vae("full_posterior_mixture", "posterior = \"full\"\nprior = {kind = \"mixture\", num_components = 3}\n", mlp,
      Sample::images);
  vae("low_rank_posterior", "latent_dim = 4\nposterior = {kind = \"low-rank\", rank = 2}\n", mlp, Sample::images);
  vae("low_rank_posterior_mixture", "posterior = \"low-rank\"\nprior = {kind = \"mixture\", num_components = 3}\n", mlp,
      Sample::images);
  vae("low_rank_posterior_vamp", "posterior = \"low-rank\"\nprior = {kind = \"vamp\", num_components = 5}\n", mlp,
      Sample::images);
  vae("low_rank_posterior_normal", "posterior = \"low-rank\"\nprior = \"normal\"\n", mlp, Sample::images);
  for (const std::string flow : {"planar", "radial", "sylvester", "iaf"})
    vae("flow_" + flow, "posterior = {kind = \"flow\", num_flows = 2, flow = \"" + flow + "\"}\n", mlp, Sample::images);
  vae("maf_prior", "prior = {kind = \"maf\", num_flows = 2, widths = [6]}\n", mlp, Sample::images);
  vae("real_nvp_prior", "prior = {kind = \"real-nvp\", num_flows = 3, widths = [6]}\n", mlp, Sample::images);
  vae("normal_prior", "prior = \"normal\"\n", mlp, Sample::images);
  vae("normal_mixture_prior", "prior = {kind = \"normal-mixture\", num_components = 3}\n", mlp, Sample::images);
  vae("vamp", "prior = {kind = \"vamp\", num_components = 5}\n", mlp, Sample::images);
  vae("vamp_fixed_full", "posterior = \"full\"\nprior = {kind = \"vamp\", num_components = 70, learned = false}\n", mlp,
      Sample::images);
  vae("gated", "",
      "[model.encoder]\nkind = \"mlp\"\nwidths = [8, 8]\ngated = true\n[model.decoder]\nkind = \"mlp\"\nwidths = "
      "[8]\ngated = true\n",
      Sample::images);
  vae("conv", "",
      "[model.encoder]\nkind = \"conv\"\nchannels = [4, 6]\n[model.decoder]\nkind = \"conv\"\nchannels = [6, 4]\n",
      Sample::images);
  const auto both = [](const std::string& options) {
    return "[model.encoder]\n" + options + "[model.decoder]\n" + options;
  };
  vae("residual_conv", "", both("kind = \"residual-conv\"\nchannels = [4]\nhidden = 8\nactivation = \"tanh\"\n"),
      Sample::images);
  vae("conv_weight_norm", "",
      both("kind = \"conv\"\nchannels = [4]\nhidden = 8\nactivation = \"tanh\"\nweight_norm = true\ndropout = 0.3\n"),
      Sample::images);
  vae("gru", "", both("kind = \"gru\"\nhidden = 5\nnum_layers = 2\n"), Sample::images);
  vae("gru_table", "likelihood = {kind = \"normal\", scale = \"predicted\"}\n", both("kind = \"gru\"\nhidden = 5\n"),
      Sample::gaps);
  const std::string sequences = "latents = \"sequences\"\nlikelihood = {kind = \"normal\", scale = \"predicted\"}\n";
  vae("sequences", sequences, both("kind = \"gru\"\nhidden = 5\nnum_layers = 2\n"), Sample::sequences);
  vae("sequences_gaps_iwae", sequences + "standardize = true\nobjective = {kind = \"iwae\", num_samples = 3}\n",
      both("kind = \"gru\"\nhidden = 5\n"), Sample::gap_sequences);
  vae("sequences_local", sequences + "e_step = \"local\"\ninner_steps = 5\n",
      "[model.decoder]\nkind = \"gru\"\nhidden = 5\n", Sample::sequences);
  vae("embedding_bag", "likelihood = \"multinomial\"\n",
      "[model.encoder]\nkind = \"embedding-bag\"\nembedding = 6\nwidths = [5]\ndropout = 0.2\n"
      "[model.decoder]\nkind = \"embedding-bag\"\ndropout = 0.2\n",
      Sample::counts);
  vae("normalised_dropout", "objective = {kind = \"iwae\", num_samples = 3}\n",
      both("kind = \"mlp\"\nwidths = [8, 6]\nactivation = \"tanh\"\nweight_norm = true\nlayer_norm = true\n"
           "dropout = 0.3\n"),
      Sample::images);
  vae("weight_norm", "", both("kind = \"mlp\"\nwidths = [8]\nactivation = \"tanh\"\nweight_norm = true\n"),
      Sample::images);
  vae("gated_layer_norm", "", both("kind = \"mlp\"\nwidths = [8]\ngated = true\nlayer_norm = true\n"), Sample::images);
  for (const std::string gradient : {"enumerate", "score-function", "straight-through", "relaxed"}) {
    std::string name = "categorical_" + gradient;
    std::replace(name.begin(), name.end(), '-', '_');
    vae(name,
        "latent_dim = 6\nprior = {kind = \"categorical\", learned = true}\nposterior = {kind = \"categorical\", "
        "num_classes = 3, gradient = \"" +
            gradient + "\"}\n" + (gradient == "enumerate" ? "" : "objective = {kind = \"elbo\", num_samples = 3}\n"),
        mlp, Sample::images);
  }
  for (const std::string gradient : {"score_function", "straight_through"}) {
    std::string word = gradient;
    std::replace(word.begin(), word.end(), '_', '-');
    vae("categorical_iwae_" + gradient,
        "latent_dim = 6\nprior = \"categorical\"\nposterior = {kind = \"categorical\", num_classes = 3, gradient = \"" +
            word + "\"}\nobjective = {kind = \"iwae\", num_samples = 3, groups = 2}\n",
        mlp, Sample::images);
  }
  vae("categorical_local",
      "latent_dim = 4\nprior = \"categorical\"\nposterior = {kind = \"categorical\", num_classes = 4, gradient = "
      "\"enumerate\"}\ne_step = \"local\"\ninner_steps = 5\n",
      "[model.decoder]\nkind = \"mlp\"\nwidths = [12]\n", Sample::images);
  vae("continuous_bernoulli", "likelihood = \"continuous-bernoulli\"\n", mlp, Sample::positive_images);
  for (const std::string scale : {"fixed", "shared", "predicted"})
    vae("normal_" + scale, "likelihood = {kind = \"normal\", scale = \"" + scale + "\"}\n", mlp, Sample::blobs);
  vae("laplace", "likelihood = \"laplace\"\nstandardize = false\n", mlp, Sample::blobs);
  vae("student_t", "likelihood = {kind = \"student-t\", scale = \"predicted\"}\n", mlp, Sample::gaps);
  vae("discretized_logistic", "likelihood = \"discretized-logistic\"\n", mlp, Sample::positive_images);
  vae("discretized_mixture", "likelihood = {kind = \"discretized-logistic\", num_levels = 16, num_components = 2}\n",
      mlp, Sample::positive_images);
  vae("categorical", "likelihood = {kind = \"categorical\", num_categories = 3}\n", mlp, Sample::symbols);
  vae("poisson", "likelihood = \"poisson\"\n", mlp, Sample::counts);
  vae("negative_binomial", "likelihood = {kind = \"negative-binomial\", dispersion = \"predicted\"}\n", mlp,
      Sample::counts);
  vae("zero_inflated", "likelihood = {kind = \"negative-binomial\", zero_inflated = true}\n", mlp, Sample::counts);
  vae("poisson_library", "likelihood = {kind = \"poisson\", library = \"observed\"}\n", mlp, Sample::counts);
  vae("negative_binomial_library", "likelihood = {kind = \"negative-binomial\", library = \"observed\"}\n", mlp,
      Sample::counts);
  vae("zero_inflated_library",
      "likelihood = {kind = \"negative-binomial\", library = \"observed\", zero_inflated = true, dispersion = "
      "\"predicted\"}\n",
      mlp, Sample::counts);
  vae("multinomial", "likelihood = \"multinomial\"\n", mlp, Sample::counts);
  vae("dirichlet_multinomial", "likelihood = \"dirichlet-multinomial\"\n", mlp, Sample::counts);
  vae("dirichlet_multinomial_predicted",
      "likelihood = {kind = \"dirichlet-multinomial\", concentration = \"predicted\"}\n", mlp, Sample::counts);
  vae("documents", "likelihood = \"multinomial\"\nprior = \"normal\"\n",
      "[model.encoder]\nkind = \"embedding-bag\"\nembedding = 6\nwidths = [5]\n[model.decoder]\nkind = "
      "\"embedding-bag\"\n",
      Sample::document_rows);
  // Several groups of latents; their names tell them from what there was before, of which golden values are kept.
  const auto graph = [&](const std::string& name, const std::string& top, const std::string& sections, Sample sample) {
    const std::string decoder = "decoder = {widths = [8], activation = \"tanh\"}\n";
    rows.push_back({"graph_" + name, "kind = \"vae\"\n" + decoder + top + sections, sample, false});
  };
  const std::string small = "{widths = [6], activation = \"tanh\"}\n";
  const auto group = [&](const std::string& name, const std::string& options) {
    return "[model.latent." + name + "]\ndim = 2\nencoder = " + small + options;
  };
  const std::string below = "given = \"x, z2\"\nparents = \"z2\"\nprior.network = " + small;
  const auto feature = [&](const std::string& name, const std::string& given) {
    return "[model.feature." + name + "]\nwidth = 5\ngiven = \"" + given +
           "\"\nnetwork = {widths = [6], activation = \"tanh\", dropout = 0.2}\n";
  };
  graph("vamp_above", "given = \"z1, z2\"\n",
        group("z2", "prior = {kind = \"vamp\", num_components = 5}\n") + group("z1", below), Sample::images);
  graph("mixture_above", "objective = {kind = \"elbo\", kl = \"sticking\", num_samples = 2}\n",
        group("z2", "prior = {kind = \"mixture\", num_components = 3}\n") + group("z1", below), Sample::images);
  graph("bottom_up", "objective = {kind = \"iwae\", gradient = \"dreg\", num_samples = 3}\n",
        group("z1",
              "parents = \"z2\"\nprior = {kind = \"conditional\", network = {widths = [6], activation = \"tanh\"}}\n") +
            group("z2", "given = \"z1\"\n"),
        Sample::images);
  graph("ladder", "objective = {kind = \"elbo\", kl_weight = 0.5, free_bits = 0.05}\n",
        feature("h1", "x") + feature("h2", "h1") + group("z2", "given = \"h2\"\n") +
            group("z1", "given = \"h1\"\nparents = \"z2\"\nmerged = true\nprior.network = " + small),
        Sample::images);
  graph("flow_above", "objective = {kind = \"elbo\", kl = \"monte-carlo\"}\n",
        group("z2", "posterior = {kind = \"flow\", num_flows = 2, flow = \"iaf\"}\n") + group("z1", below),
        Sample::images);
  graph("full_semi", "e_step = \"semi-amortized\"\ninner_steps = 3\n",
        group("z2", "posterior = \"full\"\n") + group("z1", "posterior = \"full\"\n" + below), Sample::images);
  graph("ladder_local", "e_step = \"local\"\ninner_steps = 3\n",
        "[model.latent.z2]\ndim = 2\n[model.latent.z1]\ndim = 2\nparents = \"z2\"\nmerged = true\n", Sample::images);
  const std::string of_numbers = "likelihood = {kind = \"normal\", scale = \"predicted\"}\n",
                    summary =
                        "[model.feature.h]\nwidth = 4\nnetwork = {kind = \"gru\", hidden = 4, direction = "
                        "\"backward\"}\n",
                    step = "parents = \"z.previous\"\nprior.network = " + small;
  graph("chain", of_numbers, summary + group("z", "given = \"h, z.previous\"\n" + step), Sample::sequences);
  graph("chain_gaps_dreg", of_numbers + "objective = {kind = \"iwae\", gradient = \"dreg\", num_samples = 3}\n",
        summary + group("z", "given = \"h, z.previous\"\nmerged = true\n" + step), Sample::gap_sequences);
  graph("static_and_dynamic", of_numbers + "given = \"z, w\"\n",
        "[model.latent.w]\ndim = 2\nper = \"item\"\nencoder = {kind = \"rnn\", hidden = 4}\n" +
            group("z",
                  "given = \"x, w, z.previous\"\nparents = \"z.previous\"\nprior.network = {kind = "
                  "\"gated-transition\", hidden = 4}\n"),
        Sample::sequences);
  vae("standardized_gaps", "standardize = true\nlikelihood = {kind = \"normal\", scale = \"shared\"}\n", mlp,
      Sample::gaps);
  vae("normal_standardized", "standardize = true\nlikelihood = {kind = \"normal\", scale = \"shared\"}\n", mlp,
      Sample::blobs);
  vae("mixture_prior", "prior = {kind = \"mixture\", num_components = 3}\n", mlp, Sample::images);
  vae("markov_prior",
      "prior = {kind = \"mixture\", num_components = 3, allocation = \"markov-chain\"}\nlikelihood = {kind = "
      "\"normal\", scale = \"shared\"}\n",
      mlp, Sample::sequences);
  vae("mixture_prior_iwae",
      "prior = {kind = \"mixture\", num_components = 3}\nobjective = {kind = \"iwae\", num_samples = 3}\n", mlp,
      Sample::images);
  vae("local", "e_step = \"local\"\ninner_steps = 5\n", "[model.decoder]\nkind = \"mlp\"\nwidths = [12]\n",
      Sample::images);
  vae("semi_amortized", "e_step = \"semi-amortized\"\ninner_steps = 5\n", mlp, Sample::images);
  // Inner iterations to convergence: only there are the sums the gradient of the bound as a function of the globals.
  const auto lda = [&](const std::string& name, const std::string& options) {
    rows.push_back({"lda_" + name,
                    "kind = \"lda\"\nnum_topics = 3\ninner_iterations = 2000\ninner_tolerance = 1e-12\n" + options,
                    Sample::documents, true});
  };
  lda("posterior", "document_concentration = 0.5\n");
  lda("fresh", "gamma_start = \"fresh\"\ndocument_concentration = 0.5\n");
  lda("learned", "learn_document_prior = \"vector\"\nlearn_topic_prior = true\n");
  lda("learned_scalar", "learn_document_prior = \"scalar\"\n");
  lda("cvb0", "estimate = \"cvb0\"\ndocument_concentration = 0.5\n");
  for (Variant& row : rows) {
    for (const char* kind : {"\"total-correlation\"", "\"dip\"", "\"info\""})
      row.additive = row.additive && row.toml.find(kind) == std::string::npos;
    const size_t end = row.toml.find('\n');
    row.toml.insert(end + 1, "precision = \"" + precision + "\"\n");
    row.toml = "[model]\n" + row.toml;
  }
  return rows;
}

/// Items of 1 to 9 of the rows.
Dataset as_sequences(Dataset rows) {
  const int64_t n = rows.size;
  const Tensor index = at::arange(n, at::kLong), length = 1 + (7 * index).remainder(9);
  rows.offsets = at::cat({at::zeros({1}, at::kLong), length.cumsum(0)});
  const Tensor place = at::arange(length.sum().item<int64_t>(), at::kLong).remainder(n);
  for (auto& entry : rows.columns) entry.second = entry.second.index_select(0, place);
  return rows;
}

Dataset sample_data(Sample sample) {
  const int64_t n = 60;
  const std::map<Sample, Sample> rows{{Sample::gap_sequences, Sample::gaps},
                                      {Sample::bit_sequences, Sample::bits},
                                      {Sample::symbol_sequences, Sample::symbols},
                                      {Sample::count_sequences, Sample::counts},
                                      {Sample::mixed_sequences, Sample::mixed}};
  if (sample == Sample::document_rows) return rows_of_counts(sample_data(Sample::documents));
  if (rows.count(sample)) return as_sequences(sample_data(rows.at(sample)));
  const Tensor index = at::arange(n, at::kLong);
  const Rng rng(12);
  Dataset data;
  data.size = n;
  Tensor group = index.remainder(3);
  const Tensor centers = at::tensor({0., 0., 0., 4., 4., 0., -4., 3., 1.}, at::kDouble).view({3, 3});
  if (sample == Sample::documents) {
    const Tensor topics = rng.uniform(at::arange(3, at::kLong), {12}, "topics").pow(6);
    const Tensor rates = topics.index_select(0, group), u = rng.uniform(index, {12}, "word");
    Dataset documents = documents_of_counts((4 * rates + 1.3 * u).floor());
    documents.schema.num_classes = 3;
    documents.item_columns["label"] = group;
    return documents;
  }
  if (sample == Sample::blobs || sample == Sample::gaps) {
    Tensor x = centers.index_select(0, group) + rng.normal(index, {3}, "x");
    if (sample == Sample::gaps) x = x.masked_fill(rng.uniform(index, {3}, "gap") < 0.2, std::nan(""));
    data.columns["x"] = x;
    data.schema.item_shape = {3};
  } else if (sample == Sample::sequences) {
    data.offsets = at::cat({at::zeros({1}, at::kLong), (1 + (7 * index).remainder(9)).cumsum(0)});
    const Tensor row = at::arange(data.offsets[n].item<int64_t>(), at::kLong);
    group = row.div(3, "floor").remainder(3);
    data.columns["x"] = centers.index_select(0, group) + rng.normal(row, {3}, "x");
    data.schema.item_shape = {3};
  } else if (sample != Sample::images && sample != Sample::positive_images) {
    const Tensor u = rng.uniform(index, {4}, "cell"), level = group.unsqueeze(1).to(at::kDouble);
    Tensor x = (u * (2 + level) * 2).floor();
    if (sample == Sample::bits) x = (u < 0.2 + 0.3 * level).to(at::kDouble);
    if (sample == Sample::symbols) x = (group.unsqueeze(1) + (u * 2).floor()).remainder(3);
    if (sample == Sample::durations) x = -u.log() / (0.3 + level);
    if (sample == Sample::mixed) {
      const Tensor real = 2 * level + rng.normal(index, {1}, "a"), other = rng.normal(index, {1}, "b") - level;
      x = at::cat({real, x.slice(1, 1, 2), other, (level + (u.slice(1, 3) * 2).floor()).remainder(3)}, 1);
    }
    data.columns["x"] = x.masked_fill(rng.uniform(index, {4}, "gap") < 0.15, std::nan(""));
    data.schema.item_shape = {4};
  } else {
    const Tensor prototype = rng.uniform(at::arange(3, at::kLong), {36}, "prototype") * 0.8 + 0.1;
    const Tensor p = prototype.index_select(0, group), u = rng.uniform(index, {36}, "pixel");
    data.columns["x"] = sample == Sample::images ? (u < p).to(at::kDouble) : (0.5 * p + 0.5 * u);
    data.schema.item_shape = {1, 6, 6};
  }
  data.columns["label"] = group;
  data.schema.num_classes = 3;
  return data;
}

std::shared_ptr<Model> make_model(const std::string& toml, const Dataset& data) {
  ChoiceOptions options("model", "vae");
  Config::parse(toml, "test").read(options, plugins());
  return plugins().create<Model>(options.choice, {data.schema, plugins()});
}

double difference(const Tensor& a, const Tensor& b) {
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  if (a.numel() == 0) return 0;
  const Tensor x = a.detach().to(at::kDouble), y = b.detach().to(at::kDouble);
  return at::where(x == y, at::zeros_like(x), (x - y).abs()).max().item<double>();
}

double difference(const TensorMap& a, const TensorMap& b) {
  double largest = a.size() == b.size() ? 0 : std::numeric_limits<double>::infinity();
  for (const auto& [key, value] : a)
    largest = std::max(largest, b.count(key) ? difference(value, b.at(key)) : std::numeric_limits<double>::infinity());
  return largest;
}

TensorMap copy(const TensorMap& tensors) {
  TensorMap out;
  for (const auto& [key, value] : tensors) out[key] = value.detach().clone();
  return out;
}

}  // namespace vem
