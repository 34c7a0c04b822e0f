// TorchScript of the readouts of a Markov chain, for exports. Before it stand `offsets`, `log_lik` [rows, K] and the
// chain: `start` [K] and `transition` [K, K], or their logarithms `log_start` and `log_transition`.
#pragma once

namespace vem {

/// Sums over all paths, step after step.
inline constexpr const char* kLogProbScript = R"(
    log_start = torch.log(start)
    log_transition = torch.log(transition)
    log_prob = torch.zeros([offsets.size(0) - 1], dtype=7)
    for n in range(offsets.size(0) - 1):
        begin = int(offsets[n])
        end = int(offsets[n + 1])
        if end > begin:
            a = log_start + log_lik[begin]
            for t in range(begin + 1, end):
                a = torch.logsumexp(a.unsqueeze(1) + log_transition, 0) + log_lik[t]
            log_prob[n] = torch.logsumexp(a, 0)
    return log_prob
)";

/// The most probable path of each sequence (Viterbi 1967); -1 from the first step on that nothing can explain.
inline constexpr const char* kViterbiScript = R"(    label = torch.zeros([log_lik.size(0)], dtype=4)
    back = torch.zeros([log_lik.size(0), log_lik.size(1)], dtype=4)
    for n in range(offsets.size(0) - 1):
        begin = int(offsets[n])
        end = int(offsets[n + 1])
        if end > begin:
            label[begin:end] = -1
            best = log_start + log_lik[begin]
            last = torch.argmax(best)
            possible = begin + 1 if bool(torch.max(best) > -float("inf")) else begin
            for t in range(begin + 1, end):
                best, back[t] = torch.max(best.unsqueeze(1) + log_transition, 0)
                best = best + log_lik[t]
                if possible == t and bool(torch.max(best) > -float("inf")):
                    last = torch.argmax(best)
                    possible = t + 1
            if possible > begin:
                label[possible - 1] = last
            for t in range(possible - begin - 1):
                label[possible - 2 - t] = back[possible - 1 - t, int(label[possible - 1 - t])]
    return label
)";

}  // namespace vem
