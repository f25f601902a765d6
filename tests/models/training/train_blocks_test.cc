// Training block by block: what is refused, and how a divergence ends. What it brings is tested with heal.
#include "models/training/train_blocks.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "tests/models/training/formula_model.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::FormulaConfig;
using testing::FormulaModel;
using testing::FormulaParts;

BlocksPlan PlanOfBlocks() {
  BlocksPlan blocks;
  blocks.plan.steps = 4;
  blocks.plan.batches = [](int64_t step) {
    const at::Tensor tokens = (at::arange(34).view({2, 17}) * 7 + step * 3).remainder(61);
    return std::vector<TrainingBatch>{WholeSequences(tokens)};
  };
  return blocks;
}

}  // namespace

TEST_CASE("blocks of another width or number cannot be a goal") {
  for (auto change : {+[](ModelConfig& config) { config.hidden_size = 40; },
                      +[](ModelConfig& config) { config.block_count = 3; }}) {
    ModelConfig other = FormulaConfig();
    change(other);
    Model model = FormulaModel(0);
    CHECK_THROWS_WITH(TrainBlocks(model, FormulaParts(0, other), {}, PlanOfBlocks()),
                      Contains("2 blocks of width 32") && Contains("logits"));
  }
}

TEST_CASE("a block whose training diverges is named, and the model is as the blocks before left it") {
  Model model = FormulaModel(0);
  const Model before = FormulaModel(0);
  TrainerOptions options;
  options.steps = 4;
  options.learning_rate = 1e38;
  options.trains = [](const LinearSlot& slot, int64_t) { return slot.block == 1; };
  CHECK_THROWS_WITH(TrainBlocks(model, FormulaParts(100), options, PlanOfBlocks()),
                    Contains("diverged") && Contains("block 1") && Contains("lower the learning rate"));
  CHECK(at::equal(model.blocks[1].q.linear->Rebuild(), before.blocks[1].q.linear->Rebuild()));
}

TEST_CASE("blocks are announced before they train, and those without weights that train are passed") {
  Model model = FormulaModel(0);
  TrainerOptions options{.learning_rate = 1e-3, .steps = 4};
  std::vector<std::pair<int64_t, int64_t>> announced;
  BlocksPlan blocks = PlanOfBlocks();
  blocks.on_block = [&](int64_t index, int64_t count) { announced.emplace_back(index, count); };
  const std::vector<TrainedBlock> both = TrainBlocks(model, FormulaParts(100), options, blocks);
  CHECK(announced == std::vector<std::pair<int64_t, int64_t>>{{0, 2}, {1, 2}});
  REQUIRE(both.size() == 2);
  CHECK(both[1].curve.size() == 4);
  announced.clear();
  options.trains = [](const LinearSlot& slot, int64_t) { return slot.block == 0; };
  CHECK(TrainBlocks(model, FormulaParts(100), options, blocks).size() == 1);
  CHECK(announced == std::vector<std::pair<int64_t, int64_t>>{{0, 1}});
}

}  // namespace tnb
