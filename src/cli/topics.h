// What verbs say about topics: a model that has the method "topics".
#pragma once

#include <nlohmann/json.hpp>

#include "inputs.h"

namespace vem {

/// Document completion: words of `held_out` (a source with as many documents), or half of each document's words, given
/// the others. In nats a token; perplexity is exp of it.
nlohmann::ordered_json print_completion(const Method& completion, const LoadedRun& run, const Dataset& documents,
                                        const std::string& held_out, uint64_t seed);
/// Mean coherence of the top words in these documents, and diversity.
nlohmann::ordered_json print_topic_quality(const Model& model, const Dataset& documents);

/// vem describe RUN; the registry builds the runs of --other.
int describe_topics(const Arguments& arguments, const LoadedRun& run, const Registry& registry);
/// vem export RUN --format json|npy.
int export_topics(const Arguments& arguments, const LoadedRun& run);

}  // namespace vem
