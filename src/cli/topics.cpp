// Topics as tables and files: top words, prevalence, coherence, matches with other runs, document completion.
#include "topics.h"

#include "output_file.h"
#include "text.h"
#include "vem/core/error.h"
#include "vem/core/names.h"
#include "vem/data/writers.h"
#include "vem/infer/topics.h"
#include "verbs.h"

namespace vem {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kDocumentBatch = 1000;                       // documents a call
constexpr int64_t kCoherenceWords = 10, kDiversityWords = 25;  // as published numbers have them

Batch all_of(const Dataset& documents) {
  return documents.batch(at::arange(documents.size, at::kLong), 0, at::kDouble);
}

struct Topics {
  Tensor topics, prevalence;
};
Topics topics_of(const Model& model) {
  const at::NoGradGuard no_grad;
  const auto methods = model.methods();
  const Method* method = Model::find(methods, "topics");
  if (!method) fail<UsageError>("this run's model has no topics; `vem evaluate` and `vem export` tell what it has");
  const std::vector<Tensor> out = method->call({}, Rng(0));
  return {out[0], out[1]};
}

std::string word_of(const Schema& schema, int64_t word) {
  const auto place = static_cast<size_t>(word);
  return place < schema.feature_names.size() ? schema.feature_names[place] : fmt::format("word{}", word);
}

std::string words_of(const Schema& schema, const Tensor& words) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < words.size(0); ++i) names.push_back(word_of(schema, words[i].item<int64_t>()));
  return fmt::format("{}", fmt::join(names, " "));
}

/// Words [classes, K] that documents of each class spend on each topic; undefined where documents have no labels.
Tensor words_of_classes(const LoadedRun& run, const Dataset& documents) {
  const auto methods = run.model->methods();
  const Method* encode = Model::find(methods, "encode");
  if (!documents.item_columns.count("label") || !encode) return {};
  const Batch batch = all_of(documents);
  const Tensor theta = map_items(*encode, *run.model, documents, 0)[0].to(at::kDouble);
  const Tensor words = theta * batch.per_item(batch.at("count").to(at::kDouble)).unsqueeze(1);
  const Tensor& label = batch.item_columns.at("label");
  const Tensor known = label.ge(0).nonzero().squeeze(1);
  return at::zeros({documents.schema.num_classes, theta.size(1)}, at::kDouble)
      .index_add(0, label.index_select(0, known), words.index_select(0, known));
}

/// Topics by prevalence, one a line; `classes` as words_of_classes() has them.
void print_topics(const Topics& t, const Tensor& words, const Coherence& coherence, const Schema& schema,
                  const Tensor& classes) {
  const Tensor order = std::get<1>(t.prevalence.sort(0, true));
  fmt::print("{:>5} {:>7} {:>7}  {}top words\n", "topic", "share", "NPMI", classes.defined() ? "most of class  " : "");
  for (int64_t i = 0; i < order.size(0); ++i) {
    const int64_t k = order[i].item<int64_t>();
    std::string most;
    if (classes.defined()) {
      const Tensor column = classes.select(1, k);
      most = fmt::format("{:>6} {:>5.0f}%  ", column.argmax().item<int64_t>(),
                         100 * (column.max() / column.sum()).item<double>());
    }
    fmt::print("{:>5} {:>6.2f}% {:>7.3f}  {}{}\n", k, 100 * t.prevalence[k].item<double>(),
               coherence.npmi[k].item<double>(), most, words_of(schema, words[k]));
  }
}

/// The other run's topics in this one's order of words; both must have names, or the same number of words.
Tensor matched_topics(const LoadedRun& other, const Schema& schema) {
  const Tensor topics = topics_of(*other.model).topics;
  const std::vector<std::string>& theirs = other.checkpoint.schema.feature_names;
  if (theirs == schema.feature_names && topics.size(1) == schema.num_features()) return topics;
  if (theirs.empty() || schema.feature_names.empty())
    fail<DataError>("{}: its topics have {} words, these {}; names are needed to match them", other.directory.path(),
                    topics.size(1), schema.num_features());
  std::map<std::string, int64_t> place;
  for (size_t i = 0; i < theirs.size(); ++i) place[theirs[i]] = static_cast<int64_t>(i);
  Tensor aligned = at::zeros({topics.size(0), schema.num_features()}, at::kDouble);
  for (int64_t v = 0; v < schema.num_features(); ++v)
    if (const auto found = place.find(word_of(schema, v)); found != place.end())
      aligned.select(1, v).copy_(topics.select(1, found->second));
  return aligned;
}

/// Returns the mean cosine.
double print_match(const Topics& ours, const Tensor& words, const LoadedRun& run, const LoadedRun& other) {
  const Schema& schema = run.checkpoint.schema;
  const Tensor theirs = matched_topics(other, schema);
  if (theirs.size(0) != ours.topics.size(0))
    fail<DataError>("{}: has {} topics, {} has {}; only equal numbers are matched one to one", other.directory.path(),
                    theirs.size(0), run.directory.path(), ours.topics.size(0));
  const TopicMatch match = match_topics(ours.topics, theirs);
  double mean = 0;
  for (const double cosine : match.cosine) mean += cosine / static_cast<double>(match.cosine.size());
  fmt::print("\nmatched with {}, mean cosine {:.4f}\n{:>5} {:>5} {:>7}  top words of the other\n",
             one_line(other.directory.path()), mean, "topic", "other", "cosine");
  const Tensor their_words = top_words(theirs, words.size(1));
  for (size_t k = 0; k < match.partner.size(); ++k)
    fmt::print("{:>5} {:>5} {:>7.3f}  {}\n", k, match.partner[k], match.cosine[k],
               words_of(schema, their_words[match.partner[k]]));
  return mean;
}

void print_topic_score(const std::string& name, double value, const std::string& remark = "") {
  fmt::print("  {:<32}{:14.4f}{}{}\n", name, value, remark.empty() ? "" : "  ", remark);
}

}  // namespace

Json print_completion(const Method& completion, const LoadedRun& run, const Dataset& documents,
                      const std::string& held_out, uint64_t seed) {
  const at::NoGradGuard no_grad;
  const Dataset held = held_out.empty() ? Dataset() : load_items_of(run, held_out);
  if (!held_out.empty() && held.size != documents.size)
    fail<DataError>("{}: holds {} documents, the words that are seen come from {}", held_out, held.size,
                    documents.size);
  const Rng rng = Rng(seed).fold("completion");
  double log_prob = 0, tokens = 0;
  int64_t predicted = 0;  // documents with words to predict
  for (int64_t begin = 0; begin < documents.size; begin += kDocumentBatch) {
    const Tensor positions = at::arange(begin, std::min(documents.size, begin + kDocumentBatch), at::kLong);
    Halves halves{as_documents(documents.batch(positions, 0, at::kDouble)), {}};
    if (held_out.empty())
      halves = halves_of(halves.seen, rng);
    else
      halves.held = as_documents(held.batch(positions, 0, at::kDouble));
    const Batch &s = halves.seen, &h = halves.held;
    const std::vector<Tensor> out =
        completion.call({s.at("word"), s.at("count"), s.offsets, h.at("word"), h.at("count"), h.offsets}, rng);
    log_prob += out[0].sum().item<double>();
    tokens += out[1].sum().item<double>();
    predicted += (out[1] > 0).sum().item<int64_t>();
  }
  Json result{{"completion_tokens", tokens}, {"completion_documents", predicted}};
  if (tokens == 0) {
    fmt::print("  {:<32}{:>14}  {}\n", "document completion", "-",
               held_out.empty() ? "no document has two words, one to see and one to predict"
                                : held_out + " holds no words to predict");
    return result;
  }
  const double nats = -log_prob / tokens;
  const int64_t others = documents.size - predicted;
  print_topic_score("document completion", nats,
                    fmt::format("nats a token over {} tokens{}{}", grouped(static_cast<int64_t>(tokens)),
                                held_out.empty() ? ", half of each document drawn" : " of " + held_out,
                                others == 0 ? ""
                                            : fmt::format("; {} of {} documents have none to predict", grouped(others),
                                                          grouped(documents.size))));
  print_topic_score("perplexity of completion", std::exp(nats));
  result["completion_nats_per_token"] = nats;
  result["completion_perplexity"] = std::exp(nats);
  return result;
}

Json print_topic_quality(const Model& model, const Dataset& documents) {
  const Tensor topics = topics_of(model).topics;
  const Coherence c = coherence(top_words(topics, kCoherenceWords), all_of(documents));
  const auto mean = [](const Tensor& scores) { return scores.nanmean().item<double>(); };
  const double diversity = topic_diversity(top_words(topics, kDiversityWords));
  print_topic_score("coherence UMass", mean(c.umass),
                    fmt::format("of {} top words, in these documents", kCoherenceWords));
  print_topic_score("coherence PMI", mean(c.pmi));
  print_topic_score("coherence NPMI", mean(c.npmi));
  print_topic_score("topic diversity", diversity, fmt::format("of {} top words", kDiversityWords));
  return {{"umass", mean(c.umass)}, {"pmi", mean(c.pmi)}, {"npmi", mean(c.npmi)}, {"topic_diversity", diversity}};
}

int describe_topics(const Arguments& a, const LoadedRun& run, const Registry& registry) {
  const int64_t num_words = a["words"].as<int64_t>();
  if (num_words < 2) fail<UsageError>("--words must be >= 2, got {}", num_words);
  const std::string source = a.count("data") ? a["data"].as<std::string>() : run.options.data.source;
  const auto others = a.count("other") ? a["other"].as<std::vector<std::string>>() : std::vector<std::string>();
  a.require_all_read();
  const Topics t = topics_of(*run.model);
  const Dataset reference = load_items_of(run, source);
  const Tensor words = top_words(t.topics, std::min(num_words, t.topics.size(1)));
  const Coherence c = coherence(words, all_of(reference));
  fmt::print("{} ({} checkpoint), {} topics of {} words; coherence in {} documents of {}\n",
             one_line(run.directory.path()), run.checkpoint_name, t.topics.size(0), grouped(t.topics.size(1)),
             grouped(reference.size), reference.schema.source);
  print_topics(t, words, c, run.checkpoint.schema, words_of_classes(run, reference));
  fmt::print("mean NPMI {:.4f}, PMI {:.4f}, UMass {:.4f}; diversity {:.4f}\n", c.npmi.nanmean().item<double>(),
             c.pmi.nanmean().item<double>(), c.umass.nanmean().item<double>(),
             topic_diversity(top_words(t.topics, std::min<int64_t>(kDiversityWords, t.topics.size(1)))));
  double sum = 0;
  for (const std::string& other : others)
    sum += print_match(t, words, run, load_run(other, registry, "", at::get_num_threads()));
  if (others.size() > 1)
    fmt::print("\nstability: mean cosine with the {} other runs {:.4f}\n", others.size(),
               sum / static_cast<double>(others.size()));
  return 0;
}

int export_topics(const Arguments& a, const LoadedRun& run) {
  const std::string format = a["format"].as<std::string>();
  const Topics t = topics_of(*run.model);
  const std::string path = output_of(a, run, "export/topics." + format, {"." + format});
  if (format == "npy") {
    write_npy(path, t.topics);
  } else {
    constexpr int64_t kWords = 100;
    const Tensor words = top_words(t.topics, std::min(kWords, t.topics.size(1)));
    Json topics = Json::array();
    for (int64_t k = 0; k < t.topics.size(0); ++k) {
      Json weights = Json::array();
      for (int64_t i = 0; i < words.size(1); ++i) {
        const int64_t v = words[k][i].item<int64_t>();
        weights.push_back({{"word", word_of(run.checkpoint.schema, v)}, {"weight", t.topics[k][v].item<double>()}});
      }
      topics.push_back({{"topic", k}, {"prevalence", t.prevalence[k].item<double>()}, {"words", weights}});
    }
    write_text(path, Json{{"topics", topics}}.dump(1) + "\n");
  }
  fmt::print("{}\n", one_line(path));
  return 0;
}

}  // namespace vem
