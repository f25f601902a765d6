// models/training/ trains any model of models/engine: batches, losses, the optimizer's steps, checkpoints and
// the loop. It knows nothing of methods or of where texts come from.
//
// This file: documents packed into sequences of one length, so that every step has the same shape (shapes
// that change from step to step cost 2-3x on the CPU, where every shape gets a kernel of its own).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/tokenizer.h"

namespace tnb {

// Tokens that are computed together: [sequences, length] each.
struct TrainingBatch {
  at::Tensor inputs;     // int64
  at::Tensor targets;    // int64: the token after each input
  at::Tensor weights;    // fp32, of each target in the loss; 0: it is not counted
  at::Tensor documents;  // int64, the number of the document in its sequence; undefined: one a sequence
  // Where one block trains by itself (TrainerOptions::block): what goes into it and what should come out,
  // fp32 [sequences * length, hidden size].
  at::Tensor block_inputs{}, block_targets{};
};

// The tokens of one text. weights[i] is that of predicting tokens[i] (the first one is never predicted);
// empty: all 1.
struct TrainingDocument {
  TokenIds tokens;
  std::vector<float> weights;
};

// One batch of whole sequences: tokens int64 [sequences, length + 1], every target with weight 1.
TrainingBatch WholeSequences(const at::Tensor& tokens);

// Documents longer than a sequence are cut into pieces, of which every token but the first one is predicted
// once; pieces are put into the first sequence with room, in an order drawn by the seed. What remains is
// padding of weight 0.
class PackedDocuments {
 public:
  // Error{kData} when no document has two tokens.
  PackedDocuments(const std::vector<TrainingDocument>& documents, int64_t length, uint64_t seed);

  int64_t sequences() const { return static_cast<int64_t>(rows_.size()); }  // an epoch has
  int64_t length() const { return length_; }
  double filled() const;  // fraction of the positions that are not padding
  // Batch `index` of an endless stream, which goes through all sequences in another order every epoch. The
  // same for the same documents, seed, size and index: a training that goes on needs to store no more.
  TrainingBatch Batch(int64_t index, int64_t size) const;
  // The `count` batches whose gradients step `step` accumulates.
  std::vector<TrainingBatch> Batches(int64_t step, int64_t count, int64_t size) const;

 private:
  struct Piece {
    size_t document = 0, begin = 0, end = 0;  // tokens [begin, end)
  };
  std::vector<size_t> Order(int64_t epoch) const;

  std::vector<TrainingDocument> documents_;
  int64_t length_;
  uint64_t seed_;
  std::vector<std::vector<Piece>> rows_;
  bool several_ = false;  // some sequence holds several documents
};

}  // namespace tnb
