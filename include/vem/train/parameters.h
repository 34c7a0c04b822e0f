// The parameters of a fitted model as JSON: for people, for other programs, and to start another run from.
//
//   {"format": "vem-parameters", "version": 1, "model": "mixture", "features": ["a", "b"],
//    "component_parameters": {"weights": [K], "means": [K, D], "covariances": [K, D, D] ...},
//    "config": "the resolved configuration, TOML", "schema": {"source": ..., "item_shape": [D] ...},
//    "state": {"scaling.center": [D], "scaling.scale": [D], "weights.eta": [1, K], "weights.eta_prior": [1, K] ...}}
//
// Tensors are nested lists. What stands between "features" and "config" are the model's methods that take no input, in
// the units of the data: what `vem describe RUN` prints. "state" is what a start reads: of each conjugate block the
// natural parameters of its posterior and of its prior, for rows that are shifted by the centre and divided by the
// scale. Numbers are written so that they are read back to the bit; what is not finite is null.
#pragma once

#include "vem/infer/model.h"
#include "vem/train/checkpoint.h"

namespace vem {

/// The JSON above; `name` is what the configuration calls the model. Throws DataError for names that are not UTF-8.
std::string parameters_json(const Model& model, const std::string& name, const Checkpoint& checkpoint);

/// What a path stands for as a start: the folder of a run (its best checkpoint, else its last), a checkpoint, or the
/// JSON above, whose state has no "optimizer/" and "trainer/" entries. Throws MissingInputError, and DataError for a
/// file that is none of these.
Checkpoint load_parameters(const std::string& path);

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
/// Tensors of any shapes as one line of JSON, nested lists by name, and back as float64. A number that is not finite is
/// null there, and NaN when it is back. Throws DataError.
std::string tensors_json(const NamedTensors& tensors);
NamedTensors tensors_from_json(const std::string& text);

}  // namespace vem
