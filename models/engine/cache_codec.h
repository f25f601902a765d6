// How keys and values lie in the cache while a model decodes: a part of the artefact like its weights
// (Model::cache; none: fp32). A codec writes the key and the value of one head of one token as bytes when
// they are computed, and every query, also those of the same batch, sees what can be read back. So results
// depend neither on how a text is cut into batches nor on other sequences.
//
//   int8  key and value each symmetric with one scale a head and token, absmax / 127: 2 (2 + size) bytes
//   int4  keys asymmetric with a scale and a least value a channel that are known beforehand, from
//         calibration; values asymmetric with a scale and a least value a head, token and group of channels:
//         size / 2 + size / 2 + 4 size / group bytes. Keys by channel and values by token as in KIVI (arXiv
//         2402.02750); ranges of keys from calibration instead of a window of unquantized tokens, as in
//         KVQuant (arXiv 2401.18079).
//   qet   Quantum Entanglement Trees (codebook.h) with codebooks from calibration, one set for the keys and
//   one
//         for the values of a block: codes and maps of every stage, rounded up to bytes for key and value
//         each
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "models/config.h"
#include "models/engine/codebook.h"

namespace tnb {

class CacheCodec {
 public:
  virtual ~CacheCodec() = default;
  virtual std::string format() const = 0;
  // Of the key and value of one head of a token.
  virtual int64_t bytes() const = 0;
  // key, value fp32 [head size]; out: bytes().
  virtual void Encode(int64_t block, int64_t head, const float* key, const float* value,
                      uint8_t* out) const = 0;
  virtual void Decode(int64_t block, int64_t head, const uint8_t* in, float* key, float* value) const = 0;
  // What all tokens share; stored with the model.
  virtual WeightSize size() const { return {}; }
  virtual Json Save(const TensorSink& sink) const = 0;
};
using CacheCodecPtr = std::shared_ptr<const CacheCodec>;

CacheCodecPtr MakeInt8Cache(int64_t head_size);
// fp16 [blocks, kv heads, head size] each; `group` divides the head size, which is even. key = minimum +
// scale
// * code.
CacheCodecPtr MakeInt4Cache(at::Tensor key_scales, at::Tensor key_minima, int64_t group);
// By block: codebooks of vectors of the head size, of which codes and maps are not looked at; no rotations or
// scales. All blocks have as many stages, of the same sizes.
CacheCodecPtr MakeQetCache(std::vector<Codebooks> keys, std::vector<Codebooks> values);

// The inverse of Save; checked against the config. Error{kData} names `where`.
CacheCodecPtr LoadCacheCodec(const Json& json, const TensorSource& source, const ModelConfig& config,
                             const std::string& where);

}  // namespace tnb
