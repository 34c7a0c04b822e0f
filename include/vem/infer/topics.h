// What is said about topics beside their bound: their top words, how well these go together in documents (coherence),
// how much topics differ, and which topics of two models belong together.
// Legend: K topics, V words, M top words.
#pragma once

#include <vector>

#include "vem/data/dataset.h"

namespace vem {

/// The M most probable words of each topic, the first one first: topics [K, V] -> [K, M] int64.
Tensor top_words(const Tensor& topics, int64_t num_words);

/// Means over the pairs of a topic's top words, [K] each; D(v) is the number of documents that have the word v, N all.
struct Coherence {
  Tensor umass;  ///< log (D(v, w) + 1) / D(w), w the more probable of the two (Mimno et al. 2011)
  Tensor pmi;    ///< log p(v, w) / (p(v) p(w)), p(v, w) = D(v, w) / N + 1e-12 (Newman et al. 2010)
  Tensor npmi;   ///< pmi / -log p(v, w), and -1 for words that are never together (Bouma 2009)
};
/// Of words [K, M] in a reference corpus of documents with columns "word" and "count". A pair of which one word is
/// nowhere in the corpus is left out; NaN where no pair is left.
Coherence coherence(const Tensor& words, const Batch& documents);

/// Share of different words among the top words of all topics, in (0, 1] (Dieng et al. 2020 take M = 25).
double topic_diversity(const Tensor& words);

/// The one-to-one match of the rows of two topic matrices [K, V] that has the largest sum of cosines.
struct TopicMatch {
  std::vector<int64_t> partner;  ///< row of `b` for each row of `a`
  std::vector<double> cosine;
};
TopicMatch match_topics(const Tensor& a, const Tensor& b);

/// Documents with about half of their words seen and half held: words are drawn without replacement, the seen half is
/// the larger one. A function of (rng, item) only.
struct Halves {
  Batch seen, held;
};
Halves halves_of(const Batch& documents, const Rng& rng);

}  // namespace vem
