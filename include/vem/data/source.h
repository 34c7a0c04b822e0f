// Named data sets and files, by content and extension: what --data takes.
#pragma once

#include "vem/core/options.h"
#include "vem/data/corpus.h"
#include "vem/data/readers.h"
#include "vem/data/sequences.h"

namespace vem {

/// The [data] section.
struct DataOptions final : Options {
  std::string source;         ///< "fashion-mnist", "mnist:DIR", or a path (.csv .tsv .npy idx, a corpus; also .gz)
  std::string label;          ///< csv/tsv: the column that is a label and no feature; empty: none
  std::string sequence;       ///< csv/tsv: the column that names the sequence of a row; "*": all rows are one sequence
  SequenceOptions sequences;  ///< their fields stand in [data] itself
  CorpusOptions corpus;       ///< bags of words: likewise
  std::string columns;        ///< csv/tsv: the columns that are features, with commas between; empty: all but the label
  std::string categories;     ///< csv/tsv: columns of words that are features too, with commas between
  TableHeader header = TableHeader::automatic;  ///< csv/tsv: whether the first row names the columns
  enum class Separator { automatic, comma, semicolon, tab } separator = Separator::automatic;  ///< csv/tsv
  enum class Decimal { point, comma } decimal = Decimal::point;                                ///< csv/tsv
  enum class Channels { automatic, first, last } channels = Channels::automatic;               ///< npy: of images
  double validation = 0;        ///< held out of training: a count if >= 1, else a fraction
  std::string validation_file;  ///< a source of its own in their place
  double test = 0;              ///< likewise; only for sources without a test set of their own
  int64_t labels_kept = 0;      ///< of the training items; 0: all
  int64_t limit = 0;            ///< first items of the training file only; 0: all
  enum class Split { random, tail } split = Split::random;  ///< which items are held out
  std::string max_memory = "auto";                          ///< that reading may take: memory_amount()
  Binarize binarize = Binarize::none;
  uint64_t seed = 0;  ///< of the split and of binarising; set by the caller, not visited

  bool has_validation() const { return validation > 0 || !validation_file.empty(); }

  void visit(OptionVisitor& v) override;
};

/// ',' or '\t' for the name of a table (.csv, .tsv, each also .gz), 0 for any other.
char separator_of(const std::string& path);

/// Cells of these columns of the table that is the source, as they are spelled there: a list of rows for each column.
std::vector<std::vector<std::string>> spelled_columns(const DataOptions& options,
                                                      const std::vector<std::string>& columns);

struct Splits {
  Dataset train, validation, test;  ///< size 0 where there is none
  DataOptions options{};            ///< as given, with what was found out of the file in the place of "auto"
};

/// The options by which new data are read as those of a model were, whose options load_splits() returned: all items of
/// `source`, with every word, whose features are then matched by name. A file whose name declares another format of
/// corpora is read in that.
DataOptions read_alike(DataOptions options, const std::string& source);

/// Features that are words, numbered as `wanted` numbers them. DataError for a word that it has not, unless these are
/// missing values.
Dataset match_categories(Dataset data, const Schema& wanted, Unseen unseen = Unseen::refuse);

/// Reads the source and splits it; a validation file is read in the same way, its words and symbols matched by name.
/// Items keep their place in the training file as identity; each part is in the order of the file. Bytes of images are
/// grey levels (pixel_scale 255) unless none is above 1; words of a label become classes in sorted order. Throws
/// ConfigError (a part that leaves nothing to train on), MissingInputError (no such file) or DataError (file, line,
/// what was wanted; what would take more memory than options.max_memory).
Splits load_splits(const DataOptions& options);

}  // namespace vem
