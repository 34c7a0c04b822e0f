// Sequences in the formats that people have, each also gzipped. Rows of all sequences are concatenated.
//
//   symbols      one sequence a line: words between blanks, or single characters
//   fasta        ">name", then lines of nucleotides or amino acids; ambiguous letters are missing       .fa .fasta
//   piano-roll   one time step a line: the number of the sequence, then the MIDI notes 21 .. 108 that sound
#pragma once

#include "vem/data/dataset.h"

namespace vem {

enum class SequenceFormat { automatic, symbols, fasta, piano_roll };

/// What separates the symbols of a line; automatic: characters where no line has a blank and the alphabet, if there is
/// one, has single characters only.
enum class SymbolUnit { automatic, words, characters };

/// What becomes of symbols that a declared alphabet does not have, and of symbols and categories of new data that the
/// model was not trained on: an error, or missing values.
enum class Unseen { refuse, missing };

/// How sequences are read.
struct SequenceOptions {
  SequenceFormat format = SequenceFormat::automatic;
  SymbolUnit unit = SymbolUnit::automatic;
  std::string alphabet;  ///< symbols with blanks between, or "dna" or "protein"; empty: those of the file
  Unseen unseen = Unseen::refuse;
};

/// FASTA by name or content; automatic for anything else: the other two must be asked for.
SequenceFormat sequence_format(const std::string& path);

/// The options with what read_sequences() would choose for this file in the place of what is automatic; of the alphabet
/// only that of FASTA, which decides what a letter means. Throws ConfigError for an alphabet that is none.
SequenceOptions resolved(SequenceOptions options, const std::string& path);

/// Reads sequences as ragged items. Symbols: "x" [rows, 1] holds places in the alphabet, which is in the order of bytes
/// where it is that of the file, and stands in the name of the feature (symbols_of); uint8 where they fit and none is
/// missing (NaN). Piano rolls: "x" [rows, 88] uint8, 1 for a note that sounds. Throws MissingInputError, or DataError
/// with file and line: no symbols, symbols that the alphabet has not, notes out of range, numbers of sequences that go
/// back.
Dataset read_sequences(const std::string& path, const SequenceOptions& options);

/// The symbols that the numbers 0, 1 ... of a data set stand for; empty where they are numbers.
std::vector<std::string> symbols_of(const std::vector<std::string>& feature_names);

/// Sequences of symbols with the numbers that a model was trained on. Throws DataError for a symbol that it never saw,
/// unless these are missing values.
Dataset match_symbols(Dataset data, const Schema& wanted, Unseen unseen = Unseen::refuse);

/// Makes sequences of the rows of `data`: neighbours with the same word belong together. `lines` are for messages: a
/// word that comes back after another is a DataError.
void group_rows(Dataset& data, const std::vector<std::string>& words, const std::vector<int64_t>& lines,
                const std::string& path);
/// All rows as one sequence.
void one_sequence(Dataset& data);

}  // namespace vem
