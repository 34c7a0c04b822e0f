// A model that has everything an export meets, and nothing to learn: a linear encoder and decoder on a gradient block,
// a conjugate block whose t asks for gradients, constants, methods with one output, several, none of the inputs, and
// and draws. Legend: B rows, D features, L latent.
#pragma once

#include <memory>

#include "vem/infer/model.h"

namespace vem {

/// What a model that is exported wrongly may do; `none` is the sound one.
enum class ExportFault { none, frozen_rows, name_of_a_tensor, frozen_draws, unseen_loop, unknown_method };

/// float32, D = 3, L = 2; parameters "encoder.hidden.0.{weight,bias}", "decoder.{weight,bias}", the conjugate block
/// "weights" and the constant "scaling.center".
std::shared_ptr<Model> make_export_model(ExportFault fault = ExportFault::none);

}  // namespace vem
