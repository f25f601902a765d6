// DecoderModel makes a LanguageModel of a Decoder: it packs scoring requests into token batches without
// padding, computes shared prefixes once, and decodes many sequences together, refilling places as they end.
#pragma once

#include <memory>

#include "models/engine/decoder.h"
#include "models/language_model.h"

namespace tnb {

struct DecoderModelOptions {
  int64_t batch_tokens = 2048;  // tokens computed together
  int64_t cache_tokens = 0;     // 0: as the requests need, `sequences` of them in an eighth of the memory
  int64_t sequences = 64;       // sequences decoded together
  int64_t context_length = 0;   // 0: the model's
};

std::unique_ptr<LanguageModel> MakeDecoderModel(const Decoder& decoder,
                                                std::shared_ptr<const Tokenizer> tokenizer,
                                                const DecoderModelOptions& options = {});

}  // namespace tnb
