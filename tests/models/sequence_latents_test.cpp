// Sequences of any length with one latent each: packed steps against one sequence at a time, bounds of a batch against
// those of its items alone, what is drawn and weighed, and what is refused.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/gradcheck.h"
#include "support/models.h"
#include "vem/core/error.h"
#include "vem/infer/network.h"

namespace vem {
namespace sequence_latents_test {

std::shared_ptr<Network> gru(const Shape& input, const Shape& output, const std::shared_ptr<GradientBlock>& block) {
  const auto network = plugins().create<Network>(
      chosen("network", "kind = \"gru\"\nhidden = 4\nnum_layers = 2\n"),
      {*block, output.size() == 1 ? "encoder" : "decoder", input, output, at::kDouble, false, true});
  network->initialize(Rng(2));
  return network;
}

/// Lengths 3, 1, 5, 1, 3.
Tensor offsets() { return at::tensor({0, 3, 4, 9, 10, 13}, at::kLong); }

TEST(GruOfSequences, StepsSideBySideAreThoseOfOneSequenceAtATime) {
  const auto block = parameter_block();
  for (const auto& network : {gru({3}, {6}, block), gru({3}, {2, 4}, block)}) {
    const Tensor x = random({13, 3}, "x");
    const Tensor packed = network->forward_sequences(x, offsets(), {}),
                 plain = network->Network::forward_sequences(x, offsets(), {});
    EXPECT_EQ(packed.sizes(), plain.sizes());
    EXPECT_LT(difference(packed, plain), 1e-13);
    const auto value = [&](const std::vector<Tensor>& in) {
      return network->forward_sequences(in[0], offsets(), {}).sin().sum();
    };
    EXPECT_LT(gradient_error(value, {x}), 1e-6);
  }
}

TEST(GruOfSequences, ASequenceWithoutStepsIsWhereAllBegin) {
  const auto block = parameter_block();
  const auto encoder = gru({3}, {6}, block), decoder = gru({3}, {2, 4}, block);
  const Tensor x = random({4, 3}, "x"), ends = at::tensor({0, 0, 4, 4}, at::kLong);
  const Tensor q = encoder->forward_sequences(x, ends, {});
  EXPECT_EQ(q.size(0), 3);
  EXPECT_EQ(difference(q[0], q[2]), 0);
  EXPECT_EQ(difference(q[0], encoder->output_bias()), 0);
  EXPECT_LT(difference(q[1], encoder->forward(x)[0]), 1e-14);
  EXPECT_LT(difference(decoder->forward_sequences(x, ends, {}), decoder->forward(x)), 1e-14);
  EXPECT_EQ(encoder->forward_sequences(x.slice(0, 0, 0), at::zeros({1}, at::kLong), {}).size(0), 0);
  EXPECT_EQ(decoder->forward_sequences(x.slice(0, 0, 0), at::zeros({1}, at::kLong), {}).size(0), 0);
}

std::string toml(const std::string& more) {
  return "[model]\nkind = \"vae\"\nlatent_dim = 2\nlatents = \"sequences\"\nlikelihood = \"normal\"\nencoder = {kind = "
         "\"gru\", hidden = 8}\ndecoder = {kind = \"gru\", hidden = 8}\n" +
         more;
}

TEST(SequenceLatents, ABatchHasTheBoundsOfItsItemsAlone) {
  const Dataset data = sample_data(Sample::sequences);
  for (const std::string precision : {"float32", "float64"}) {
    const auto model = make_model(toml("precision = \"" + precision + "\"\n"), data);
    model->initialize(data, Rng(3));
    Step step;
    step.training = false;
    const auto bound = [&](const Tensor& positions) {
      return model->e_step(data.batch(positions, 0, model->dtype()), step, Rng(1)).bound.item<double>();
    };
    double alone = 0;
    for (int64_t i = 0; i < data.size; ++i) alone += bound(at::full({1}, i, at::kLong));
    const double together = bound(items(data.size));
    EXPECT_NEAR(together, alone, (precision == "float64" ? 1e-12 : 1e-6) * std::abs(alone)) << precision;
  }
}

TEST(SequenceLatents, ThereIsOneAnItem) {
  const Dataset data = sample_data(Sample::sequences);
  const auto model = make_model(toml("precision = \"float64\"\n"), data);
  model->initialize(data, Rng(3));
  const Batch batch = data.batch(items(data.size), 0, at::kDouble);
  const auto methods = model->methods();
  const auto q = Model::find(methods, "encode")->call({batch.at("x"), batch.offsets}, Rng(1));
  EXPECT_EQ(q[0].sizes(), (at::IntArrayRef{60, 2}));
  const Tensor first = Model::find(methods, "encode_sequence")->call({batch.at("x").slice(0, 0, 1)}, Rng(1))[0];
  EXPECT_LT(difference(q[0][0], first[0]), 1e-14);  // the first has one row
  // importance weights: the bound with one draw, less what the closed-form KL is over a draw's own
  const Tensor weights = Model::find(methods, "importance")
                             ->call({batch.at("x"), batch.offsets, at::scalar_tensor(3000, at::kLong)}, Rng(1))[0];
  EXPECT_EQ(weights.sizes(), (at::IntArrayRef{3000, 60}));
  Step step;
  step.training = false;
  const Expectation e = model->e_step(batch, step, Rng(1));
  EXPECT_EQ(e.count.item<double>(), 60);
  const Tensor mean = weights.mean(0).sum(), error = (weights.var(0) / 3000.0).sum().sqrt();
  const Tensor one = weights[0].sum(), spread = weights.var(0).sum().sqrt();
  EXPECT_LT(((mean - e.bound).abs() / (error + spread)).item<double>(), 4.5);
  EXPECT_LT(mean.item<double>(), (weights.logsumexp(0) - std::log(3000.0)).sum().item<double>());
  const Tensor drawn = Model::find(methods, "sample")->call({at::scalar_tensor(4, at::kLong)}, Rng(1))[0];
  EXPECT_EQ(drawn.sizes(), (at::IntArrayRef{4 * 5, 3}));  // lengths 1 to 9
}

// Two kinds of sequences that no single row tells apart: rising and falling lines through the same places.
Dataset lines() {
  Dataset data;
  data.size = 40;
  data.schema.item_shape = {1};
  std::vector<double> x;
  std::vector<int64_t> ends{0};
  for (int64_t i = 0; i < data.size; ++i) {
    const int64_t length = 4 + i % 5;
    for (int64_t t = 0; t < length; ++t) {
      const double line = 2.0 * static_cast<double>(t) / static_cast<double>(length - 1) - 1;
      x.push_back(i % 2 == 0 ? line : -line);
    }
    ends.push_back(static_cast<int64_t>(x.size()));
  }
  data.columns["x"] = at::tensor(x, at::kDouble).unsqueeze(1);
  data.offsets = at::tensor(ends, at::kLong);
  return data;
}

std::shared_ptr<Model> fitted(const Dataset& data) {
  const auto model = make_model(toml("optimizer = {learning_rate = 0.02}\n"), data);
  FitOptions o;
  o.epochs = 150;
  o.batch_size = 20;
  fit(*model, data, o, {plugins()});
  return model;
}

TEST(SequenceLatents, TheOrderOfRowsIsSeen) {
  const Dataset data = lines();
  const auto model = fitted(data);
  const Batch batch = data.batch(items(40), 0, at::kFloat);
  const auto methods = model->methods();
  const Tensor z = Model::find(methods, "encode")->call({batch.at("x"), batch.offsets}, Rng(1))[0];
  const Tensor even = z.slice(0, 0, 40, 2), odd = z.slice(0, 1, 40, 2);
  EXPECT_GT((even.mean(0) - odd.mean(0)).norm().item<double>(),
            4 * at::maximum(even.var(0), odd.var(0)).sum().sqrt().item<double>());
  const Tensor decoded = Model::find(methods, "decode")->call({z.slice(0, 0, 3)}, Rng(1))[0];
  EXPECT_EQ(decoded.sizes(), (at::IntArrayRef{3 * 6, 1}));  // lengths 4 to 8
}

// Of half of the lines, rising and falling ones, the end is not there: it is known from the other end.
TEST(SequenceLatents, WhatIsMissingIsKnownFromTheRest) {
  Dataset data = lines();
  const Tensor truth = data.columns["x"].to(at::kFloat),
               hidden = data.offsets.slice(0, 1).view({10, 4}).slice(1, 0, 2).flatten() - 1;
  data.columns["x"] = data.columns["x"].index_fill(0, hidden, std::nan(""));
  const auto model = fitted(data);
  const Batch batch = data.batch(items(40), 0, at::kFloat);
  const auto methods = model->methods();
  const Tensor made = Model::find(methods, "reconstruct")->call({batch.at("x"), batch.offsets}, Rng(1))[0];
  EXPECT_LT((made - truth).square().mean().item<double>(), 0.05);
  const Tensor filled = Model::find(methods, "impute")->call({batch.at("x"), batch.offsets}, Rng(1))[0];
  EXPECT_LT((filled - truth).index_select(0, hidden).abs().max().item<double>(), 0.5);  // they are 1 or -1
  EXPECT_EQ(difference(filled.index_fill(0, hidden, 0), truth.index_fill(0, hidden, 0)), 0);
}

TEST(SequenceLatents, SayWhatTheyDoNotGoWith) {
  const auto words = [](const std::string& text, Sample sample) {
    const Dataset data = sample_data(sample);
    try {
      make_model(text, data)->initialize(data, Rng(1));
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  const std::string head = "[model]\nkind = \"vae\"\nlatent_dim = 2\nlikelihood = \"normal\"\n",
                    sequences = head + "latents = \"sequences\"\n";
  EXPECT_EQ(words(sequences + "decoder = \"gru\"\n", Sample::sequences),
            "vae: latents = \"sequences\" needs networks that read and write sequences, such as gru, got mlp");
  EXPECT_EQ(words(toml(""), Sample::blobs),
            "vae: latents = \"sequences\" needs sequences, these are single rows; data.sequence names the column of "
            "theirs");
  EXPECT_EQ(words(toml("prior = {kind = \"mixture\", allocation = \"markov-chain\"}\n"), Sample::sequences),
            "vae: latents = \"sequences\" does not go with prior mixture, which is of the rows of a sequence");
  EXPECT_EQ(words(toml("prior = \"vamp\"\n"), Sample::sequences),
            "vae: latents = \"sequences\" does not go with prior vamp, which reads rows");
  EXPECT_EQ(words(sequences + "encoder = {kind = \"gru\", step = 2}\ndecoder = \"gru\"\n", Sample::sequences),
            "encoder: gru.step is for rows of tables; of a sequence a step is a row");
  EXPECT_EQ(words(head + "e_step = \"local\"\n", Sample::sequences),
            "vae: e_step = \"local\" takes one z an item: single rows, or latents = \"sequences\"");
  EXPECT_EQ(words(toml("prior = {kind = \"mixture\", num_components = 2}\n"), Sample::sequences), "no error");
}

}  // namespace sequence_latents_test
}  // namespace vem
