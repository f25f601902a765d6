#include "models/training/loss.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

namespace tnb {

double LossSums::Loss(const LossOptions& options) const {
  return ((1 - options.distillation) * cross_entropy + options.distillation * divergence +
          options.hidden * hidden) /
         weight;
}

at::Tensor LossGradient(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& weights,
                        const at::Tensor& teacher, const LossOptions& options, double scale, LossSums& sums) {
  const c10::NoGradGuard no_gradients;
  const double share = options.distillation, temperature = options.temperature;
  constexpr int64_t kCacheValues = 1 << 20;  // rows whose temporaries stay in the caches
  const int64_t count = logits.size(0), step = std::max<int64_t>(1, kCacheValues / logits.size(1));
  at::Tensor result = at::empty_like(logits);
  for (int64_t begin = 0; begin < count; begin += step) {
    const int64_t rows = std::min(step, count - begin);
    const auto part = [&](const at::Tensor& tensor) { return tensor.narrow(0, begin, rows); };
    const at::Tensor values = part(logits).to(at::kFloat);
    const at::Tensor target = part(targets).unsqueeze(1), weight = part(weights).unsqueeze(1);
    at::Tensor log_q = at::log_softmax(values, -1);
    sums.cross_entropy -= (log_q.gather(1, target) * weight).sum(at::kDouble).item<double>();
    sums.weight += weight.sum(at::kDouble).item<double>();
    at::Tensor gradient;  // of one token's loss
    if (share > 0) {
      const at::Tensor log_p = at::log_softmax(part(teacher).to(at::kFloat) / temperature, -1);
      const at::Tensor p = log_p.exp();
      gradient = log_q.exp();
      if (temperature != 1) {
        log_q = at::log_softmax(values / temperature, -1);
        gradient.mul_(1 - share).add_(log_q.exp(), share * temperature);
      }
      gradient.sub_(p, share * temperature);
      const at::Tensor divergence = (p * (log_p - log_q)).sum(1, true);
      sums.divergence += temperature * temperature * (divergence * weight).sum(at::kDouble).item<double>();
    } else {
      gradient = log_q.exp_();
    }
    gradient.scatter_add_(1, target, at::full({rows, 1}, share - 1));
    part(result).copy_(gradient.mul_(weight * scale));
  }
  return result;
}

at::Tensor HiddenGradient(const at::Tensor& hidden, const at::Tensor& teacher, const at::Tensor& weights,
                          double scale, double& sum) {
  const c10::NoGradGuard no_gradients;
  const at::Tensor size = teacher.square().sum(1, true);
  const at::Tensor shares = at::where(size > 0, weights.unsqueeze(1) / size, at::zeros_like(size));
  at::Tensor difference = hidden - teacher;
  sum += (difference.square().sum(1, true) * shares).sum(at::kDouble).item<double>();
  return difference.mul_(shares * (2 * scale));
}

}  // namespace tnb
