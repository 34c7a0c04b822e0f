#include "vem/infer/network.h"

namespace vem {

Tensor Network::forward_sequences(const Tensor& x, const Tensor& offsets, const Noise& noise) const {
  std::vector<Tensor> outputs;
  for (int64_t i = 0; i + 1 < offsets.size(0); ++i)
    outputs.push_back(forward(x.slice(0, offsets[i].item<int64_t>(), offsets[i + 1].item<int64_t>()), noise));
  return at::cat(outputs);
}

}  // namespace vem
