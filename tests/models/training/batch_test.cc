// Packing: every token of every document is predicted once an epoch, and nothing else counts.
#include "models/training/batch.h"

#include <ATen/ATen.h>

#include <map>

#include "base/error.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

// Document d holds tokens 1000 d, 1000 d + 1 ...
std::vector<TrainingDocument> Documents(const std::vector<int64_t>& sizes) {
  std::vector<TrainingDocument> documents;
  for (size_t d = 0; d < sizes.size(); ++d) {
    documents.emplace_back();
    for (int64_t i = 0; i < sizes[d]; ++i)
      documents.back().tokens.push_back(static_cast<TokenId>(1000 * (d + 1) + static_cast<size_t>(i)));
  }
  return documents;
}

// How often each (input, target) pair counts in `count` batches; fails when a pair is none of a document.
std::map<int64_t, int> Targets(const PackedDocuments& packed, int64_t first, int64_t count, int64_t size) {
  std::map<int64_t, int> seen;
  for (int64_t b = first; b < first + count; ++b) {
    const TrainingBatch batch = packed.Batch(b, size);
    REQUIRE(batch.inputs.sizes() == at::IntArrayRef({size, packed.length()}));
    for (int64_t i = 0; i < size; ++i) {
      for (int64_t j = 0; j < packed.length(); ++j) {
        if (batch.weights[i][j].item<float>() == 0) continue;
        const auto target = batch.targets[i][j].item<int64_t>();
        CHECK(batch.inputs[i][j].item<int64_t>() == target - 1);
        ++seen[target];
      }
    }
  }
  return seen;
}

}  // namespace

TEST_CASE("an epoch predicts every token but the first of each document once") {
  const std::vector<int64_t> sizes = {5, 1, 0, 30, 9, 2, 8, 3, 17, 4};
  const PackedDocuments packed(Documents(sizes), 8, 3);
  const auto seen = Targets(packed, 0, packed.sequences(), 1);
  size_t expected = 0;
  for (const int64_t size : sizes) expected += static_cast<size_t>(std::max<int64_t>(0, size - 1));
  CHECK(seen.size() == expected);
  for (const auto& [target, times] : seen) {
    CHECK(times == 1);
    CHECK(target % 1000 > 0);
  }
  CHECK(packed.filled() ==
        Approx(static_cast<double>(expected) / static_cast<double>(8 * packed.sequences())));
  CHECK(packed.filled() > 0.85);
  // The next epoch holds the same sequences in another order, whatever the size of the batches.
  CHECK(Targets(packed, packed.sequences(), packed.sequences(), 1) == seen);
  const TrainingBatch pair = packed.Batch(1, 2);
  CHECK(at::equal(pair.inputs, at::cat({packed.Batch(2, 1).inputs, packed.Batch(3, 1).inputs})));
}

TEST_CASE("tokens of different documents in a sequence have different numbers") {
  const PackedDocuments packed(Documents({4, 3, 4, 3}), 5, 0);
  const TrainingBatch batch = packed.Batch(0, packed.sequences());
  REQUIRE(batch.documents.defined());
  for (int64_t i = 0; i < batch.inputs.size(0); ++i) {
    for (int64_t j = 0; j < 5; ++j) {
      for (int64_t k = 0; k < 5; ++k) {
        const bool same =
            batch.inputs[i][j].item<int64_t>() / 1000 == batch.inputs[i][k].item<int64_t>() / 1000;
        CHECK(same == (batch.documents[i][j].item<int64_t>() == batch.documents[i][k].item<int64_t>()));
      }
    }
  }
}

TEST_CASE("one long text needs no document numbers, and weights follow their tokens") {
  const PackedDocuments text(Documents({41}), 8, 0);
  CHECK(text.sequences() == 5);
  CHECK(text.filled() == 1);
  CHECK_FALSE(text.Batch(0, 2).documents.defined());
  std::vector<TrainingDocument> documents = Documents({12});
  for (size_t i = 0; i < 12; ++i) documents[0].weights.push_back(static_cast<float>(i));
  const PackedDocuments weighted(documents, 4, 0);
  for (int64_t b = 0; b < weighted.sequences(); ++b) {
    const TrainingBatch batch = weighted.Batch(b, 1);
    const at::Tensor expected = (batch.targets - 1000).clamp_min(0).to(at::kFloat);
    CHECK(at::equal(batch.weights, expected));
  }
}

TEST_CASE("the seed decides about the order, and nothing to train on is an error") {
  const auto documents = Documents({40, 40, 40});
  CHECK(at::equal(PackedDocuments(documents, 4, 1).Batch(2, 3).inputs,
                  PackedDocuments(documents, 4, 1).Batch(2, 3).inputs));
  CHECK_FALSE(at::equal(PackedDocuments(documents, 4, 1).Batch(2, 3).inputs,
                        PackedDocuments(documents, 4, 2).Batch(2, 3).inputs));
  CHECK_THROWS_AS(PackedDocuments(Documents({1, 0}), 4, 0), Error);
}

}  // namespace tnb
