// Bags of words in the formats that people have. All may be gzipped. A corpus becomes CSR documents: concatenated rows
// of (word, count), with the offsets of each document.
//
//   lda-c          "n id:count id:count ..."; ids from 0                        .ldac .lda-c
//   uci            three lines D, W, NNZ, then "doc word count"; ids from 1     docword*.txt
//   matrix-market  coordinate, documents x words; ids from 1                    .mtx .mm
//   svmlight       "label id:count ... # comment"; ids from 1                   .svm .svmlight .libsvm
//   gibbs-lda      number of documents, then one line of words each             .low
//   mallet         "name label text"                                            .mallet
//   text           one document a line, or a folder of files                    .txt, any folder
#pragma once

#include <string>
#include <vector>

#include "vem/core/options.h"
#include "vem/data/dataset.h"

namespace vem {

enum class CorpusFormat { automatic, lda_c, uci, matrix_market, svmlight, gibbs_lda, mallet, text };

/// How texts are cut into words: by Unicode; or as earlier versions did, where all bytes above 127 are letters.
enum class Tokenization { automatic, unicode, bytes };

/// How a corpus becomes documents: part of the [data] section.
struct CorpusOptions final : Options {
  CorpusFormat format = CorpusFormat::automatic;
  std::string vocabulary;  ///< a file, one word a line; empty: beside the corpus, where there is one
  Tokenization tokenization = Tokenization::automatic;
  std::string stop_words = "none";    ///< "none", "english" or a file, one word a line
  double min_document_frequency = 0;  ///< words in fewer documents are left out: a count if >= 1, else a fraction
  double max_document_frequency = 1;  ///< words in a larger fraction of the documents are left out
  bool stream = false;                ///< documents stay on disk

  void visit(OptionVisitor& v) override;
};

/// The format that the name of a file declares (".ldac", "docword..."); automatic if it declares none.
CorpusFormat declared_format(const std::string& path);
/// The format by name, else by content; automatic if it is no corpus, or is not there.
CorpusFormat corpus_format(const std::string& path);
/// The options with the format and the tokenization that read_corpus() would choose for this file in the place of
/// automatic ones.
CorpusOptions resolved(CorpusOptions options, const std::string& path);

/// Reads documents: columns "word" [rows] int32 from 0, ascending within a document, and "count" [rows] int32 >= 1;
/// offsets; item column "label" where the file, or a file STEM.labels beside it, has one a document. The schema's
/// item_shape is {V}; its feature_names are the vocabulary: that of the option, of the file STEM.vocab (or
/// vocab.STEM.txt) beside the corpus, or the words of a text in the order of their bytes; empty where words have no
/// names. STEM is the name without extensions, or what of it stands before a '-', '_' or '.'.
/// Explicit zeros are left out. Throws DataError with file and line: counts that are no whole numbers in [1, 2^31),
/// ids out of range, a word twice in one document, headers that promise something else than the file holds.
Dataset read_corpus(const std::string& path, const CorpusOptions& options);

/// Documents as rows of word counts "x" [rows, V], made when a batch is taken: never more than a batch is dense. Labels
/// become a column. Data that are no documents stay as they are.
Dataset rows_of_counts(Dataset data);

/// The inverse for a batch: rows of counts "x" as "word", "count" and offsets. Documents stay as they are.
Batch as_documents(Batch batch);

/// Documents in the vocabulary that a model was trained on: words are matched by name, those it does not know are left
/// out. Without names the ids must fit. Throws DataError where nothing matches.
Dataset match_words(Dataset data, const Schema& wanted);

}  // namespace vem
