// What a trace knows about its latents.
#include "vem/infer/objective.h"

namespace vem {

Tensor Latent::log_q() const { return batch->per_item(q->log_prob(z)); }
Tensor Latent::log_q_stopped() const { return batch->per_item(q_stopped->log_prob(z)); }
Tensor Latent::log_p() const { return prior->log_prob(z, *batch, *globals); }
Tensor Latent::kl() const { return prior->kl(*q, *batch, *globals); }

}  // namespace vem
