// Beam search with the semantics of Hugging Face's generate(num_beams = B, early_stopping = True,
// length_penalty = 1.0) of transformers 5 (the "vectorized" one, since 4.50), which is what MLPerf's GPT-J
// reference asks for:
//
//   - every step ranks the continuations of all running beams by their summed log-likelihood and keeps the
//     best (1 + E) * B, where E is the number of end-of-generation tokens, at least 1;
//   - those among the best B of them that end (end-of-generation token, stop string, length) are finished
//     answers, with their sum divided by the number of their tokens, the end token included; the best B
//     finished ones are kept;
//   - the best B that do not end go on; the search is over when B answers are finished, or none can go on;
//   - before min_new_tokens the end-of-generation tokens have log-likelihood minus infinity, and the others
//     are not normalized again.
//
// Beams share the cache of what they have in common; several requests are searched together.
#pragma once

#include <vector>

#include "models/engine/scorer.h"

namespace tnb {

// `order`: which of the requests, all with beams > 1. The sink gets their indices.
void BeamSearchAll(const Decoder& decoder, const Tokenizer& tokenizer, KvCache& cache,
                   const DecoderModelOptions& options, const std::vector<GenerateRequest>& requests,
                   const std::vector<size_t>& order, const GenerateSink& sink);

}  // namespace tnb
