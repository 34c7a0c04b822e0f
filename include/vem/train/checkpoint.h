// Checkpoints: a model's state, its trainer's state, the resolved configuration and the schema of its data in one file.
#pragma once

#include <string>

#include "vem/data/dataset.h"
#include "vem/train/safetensors.h"

namespace vem {

/// How the names of a model's own entries begin.
inline const std::string kModelPrefix = "model/";

struct Checkpoint {
  std::string config;  ///< the resolved configuration, TOML
  Schema schema;
  TensorMap state;                           ///< "model/", "optimizer/" and "trainer/" entries
  std::map<std::string, std::string> notes;  ///< version, threads, LibTorch: what a bitwise resume depends on
};

/// One safetensors file, written whole or not at all. Throws OutputError, and DataError for text that is not UTF-8.
void save_checkpoint(const std::string& path, const Checkpoint& checkpoint);
/// Throws MissingInputError, or DataError for a file that is damaged, of another version or no checkpoint of vem.
Checkpoint load_checkpoint(const std::string& path);

/// An object with the fields of the schema. Throws DataError for names that are not UTF-8.
std::string to_json(const Schema& schema);
/// The inverse; sizes must be at least 1, classes at least 0. Throws DataError.
Schema schema_from_json(const std::string& text);

}  // namespace vem
