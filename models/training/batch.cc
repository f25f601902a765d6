#include "models/training/batch.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace tnb {

TrainingBatch WholeSequences(const at::Tensor& tokens) {
  if (tokens.dim() != 2 || tokens.size(1) < 2) {
    throw Error(ErrorKind::kInternal, "training tokens are not [sequences, length + 1]");
  }
  const int64_t length = tokens.size(1) - 1;
  return {tokens.narrow(1, 0, length).contiguous(), tokens.narrow(1, 1, length).contiguous(),
          at::ones({tokens.size(0), length}), at::Tensor()};
}

PackedDocuments::PackedDocuments(const std::vector<TrainingDocument>& documents, int64_t length,
                                 uint64_t seed)
    : documents_(documents), length_(length), seed_(seed) {
  if (length < 1) throw Error(ErrorKind::kInternal, "a sequence has at least one token");
  std::vector<Piece> pieces;
  for (size_t i = 0; i < documents_.size(); ++i) {
    const size_t size = documents_[i].tokens.size();
    if (!documents_[i].weights.empty() && documents_[i].weights.size() != size) {
      throw Error(ErrorKind::kInternal, "a document has not as many weights as tokens");
    }
    // A piece of n + 1 tokens fills n positions; the next one begins with its last token.
    for (size_t begin = 0; begin + 1 < size; begin += static_cast<size_t>(length)) {
      pieces.push_back({i, begin, std::min(size, begin + static_cast<size_t>(length) + 1)});
    }
  }
  if (pieces.empty()) {
    throw Error(ErrorKind::kData, {"there is nothing to train on", "documents of two tokens and more",
                                   std::to_string(documents.size()) + " shorter ones", "", ""});
  }
  PythonRandom(static_cast<int64_t>(seed_)).Shuffle(pieces);
  constexpr size_t kOpen = 64;  // sequences that may still be filled
  std::vector<size_t> open, used;
  for (const Piece& piece : pieces) {
    const size_t positions = piece.end - piece.begin - 1;
    auto fits = std::find_if(open.begin(), open.end(), [&](size_t row) {
      return used[row] + positions <= static_cast<size_t>(length_);
    });
    if (fits == open.end()) {
      rows_.emplace_back();
      used.push_back(0);
      if (open.size() == kOpen) open.erase(open.begin());
      open.push_back(rows_.size() - 1);
      fits = open.end() - 1;
    }
    const size_t row = *fits;
    rows_[row].push_back(piece);
    used[row] += positions;
    several_ = several_ || rows_[row].size() > 1;
    if (used[row] == static_cast<size_t>(length_)) open.erase(fits);
  }
}

double PackedDocuments::filled() const {
  size_t positions = 0;
  for (const auto& row : rows_) {
    for (const Piece& piece : row) positions += piece.end - piece.begin - 1;
  }
  return static_cast<double>(positions) / static_cast<double>(sequences() * length_);
}

std::vector<size_t> PackedDocuments::Order(int64_t epoch) const {
  std::vector<size_t> order(rows_.size());
  std::iota(order.begin(), order.end(), 0);
  if (epoch > 0) PythonRandom(static_cast<int64_t>(seed_) + epoch).Shuffle(order);
  return order;
}

TrainingBatch PackedDocuments::Batch(int64_t index, int64_t size) const {
  TrainingBatch batch;
  batch.inputs = at::zeros({size, length_}, at::kLong);
  batch.targets = at::zeros({size, length_}, at::kLong);
  batch.weights = at::zeros({size, length_});
  at::Tensor documents = at::full({size, length_}, -1, at::kLong);
  auto inputs = batch.inputs.accessor<int64_t, 2>(), targets = batch.targets.accessor<int64_t, 2>();
  auto numbers = documents.accessor<int64_t, 2>();
  auto weights = batch.weights.accessor<float, 2>();
  int64_t epoch = -1;
  std::vector<size_t> order;
  for (int64_t i = 0; i < size; ++i) {
    const int64_t row = index * size + i;
    if (row / sequences() != epoch) order = Order(epoch = row / sequences());
    const std::vector<Piece>& pieces = rows_[order[static_cast<size_t>(row % sequences())]];
    int64_t position = 0;
    for (size_t number = 0; number < pieces.size(); ++number) {
      const TrainingDocument& document = documents_[pieces[number].document];
      for (size_t token = pieces[number].begin; token + 1 < pieces[number].end; ++token, ++position) {
        inputs[i][position] = document.tokens[token];
        targets[i][position] = document.tokens[token + 1];
        weights[i][position] = document.weights.empty() ? 1.0F : document.weights[token + 1];
        numbers[i][position] = static_cast<int64_t>(number);
      }
    }
  }
  if (several_) batch.documents = documents;
  return batch;
}

std::vector<TrainingBatch> PackedDocuments::Batches(int64_t step, int64_t count, int64_t size) const {
  std::vector<TrainingBatch> batches;
  for (int64_t i = 0; i < count; ++i) batches.push_back(Batch(step * count + i, size));
  return batches;
}

}  // namespace tnb
