#include "harness/profile_proxies.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "methods/factorize/legs.h"
#include "methods/factorize/truncation.h"

namespace tnb {
namespace {

constexpr int64_t kMostWindows = 16, kMostLength = 512;  // of the text for output errors

double EffectiveRank(const at::Tensor& w) {
  const at::Tensor squares = SquaredSingularValues(w).clamp_min(0);
  const double sum = squares.sum().item<double>();
  if (!(sum > 0)) return 0;
  const at::Tensor shares = squares / sum;
  const double entropy = -at::xlogy(shares, shares).sum().item<double>();
  return std::exp(entropy) / static_cast<double>(std::min(w.size(0), w.size(1)));
}

}  // namespace

EffectiveRanks EffectiveRanksOf(const at::Tensor& w) {
  const std::vector<int64_t> out = BalancedFactors(w.size(0), 2), in = BalancedFactors(w.size(1), 2);
  const at::Tensor rearranged = w.reshape({out[0], out[1], in[0], in[1]})
                                    .permute({0, 2, 1, 3})
                                    .reshape({out[0] * in[0], out[1] * in[1]});
  return {EffectiveRank(w), EffectiveRank(rearranged)};
}

struct ProfileProxies::State {
  // A worker's messages have no reader here.
  class Silence {
   public:
    Silence() : descriptor_(::open("/dev/null", O_WRONLY | O_CLOEXEC)), emit(descriptor_) {}
    ~Silence() { ::close(descriptor_); }
    Silence(const Silence&) = delete;
    Silence& operator=(const Silence&) = delete;

   private:
    int descriptor_;

   public:
    Emitter emit;
  };

  State(const ModelConfig& config, const ModelSource& source)
      : plain(ParseRecipe("fp32")), supply(config, source, 0, plain) {}

  // The linear of this name as the checkpoint has it.
  LinearSlot Read(const std::string& name) const {
    LinearSlot found;
    supply.Visitor(nullptr)([&](const LinearSlot& place) { return place.name == name; },
                            [&](LinearSlot& slot) { found = std::move(slot); });
    if (!found.linear)
      throw Error(ErrorKind::kInternal, "a profile names a linear that is not there: " + name);
    return found;
  }

  const EffectiveRanks& Ranks(const std::string& name) {
    const auto known = ranks.find(name);
    if (known != ranks.end()) return known->second;
    return ranks.emplace(name, EffectiveRanksOf(Read(name).linear->Rebuild())).first->second;
  }

  // Mean over the linears of sqrt(tr(D H D^T) / tr(W H W^T)), D = W - W'.
  double OutputError(const std::vector<std::string>& linears, const std::string& method) {
    Recipe recipe = ParseRecipe(method);
    PrepareRecipe(recipe, service.get(), supply.Visitor(nullptr));
    const bool down = std::any_of(linears.begin(), linears.end(),
                                  [](const std::string& name) { return name.ends_with(".down"); });
    const auto statistics = service->Get(
        {.moments = Moments::kInputs, .data = text, .windows = windows, .length = length, .down = down});
    double sum = 0;
    for (const std::string& name : linears) {
      LinearSlot slot = Read(name);
      const at::Tensor w = slot.linear->Rebuild(), h = statistics->InputCovariance(slot);
      ApplyRecipe(recipe, slot);
      const at::Tensor d = slot.linear->Rebuild() - w;
      const auto energy = [&](const at::Tensor& m) {
        return (at::matmul(m, h) * m).sum(at::kDouble).item<double>();
      };
      const double whole = energy(w);
      sum += whole > 0 ? std::sqrt(std::max(0.0, energy(d)) / whole) : 0;
    }
    return sum / static_cast<double>(linears.size());
  }

  Recipe plain;
  WeightSupply supply;
  std::map<std::string, EffectiveRanks> ranks;
  std::string text;  // name of that of output errors
  int64_t windows = 1, length = 1;
  Silence silence;
  std::unique_ptr<CalibrationService> service;
};

ProfileProxies::ProfileProxies(const ModelConfig& config, const ModelSource& source,
                               const std::vector<CalibrationText>& texts, const std::string& text,
                               const std::filesystem::path& folder)
    : state_(std::make_unique<State>(config, source)) {
  const auto found = std::find_if(texts.begin(), texts.end(),
                                  [&](const CalibrationText& candidate) { return candidate.name == text; });
  if (found == texts.end()) return;
  State& state = *state_;
  state.text = text;
  // As much as the text has.
  state.length = std::min(kMostLength, config.context_length);
  const auto tokens = static_cast<int64_t>(
      LoadTokenizer(state.supply.source().tokenizer)->Encode(ReadFile(found->path)).size());
  state.windows = std::clamp<int64_t>(tokens / state.length, 1, kMostWindows);
  const ModelParts parts{
      config, [&state](const std::string& name, int64_t size) { return state.supply.Norm(name, size); },
      [&state](const LinearSlot& place, int64_t rows, int64_t cols) {
        return state.supply.Read(place, rows, cols);
      }};
  state.service = std::make_unique<CalibrationService>(parts, state.supply.source(), "", texts, folder,
                                                       state.silence.emit);
}

ProfileProxies::~ProfileProxies() = default;

std::map<std::string, double> ProfileProxies::Of(const std::vector<std::string>& linears,
                                                 const std::string& method) {
  const c10::InferenceMode mode;
  std::map<std::string, double> proxies;
  for (const std::string& name : linears) {
    const EffectiveRanks& ranks = state_->Ranks(name);
    proxies["effective rank"] += ranks.plain / static_cast<double>(linears.size());
    proxies["effective rank rearranged"] += ranks.rearranged / static_cast<double>(linears.size());
  }
  if (state_->service && RewritingText(ParseRecipe(method)).empty()) {
    proxies["output error"] = state_->OutputError(linears, method);
  }
  return proxies;
}

}  // namespace tnb
