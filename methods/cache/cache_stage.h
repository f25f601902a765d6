// methods/cache: how keys and values are stored while the model decodes (models/engine/cache_codec.h).
#pragma once

#include "methods/stage.h"

namespace tnb {

StageEntry KvInt8Entry();
StageEntry KvInt4Entry();
StageEntry KvQetEntry();

// Ranges of 16 levels for every column of `samples` [n, columns] with little squared error: the range of the
// samples, shrunk in steps of 5 % down to the half. fp16 [columns] each.
struct ChannelRanges {
  at::Tensor scales, minima;
};
ChannelRanges FitChannels(const at::Tensor& samples);

}  // namespace tnb
