#include "methods/cache/cache_stage.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "methods/calibrated.h"
#include "methods/vector/product_options.h"

namespace tnb {
namespace {

class KvInt8 : public CacheStage {
 public:
  CacheCodecPtr Codec(const ModelConfig& config) const override { return MakeInt8Cache(config.head_size); }
};

class CalibratedCache : public CacheStage {
 public:
  explicit CalibratedCache(const StageValues& values) : calibration_(values, Moments::kKeysValues) {}
  void Prepare(const StageContext& context) override { calibration_.Prepare(context); }
  Json Report() const override { return calibration_.Report(); }

 protected:
  const Statistics& statistics() const { return calibration_.statistics(); }

 private:
  Calibrated calibration_;
};

class KvInt4 : public CalibratedCache {
 public:
  explicit KvInt4(const StageValues& values) : CalibratedCache(values), group_(values.Integer("group")) {}

  CacheCodecPtr Codec(const ModelConfig& config) const override {
    std::vector<at::Tensor> scales, minima;
    for (int64_t block = 0; block < config.block_count; ++block) {
      const at::Tensor keys = statistics().Keys(block, config);
      const ChannelRanges ranges = FitChannels(keys.reshape({keys.size(0), -1}));
      scales.push_back(ranges.scales.view({config.kv_head_count, config.head_size}));
      minima.push_back(ranges.minima.view({config.kv_head_count, config.head_size}));
    }
    return MakeInt4Cache(at::stack(scales), at::stack(minima), std::min(group_, config.head_size));
  }

 private:
  int64_t group_;
};

class KvQet : public CalibratedCache {
 public:
  explicit KvQet(const StageValues& values)
      : CalibratedCache(values),
        options_(ProductOptionsFrom(ProductMethod::kQet, values)),
        bits_(values.Real("bits")) {}

  CacheCodecPtr Codec(const ModelConfig& config) const override {
    std::vector<Codebooks> keys, values;
    for (int64_t block = 0; block < config.block_count; ++block) {
      keys.push_back(Fit(statistics().Keys(block, config)));
      values.push_back(Fit(statistics().Values(block, config)));
    }
    return MakeQetCache(std::move(keys), std::move(values));
  }

 private:
  // The sampled heads as vectors.
  Codebooks Fit(const at::Tensor& samples) const {
    const int64_t width = samples.size(2);
    ProductOptions options = options_;
    options.bytes = static_cast<int64_t>(bits_ * static_cast<double>(samples.numel()) / 8);
    const at::Tensor matrix = samples.reshape({-1, width});
    return options.subspaces == 0 ? QuantizeProductBest(matrix, width, options)
                                  : QuantizeProduct(matrix, width, options);
  }

  ProductOptions options_;
  double bits_;
};

StageDescription Describe(const std::string& name, const std::string& summary, const std::string& reference) {
  StageDescription description;
  description.name = name;
  description.group = "cache";
  description.summary = summary;
  description.reference = reference;
  description.selector = "all";
  return description;
}

using Type = ParameterDescription::Type;

std::unique_ptr<Stage> MakeInt8(const StageValues&) { return std::make_unique<KvInt8>(); }
std::unique_ptr<Stage> MakeInt4(const StageValues& values) { return std::make_unique<KvInt4>(values); }
std::unique_ptr<Stage> MakeQet(const StageValues& values) { return std::make_unique<KvQet>(values); }

}  // namespace

ChannelRanges FitChannels(const at::Tensor& samples) {
  if (samples.size(0) == 0)
    throw Error(ErrorKind::kData, "there are no sampled keys", "use more calibration text");
  const at::Tensor low = std::get<0>(samples.min(0)), high = std::get<0>(samples.max(0));
  const at::Tensor middle = (low + high) / 2;
  ChannelRanges best;
  at::Tensor least;
  for (int percent = 100; percent >= 50; percent -= 5) {
    const at::Tensor half = (high - low) * (percent / 200.0);
    const at::Tensor scales = (half * (2.0 / 15)).to(at::kHalf), minima = (middle - half).to(at::kHalf);
    const at::Tensor step = scales.to(at::kFloat), start = minima.to(at::kFloat);
    const at::Tensor codes =
        at::where(step > 0, at::round((samples - start) / step), at::zeros({})).clamp(0, 15);
    const at::Tensor error = (start + step * codes - samples).square().sum(0);
    if (!least.defined()) {
      best = {scales, minima};
      least = error;
      continue;
    }
    const at::Tensor better = error < least;
    best = {at::where(better, scales, best.scales), at::where(better, minima, best.minima)};
    least = at::minimum(error, least);
  }
  return best;
}

StageEntry KvInt8Entry() {
  return {Describe("kv-int8", "keys and values in 8 bits, symmetric, one scale a head and token",
                   "round to nearest by token"),
          &MakeInt8};
}

StageEntry KvInt4Entry() {
  StageDescription description = Describe(
      "kv-int4",
      "keys and values in 4 bits: keys by channel, with ranges from the calibration text; values by token",
      "KIVI (arXiv 2402.02750), with KVQuant's calibrated ranges of keys (arXiv 2401.18079)");
  description.parameters = {{"group", Type::kInteger, "32",
                             "channels of a value that share a scale; divides the head size", 1, 1024}};
  AddCalibration(description.parameters, "");
  return {description, &MakeInt4};
}

StageEntry KvQetEntry() {
  StageDescription description = Describe("kv-qet",
                                          "keys and values by Quantum Entanglement Trees, encoded while "
                                          "decoding, with codebooks from the calibration "
                                          "text",
                                          "arXiv 2407.03637, which does it offline");
  description.parameters = ProductParameters(ProductMethod::kQet);
  AddCalibration(description.parameters, "");
  return {description, &MakeQet};
}

}  // namespace tnb
