// Keys and values by Quantum Entanglement Trees, encoded while decoding.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "models/engine/bits.h"
#include "models/engine/cache_codec.h"
#include "models/engine/nearest_word.h"
#include "models/engine/weight_parts.h"

namespace tnb {
namespace {

// Writes and reads numbers of a few bits, end to end, the first in the lowest bits.
class BitWriter {
 public:
  BitWriter(uint8_t* out, int64_t bytes) : out_(out) { std::memset(out, 0, static_cast<size_t>(bytes)); }
  void Write(uint32_t value, int64_t bits) {
    for (int64_t i = 0; i < bits; ++i, ++at_) {
      out_[at_ / 8] = static_cast<uint8_t>(out_[at_ / 8] | (value >> i & 1) << (at_ % 8));
    }
  }

 private:
  uint8_t* out_;
  int64_t at_ = 0;
};

class BitReader {
 public:
  BitReader(const uint8_t* in, int64_t bytes) : in_(in), bytes_(bytes) {}
  uint32_t Read(int64_t bits) {
    const uint32_t value = bits == 0 ? 0 : BitsAt(in_, bytes_, at_, bits);
    at_ += bits;
    return value;
  }

 private:
  const uint8_t* in_;
  int64_t bytes_, at_ = 0;
};

// The entries of one stage as fp32, in both layouts.
struct Table {
  int64_t subspaces = 1, words = 1, size = 1, padded = 16, layers = 0, bits = 0;
  std::vector<float> entries;  // [subspaces][words][size]
  std::vector<float> turned;   // [subspaces][size][padded]
  std::vector<float> halves;   // [subspaces][padded]
};

// Encodes vectors of one block with the codebooks of its keys or of its values.
class TreeCoder {
 public:
  explicit TreeCoder(const Codebooks& books) : width_(books.width) {
    for (const CodebookStage& stage : books.stages) {
      Table table;
      table.subspaces = stage.subspaces;
      table.words = stage.words;
      table.size = width_ / stage.subspaces;
      table.padded = (stage.words + 15) / 16 * 16;
      table.layers = stage.layers;
      table.bits = stage.code_bits();
      bits_ += table.subspaces * table.bits + table.layers * width_ / 2;
      at::Tensor values = stage.values.to(at::kFloat);
      if (stage.value_bits < 16) {
        values =
            UnpackIntegers(stage.values, stage.value_bits, stage.words * width_).to(at::kFloat) * stage.step +
            stage.minimum;
      }
      values = values.reshape({table.subspaces, table.words, table.size}).contiguous();
      const auto copy = [](const at::Tensor& tensor) {
        const at::Tensor flat = tensor.contiguous();
        return std::vector<float>(flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel());
      };
      const int64_t padding = table.padded - table.words;
      table.entries = copy(values);
      table.turned = copy(at::constant_pad_nd(values.transpose(1, 2), {0, padding}));
      table.halves = copy(at::constant_pad_nd(values.square().sum(2) * 0.5, {0, padding}, INFINITY));
      tables_.push_back(std::move(table));
    }
  }

  int64_t bytes() const { return (bits_ + 7) / 8; }

  void Encode(const float* x, uint8_t* out) const {
    thread_local std::vector<float> rest, turned, scratch;
    thread_local std::vector<uint8_t> maps;
    thread_local std::vector<int32_t> codes;
    rest.assign(x, x + width_);
    turned.resize(static_cast<size_t>(width_));
    scratch.resize(static_cast<size_t>(width_));
    BitWriter writer(out, bytes());
    for (const Table& table : tables_) {
      turned = rest;
      maps.resize(static_cast<size_t>(table.layers * width_ / 2));
      Entangle(turned.data(), width_, table.layers, maps.data(), scratch.data());
      codes.resize(static_cast<size_t>(table.subspaces));
      for (int64_t m = 0; m < table.subspaces; ++m) {
        kernels::NearestRows(turned.data() + m * table.size, 1, table.size,
                             table.turned.data() + m * table.size * table.padded,
                             table.halves.data() + m * table.padded, table.padded,
                             &codes[static_cast<size_t>(m)]);
        writer.Write(static_cast<uint32_t>(codes[static_cast<size_t>(m)]), table.bits);
      }
      for (const uint8_t map : maps) writer.Write(map, 1);
      Entries(table, codes.data(), turned.data());
      Untangle(turned.data(), width_, table.layers, maps.data(), scratch.data());
      for (int64_t j = 0; j < width_; ++j) rest[static_cast<size_t>(j)] -= turned[static_cast<size_t>(j)];
    }
  }

  void Decode(const uint8_t* in, float* x) const {
    thread_local std::vector<float> part, scratch;
    thread_local std::vector<uint8_t> maps;
    thread_local std::vector<int32_t> codes;
    part.resize(static_cast<size_t>(width_));
    scratch.resize(static_cast<size_t>(width_));
    std::fill_n(x, width_, 0.0F);
    BitReader reader(in, bytes());
    for (const Table& table : tables_) {
      codes.resize(static_cast<size_t>(table.subspaces));
      for (int32_t& code : codes)
        code = std::min<int32_t>(static_cast<int32_t>(reader.Read(table.bits)),
                                 static_cast<int32_t>(table.words - 1));
      maps.resize(static_cast<size_t>(table.layers * width_ / 2));
      for (uint8_t& map : maps) map = static_cast<uint8_t>(reader.Read(1));
      Entries(table, codes.data(), part.data());
      Untangle(part.data(), width_, table.layers, maps.data(), scratch.data());
      for (int64_t j = 0; j < width_; ++j) x[j] += part[static_cast<size_t>(j)];
    }
  }

 private:
  static void Entries(const Table& table, const int32_t* codes, float* out) {
    for (int64_t m = 0; m < table.subspaces; ++m) {
      std::copy_n(table.entries.data() + (m * table.words + codes[m]) * table.size, table.size,
                  out + m * table.size);
    }
  }

  int64_t width_, bits_ = 0;
  std::vector<Table> tables_;
};

// Codebooks without the codes and maps of the vectors they were made of.
Codebooks WithoutCodes(Codebooks books) {
  books.rows = 0;
  for (CodebookStage& stage : books.stages) {
    stage.codes = at::zeros({0}, at::kByte);
    if (stage.layers > 0) stage.maps = at::zeros({0}, at::kByte);
  }
  return books;
}

class QetCache : public CacheCodec {
 public:
  QetCache(std::vector<Codebooks> keys, std::vector<Codebooks> values) {
    for (Codebooks& books : keys) keys_.push_back(WithoutCodes(std::move(books)));
    for (Codebooks& books : values) values_.push_back(WithoutCodes(std::move(books)));
    for (const Codebooks& books : keys_) key_coders_.emplace_back(books);
    for (const Codebooks& books : values_) value_coders_.emplace_back(books);
    for (const TreeCoder& coder : key_coders_) key_bytes_ = std::max(key_bytes_, coder.bytes());
    for (const TreeCoder& coder : value_coders_) value_bytes_ = std::max(value_bytes_, coder.bytes());
  }

  std::string format() const override {
    return "qet " + MakeCodebookWeight(keys_[0])->format() + "; " + MakeCodebookWeight(values_[0])->format();
  }
  int64_t bytes() const override { return key_bytes_ + value_bytes_; }
  void Encode(int64_t block, int64_t, const float* key, const float* value, uint8_t* out) const override {
    key_coders_[static_cast<size_t>(block)].Encode(key, out);
    value_coders_[static_cast<size_t>(block)].Encode(value, out + key_bytes_);
  }
  void Decode(int64_t block, int64_t, const uint8_t* in, float* key, float* value) const override {
    key_coders_[static_cast<size_t>(block)].Decode(in, key);
    value_coders_[static_cast<size_t>(block)].Decode(in + key_bytes_, value);
  }
  WeightSize size() const override {
    WeightSize size;
    for (const auto* books : {&keys_, &values_}) {
      for (const Codebooks& one : *books) size += SizeOf(one);
    }
    return size;
  }
  Json Save(const TensorSink& sink) const override {
    const auto save = [&](const std::string& name, const std::vector<Codebooks>& all) {
      Json list = Json::array();
      for (size_t i = 0; i < all.size(); ++i) {
        const std::string prefix = "." + name + std::to_string(i);
        list.push_back(MakeCodebookWeight(all[i])->Save(
            [&](const std::string& suffix, const at::Tensor& tensor) { sink(prefix + suffix, tensor); }));
      }
      return list;
    };
    return {{"format", "qet"}, {"keys", save("keys", keys_)}, {"values", save("values", values_)}};
  }

 private:
  std::vector<Codebooks> keys_, values_;  // by block
  std::vector<TreeCoder> key_coders_, value_coders_;
  int64_t key_bytes_ = 0, value_bytes_ = 0;
};

}  // namespace

CacheCodecPtr MakeQetCache(std::vector<Codebooks> keys, std::vector<Codebooks> values) {
  return std::make_shared<QetCache>(std::move(keys), std::move(values));
}

CacheCodecPtr LoadQetCache(const Json& json, const TensorSource& source, const ModelConfig& config,
                           const std::string& where) {
  const auto load = [&](const std::string& name) {
    const Json list = Require<Json>(json, name, where);
    if (!list.is_array() || static_cast<int64_t>(list.size()) != config.block_count) {
      throw Error(ErrorKind::kData, {"the cache's codebooks are not those of this model",
                                     std::to_string(config.block_count) + " blocks",
                                     std::to_string(list.size()), where, "compress the model again"});
    }
    std::vector<Codebooks> all;
    for (size_t i = 0; i < list.size(); ++i) {
      const std::string prefix = "." + name + std::to_string(i);
      all.push_back(LoadCodebooks(
          list[i], [&](const std::string& suffix) { return source(prefix + suffix); }, 0, config.head_size,
          where));
      if (all.back().width != config.head_size || all.back().scales.defined() ||
          all.back().rotations.defined()) {
        throw Error(ErrorKind::kData, {"the cache's codebooks are of another kind", "vectors of one head",
                                       list[i].dump(), where, "compress the model again"});
      }
    }
    return all;
  };
  return MakeQetCache(load("keys"), load("values"));
}

}  // namespace tnb
