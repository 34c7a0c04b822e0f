// Known factors of variation, from a file beside the data, and how well latents keep them apart.
#pragma once

#include "estimates.h"
#include "vem/infer/disentanglement.h"

namespace vem {

/// The factors of the items, from a file with a row for each item of the file that they are from, in its order: .csv or
/// .tsv (numbers, or words) or .npy [items, factors] of whole numbers. Throws DataError for another number of rows, or
/// a value that is missing.
Factors read_factors(const std::string& path, const Items& items);

/// MIG, SAP, DCI and FactorVAE score of the first output of `encode`, the posterior means. Dimensions whose variance is
/// 0.01 or less, the inactive ones, count as constant.
Json print_disentanglement(const Method& encode, const Model& model, const Dataset& data, const Factors& factors,
                           uint64_t seed);

}  // namespace vem
