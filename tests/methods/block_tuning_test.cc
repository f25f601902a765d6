// Tuning of codebooks on what a block put out, and the optimizer that does it.
#include "methods/vector/block_tuning.h"

#include <ATen/ATen.h>

#include "methods/vector/adam.h"
#include "methods/vector/additive.h"
#include "tests/models/engine/random_checkpoint.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

// Additive codes of 3 bits for 4 columns in one block of a small model, then `finish`.
void WalkOneBlock(const std::function<void(const ChangedBlock&)>& finish) {
  ModelConfig config = testing::SmallConfig();
  config.block_count = 1;
  config.intermediate_size = 96;
  const testing::RandomCheckpoint checkpoint(config);
  std::vector<TokenIds> windows(8);
  for (size_t i = 0; i < windows.size(); ++i) {
    for (size_t j = 0; j < 32; ++j) windows[i].push_back(static_cast<TokenId>((i * 53 + j * 37) % 131));
  }
  StatisticsRequest request;
  request.down = true;
  int finished = 0;
  Walk walk;
  walk.change = [&](LinearSlot& slot, const Statistics& inputs) {
    const AdditiveOptions options{.codebooks = 1, .bits = 3, .group = 4, .rounds = 0};
    slot.linear->ReplaceWeight(
        0, MakeCodebookWeight(
               QuantizeAdditive(slot.linear->Rebuild(), inputs.InputCovariance(slot), options).books));
  };
  walk.finish = [&](const ChangedBlock& block, const Statistics&) {
    ++finished;
    finish(block);
  };
  WalkBlocks(testing::PartsOf(checkpoint), windows, request, walk, [](int64_t, int64_t) {});
  CHECK(finished == 1);
}

// Mean squared error of the block over the mean square of the targets.
double ErrorOf(const ChangedBlock& block) {
  const at::Tensor y = block.forward(
      0, block.hidden.size(0),
      [](const LinearSlot& slot, const at::Tensor& x) { return at::linear(x, slot.linear->Rebuild()); });
  return ((y - block.targets).square().mean() / block.targets.square().mean()).item<double>();
}

}  // namespace

TEST_CASE("tuned codebooks follow the block better") {
  WalkOneBlock([](const ChangedBlock& block) {
    REQUIRE(block.slots.size() == 7);
    const double before = ErrorOf(block);
    CHECK(before > 0.001);
    const WeightPtr codes = block.slots[0]->linear->weight(0);
    const TuningReport report = TuneBlock(block, block.slots, {.epochs = 8, .learning_rate = 3e-3});
    CAPTURE(report.start, report.end, report.epochs);
    CHECK(report.kept);
    CHECK(report.start == Approx(before).epsilon(1e-4));
    CHECK(report.end < 0.9 * report.start);
    CHECK(report.end == Approx(ErrorOf(block)).epsilon(1e-4));  // of what is stored
    CHECK(block.slots[0]->linear->weight(0)->size().bytes == codes->size().bytes);
    CHECK_FALSE(at::equal(block.slots[0]->linear->weight(0)->Dense(), codes->Dense()));
  });
}

TEST_CASE("tuning touches the given linears only, and never makes a block worse") {
  WalkOneBlock([](const ChangedBlock& block) {
    std::vector<WeightPtr> before;
    for (const LinearSlot* slot : block.slots) before.push_back(slot->linear->weight(0));
    CHECK(TuneBlock(block, {block.slots[6]}, {.epochs = 2, .learning_rate = 1e-3}).kept);
    for (size_t i = 0; i < 6; ++i) CHECK(block.slots[i]->linear->weight(0) == before[i]);
    CHECK(block.slots[6]->linear->weight(0) != before[6]);
    const WeightPtr tuned = block.slots[6]->linear->weight(0);
    const TuningReport wild = TuneBlock(block, block.slots, {.epochs = 3, .learning_rate = 10});
    CHECK_FALSE(wild.kept);
    CHECK(wild.epochs < 4);
    CHECK(wild.end == wild.start);
    CHECK(block.slots[6]->linear->weight(0) == tuned);
  });
}

// torch.optim.Adam([x], lr=0.1, betas=(0.9, 0.95), amsgrad=True), gradients 1, -3, 0.5 of x = 2; the same
// with beta1 = 0.
TEST_CASE("AMSGrad steps as torch.optim does") {
  struct Golden {
    double beta1;
    std::vector<double> values;
  };
  for (const Golden& golden : std::vector<Golden>{{0.9, {1.900000001, 1.94892957753811, 1.97639250268743}},
                                                  {0.0, {1.900000001, 2.03280885160344, 2.00603743895788}}}) {
    at::Tensor x = at::tensor({2.0}, at::kDouble);
    AmsGrad steps(0.1, golden.beta1, 0.95);
    const double gradients[] = {1, -3, 0.5};
    for (size_t i = 0; i < 3; ++i) {
      steps.Step(x, at::tensor({gradients[i]}, at::kDouble));
      CHECK(x.item<double>() == Approx(golden.values[i]).epsilon(1e-7));
    }
  }
}

}  // namespace tnb
