// Logits of all positions of a text by the decoder, in one piece or in several.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "models/engine/decoder.h"

namespace tnb::testing {

// `cuts`: where a new piece begins; `skip`: slots of the cache that are taken before the first token.
inline at::Tensor AllLogits(const Decoder& decoder, const TokenIds& tokens,
                            const std::vector<size_t>& cuts = {}, int64_t skip = 0) {
  KvCache cache(decoder.model().config, 512, at::kCPU, decoder.model().cache);
  if (skip > 0) cache.Allocate(skip);
  std::vector<at::Tensor> parts;
  std::vector<CacheSpan> past;
  size_t begin = 0;
  for (size_t cut = 0; cut <= cuts.size(); ++cut) {
    const size_t end = cut < cuts.size() ? cuts[cut] : tokens.size();
    TokenRun run{TokenIds(tokens.begin() + static_cast<long>(begin), tokens.begin() + static_cast<long>(end)),
                 past, cache.Allocate(static_cast<int64_t>(end - begin))};
    past.insert(past.end(), run.own.begin(), run.own.end());
    std::vector<int64_t> rows;
    for (size_t i = begin; i < end; ++i) rows.push_back(static_cast<int64_t>(i - begin));
    parts.push_back(decoder.Logits(decoder.Forward({run}, cache, rows)));
    begin = end;
  }
  return at::cat(parts);
}

}  // namespace tnb::testing
