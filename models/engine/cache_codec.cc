#include "models/engine/cache_codec.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "models/engine/weight_parts.h"
#include "models/formats/elements.h"

namespace tnb {

// In cache_qet.cc.
CacheCodecPtr LoadQetCache(const Json& json, const TensorSource& source, const ModelConfig& config,
                           const std::string& where);

namespace {

void WriteHalf(float value, uint8_t* out) {
  const uint16_t bits = FloatToHalf(value);
  std::memcpy(out, &bits, sizeof bits);
}
float ReadHalf(const uint8_t* in) {
  uint16_t bits;
  std::memcpy(&bits, in, sizeof bits);
  return HalfToFloat(bits);
}
// A scale as it is stored; what it divides by when it vanishes does not matter, all codes are zero then.
float Stored(float value) { return HalfToFloat(FloatToHalf(std::clamp(value, -65504.0F, 65504.0F))); }

class Int8Cache : public CacheCodec {
 public:
  explicit Int8Cache(int64_t size) : size_(size) {}
  std::string format() const override { return "int8"; }
  int64_t bytes() const override { return 2 * (2 + size_); }

  void Encode(int64_t, int64_t, const float* key, const float* value, uint8_t* out) const override {
    EncodeOne(key, out);
    EncodeOne(value, out + 2 + size_);
  }
  void Decode(int64_t, int64_t, const uint8_t* in, float* key, float* value) const override {
    DecodeOne(in, key);
    DecodeOne(in + 2 + size_, value);
  }
  Json Save(const TensorSink&) const override { return {{"format", "int8"}}; }

 private:
  void EncodeOne(const float* x, uint8_t* out) const {
    float largest = 0;
    for (int64_t i = 0; i < size_; ++i) largest = std::max(largest, std::abs(x[i]));
    const float scale = Stored(largest / 127.0F), inverse = scale > 0 ? 1 / scale : 0;
    WriteHalf(scale, out);
    for (int64_t i = 0; i < size_; ++i) {
      out[2 + i] = static_cast<uint8_t>(std::clamp(std::nearbyint(x[i] * inverse), -127.0F, 127.0F) + 128.0F);
    }
  }
  void DecodeOne(const uint8_t* in, float* x) const {
    const float scale = ReadHalf(in);
    for (int64_t i = 0; i < size_; ++i) x[i] = scale * static_cast<float>(static_cast<int>(in[2 + i]) - 128);
  }

  int64_t size_;
};

float Level(float x, float minimum, float inverse) {
  return std::clamp(std::nearbyint((x - minimum) * inverse), 0.0F, 15.0F);
}

class Int4Cache : public CacheCodec {
 public:
  Int4Cache(at::Tensor scales, at::Tensor minima, int64_t group)
      : scales_(scales.contiguous()),
        minima_(minima.contiguous()),
        scale_values_(scales_.to(at::kFloat)),
        minimum_values_(minima_.to(at::kFloat)),
        size_(scales.size(2)),
        group_(group) {}
  std::string format() const override { return "int4 g" + std::to_string(group_); }
  int64_t bytes() const override { return size_ + 4 * (size_ / group_); }

  void Encode(int64_t block, int64_t head, const float* key, const float* value,
              uint8_t* out) const override {
    const int64_t first = (block * scales_.size(1) + head) * size_;
    const float* scale = scale_values_.const_data_ptr<float>() + first;
    const float* minimum = minimum_values_.const_data_ptr<float>() + first;
    const auto key_code = [&](int64_t i) {
      return static_cast<int>(Level(key[i], minimum[i], scale[i] > 0 ? 1 / scale[i] : 0));
    };
    for (int64_t i = 0; i < size_; i += 2) *out++ = static_cast<uint8_t>(key_code(i) | key_code(i + 1) << 4);
    for (int64_t g = 0; g < size_; g += group_, out += 4) {
      const auto [low, high] = std::minmax_element(value + g, value + g + group_);
      WriteHalf(Stored((*high - *low) / 15.0F), out);
      WriteHalf(Stored(*low), out + 2);
    }
    const uint8_t* ranges = out - 4 * (size_ / group_);
    const auto value_code = [&](int64_t i) {
      const float step = ReadHalf(ranges + i / group_ * 4), least = ReadHalf(ranges + i / group_ * 4 + 2);
      return static_cast<int>(Level(value[i], least, step > 0 ? 1 / step : 0));
    };
    for (int64_t i = 0; i < size_; i += 2) {
      *out++ = static_cast<uint8_t>(value_code(i) | value_code(i + 1) << 4);
    }
  }

  void Decode(int64_t block, int64_t head, const uint8_t* in, float* key, float* value) const override {
    const int64_t first = (block * scales_.size(1) + head) * size_;
    const float* scale = scale_values_.const_data_ptr<float>() + first;
    const float* minimum = minimum_values_.const_data_ptr<float>() + first;
    const auto code = [](const uint8_t* codes, int64_t i) {
      return static_cast<float>(i % 2 == 0 ? codes[i / 2] & 15 : codes[i / 2] >> 4);
    };
    for (int64_t i = 0; i < size_; ++i) key[i] = minimum[i] + scale[i] * code(in, i);
    const uint8_t* ranges = in + size_ / 2;
    const uint8_t* codes = ranges + 4 * (size_ / group_);
    for (int64_t i = 0; i < size_; ++i) {
      value[i] = ReadHalf(ranges + i / group_ * 4 + 2) + ReadHalf(ranges + i / group_ * 4) * code(codes, i);
    }
  }

  WeightSize size() const override { return {2 * scales_.numel(), 0, 4 * scales_.numel()}; }
  Json Save(const TensorSink& sink) const override {
    sink(".key_scales", scales_);
    sink(".key_minima", minima_);
    return {{"format", "int4"}, {"group", group_}};
  }

 private:
  at::Tensor scales_, minima_;                // fp16 [blocks, kv heads, head size], as stored
  at::Tensor scale_values_, minimum_values_;  // the same in fp32
  int64_t size_, group_;
};

}  // namespace

CacheCodecPtr MakeInt8Cache(int64_t head_size) { return std::make_shared<Int8Cache>(head_size); }

CacheCodecPtr MakeInt4Cache(at::Tensor key_scales, at::Tensor key_minima, int64_t group) {
  const int64_t size = key_scales.size(2);
  if (size % 2 != 0 || group < 1 || size % group != 0) {
    throw Error(ErrorKind::kUnsupported,
                {"heads cannot be cut into groups", "an even head size, and a group that divides it",
                 std::to_string(size) + " and " + std::to_string(group), "", ""});
  }
  return std::make_shared<Int4Cache>(std::move(key_scales), std::move(key_minima), group);
}

CacheCodecPtr LoadCacheCodec(const Json& json, const TensorSource& source, const ModelConfig& config,
                             const std::string& where) {
  const auto format = Require<std::string>(json, "format", where);
  if (format == "int8") return MakeInt8Cache(config.head_size);
  if (format == "qet") return LoadQetCache(json, source, config, where);
  if (format != "int4") {
    throw Error(ErrorKind::kData,
                {"unknown format of the key-value cache", "int8, int4 or qet", format, where,
                 "the artefact comes from another version; compress the model again"});
  }
  const std::vector<int64_t> shape = {config.block_count, config.kv_head_count, config.head_size};
  const auto read = [&](const std::string& name) {
    at::Tensor values = source(name);
    CheckTensor(values, at::kHalf, shape, where);
    CheckFinite(values, where);
    return values;
  };
  const auto group = Require<int64_t>(json, "group", where);
  if (group < 1 || config.head_size % group != 0 || config.head_size % 2 != 0) {
    throw Error(ErrorKind::kData, {"a group does not divide the head size", std::to_string(config.head_size),
                                   std::to_string(group), where, "compress the model again"});
  }
  return MakeInt4Cache(read(".key_scales"), read(".key_minima"), group);
}

}  // namespace tnb
