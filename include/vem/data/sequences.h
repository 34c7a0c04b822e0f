// Sequences in the formats that people have, each also gzipped. Rows of all sequences are concatenated.
//
//   symbols      one sequence a line: words between blanks, or single characters where no line has a blank
//   fasta        ">name", then lines of nucleotides or amino acids; ambiguous letters are missing       .fa .fasta
//   piano-roll   one time step a line: the number of the sequence, then the MIDI notes 21 .. 108 that sound
#pragma once

#include "vem/data/dataset.h"

namespace vem {

enum class SequenceFormat { automatic, symbols, fasta, piano_roll };

/// FASTA by name or content; automatic for anything else: the other two must be asked for.
SequenceFormat sequence_format(const std::string& path);

/// Reads sequences as ragged items. Symbols: "x" [rows, 1] holds places in the list of symbols, which are in the order
/// of their bytes and stand in the name of the feature (symbols_of); uint8 where they fit and none is missing (NaN).
/// Piano rolls: "x" [rows, 88] uint8, 1 for a note that sounds. Throws MissingInputError, or DataError with file and
/// line: no symbols, letters that are none, notes out of range, numbers of sequences that go back.
Dataset read_sequences(const std::string& path, SequenceFormat format);

/// The symbols that the numbers 0, 1 ... of a data set stand for; empty where they are numbers.
std::vector<std::string> symbols_of(const Schema& schema);

/// Sequences of symbols with the numbers that a model was trained on. Throws DataError for a symbol that it never saw.
Dataset match_symbols(Dataset data, const Schema& wanted);

/// Makes sequences of the rows of `data`: neighbours with the same word belong together. `lines` are for messages: a
/// word that comes back after another is a DataError.
void group_rows(Dataset& data, const std::vector<std::string>& words, const std::vector<int64_t>& lines,
                const std::string& path);
/// All rows as one sequence.
void one_sequence(Dataset& data);

}  // namespace vem
