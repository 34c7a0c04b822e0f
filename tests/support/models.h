// Every listed model in the variants that the table-driven tests walk through, with small data for each.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vem/core/config.h"
#include "vem/data/dataset.h"
#include "vem/infer/model.h"
#include "vem/train/fit.h"

namespace vem {

enum class Sample {
  blobs,
  gaps,
  bits,
  symbols,
  counts,
  durations,
  mixed,
  images,
  positive_images,
  sequences,
  gap_sequences,
  bit_sequences,
  symbol_sequences,
  count_sequences,
  mixed_sequences,
  documents,
  document_rows
};

/// One row of the table: a model as TOML (the [model] section and below), and what it is fitted to.
struct Variant {
  std::string name;
  std::string toml;
  Sample sample;
  bool closed_form;
  bool additive = true;  ///< its objective is a sum over items
};

/// Model kinds x factors x estimates x E-steps, in the given precision ("float64" or "float32").
std::vector<Variant> variants(const std::string& precision);

/// 60 items each: three blobs scaled apart [60, 3], without and with a fifth of the cells missing; families of
/// four columns with a seventh missing; in `mixed`, real, count, real, symbol; 6 x 6 images in {0,
/// 1} or in [0, 1]; sequences of 1 to 9 rows that stay in a blob for a while; sequences of 1 to 9 of the rows of gaps,
/// bits, symbols, counts and mixed;
/// documents of up to 20 words out of 12, from three topics, also as rows of counts.
Dataset sample_data(Sample sample);

/// The model, not initialised.
std::shared_ptr<Model> make_model(const std::string& toml, const Dataset& data);

/// Largest absolute difference of two maps with the same keys; infinite where keys or shapes differ.
double difference(const TensorMap& a, const TensorMap& b);
double difference(const Tensor& a, const Tensor& b);

/// A deep copy.
TensorMap copy(const TensorMap& tensors);

}  // namespace vem
