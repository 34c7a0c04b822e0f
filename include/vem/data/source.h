// Named data sets and files, by content and extension: what --data takes.
#pragma once

#include "vem/core/options.h"
#include "vem/data/dataset.h"

namespace vem {

/// The [data] section.
struct DataOptions final : Options {
  std::string source;                   ///< "fashion-mnist", "mnist:DIR", or a path (.csv .tsv .npy idx, also .gz)
  std::string label;                    ///< csv/tsv: the column that is a label and no feature; empty: none
  double validation = 0;                ///< held out of training: a count if >= 1, else a fraction
  double test = 0;                      ///< likewise; only for sources without a test set of their own
  int64_t limit = 0;                    ///< first items of the training file only; 0: all
  enum class Split { random, tail } split = Split::random;  ///< which items are held out
  Binarize binarize = Binarize::none;
  uint64_t seed = 0;                    ///< of the split and of binarising; set by the caller, not visited

  void visit(OptionVisitor& v) override;
};

struct Splits {
  Dataset train, validation, test;  ///< size 0 where there is none
};

/// Reads the source and splits it. Throws MissingInputError (no such file) or DataError (file, line, what was wanted).
Splits load_splits(const DataOptions& options);

}  // namespace vem
