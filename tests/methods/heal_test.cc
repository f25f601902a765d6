// heal on a small model whose linears were cut: it comes closer to the uncompressed one, trains what it is
// told to, and goes on where it was stopped.
#include "methods/heal/heal.h"

#include <ATen/ATen.h>

#include <limits>

#include "base/error.h"
#include "methods/recipe.h"
#include "models/training/train.h"
#include "tests/methods/recipe_error.h"
#include "tests/models/training/formula_model.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::FormulaModel;
using testing::FormulaParts;

TrainingText Text() {
  TrainingText text;
  text.documents.emplace_back();
  for (int i = 0; i < 1200; ++i) text.documents[0].tokens.push_back((i * i * 7 + i * 3) % 61);
  text.identity = {{"name", "text"}, {"sha256", "of the text"}};
  return text;
}

// The model of FormulaModel(0) after `recipe`, up to its first stage on the whole model.
Model Compressed(const Recipe& recipe) {
  Model model = FormulaModel(0);
  for (LinearSlot* slot : model.Slots()) ApplyRecipe(recipe, *slot, LinearStages(recipe, 0));
  return model;
}

WholeModelContext ContextOf(const RecipeStage& stage) {
  WholeModelContext context;
  context.original = FormulaParts(0);
  context.text = [](const std::string& name) {
    CHECK(name == "text");
    return Text();
  };
  context.selected = [&stage](const LinearSlot& slot) { return stage.selector.Matches(slot); };
  return context;
}

struct Healed {
  Recipe recipe;
  Model model;
  Json detail;
};

Healed Heal(const std::string& text, const std::function<void(WholeModelContext&)>& adjust = {}) {
  Healed healed{ParseRecipe(text), {}, {}};
  healed.model = Compressed(healed.recipe);
  const RecipeStage& stage = healed.recipe.stages.back();
  WholeModelContext context = ContextOf(stage);
  if (adjust) adjust(context);
  healed.detail = stage.whole_model()->ApplyToModel(healed.model, context);
  return healed;
}

// Divergence from the uncompressed model on other tokens than it was trained on.
Evaluation Distance(const Model& model) {
  const Trainer trainer(model, {.loss = {0.9, 1, 1}},
                        std::make_shared<const Teacher>(FormulaParts(0), at::kFloat));
  TrainingDocument document;
  for (int i = 0; i < 400; ++i) document.tokens.push_back((i * i * i + i * 11) % 61);
  return trainer.Evaluate({PackedDocuments({document}, 32, 9).Batch(0, 12)});
}

const std::string kHeal = "heal:data=text,length=32,lr=0.005,precision=fp32";

}  // namespace

TEST_CASE("healing is a stage with the recipe that worked as its default") {
  CHECK(
      ParseRecipe("svd+heal").text ==
      "svd:keep=0.6@attn/gate/up+heal:accumulate=1,activations=keep,batch=2,clip=1,"
      "data=calibration/wiki.utf8,decay=0.01,hidden=0,kd=0.9,length=256,lr=3e-04,precision=bf16,scope=model,"
      "seed=0,"
      "temperature=1,tokens=57344,train=all,warmup=0.04@attn/mlp");
  const std::string canonical = ParseRecipe("heal:tokens=2M").text;
  CHECK_THAT(canonical, Contains("tokens=2000000,"));
  CHECK(ParseRecipe(canonical).text == canonical);
  CHECK_THAT(ParseRecipe("heal:tokens=1.5k").text, Contains("tokens=1500,"));
  CHECK(ShortRecipe(canonical) == "heal:tokens=2000000");
  CHECK_THAT(testing::RecipeError("heal:tokens=2G"), Contains("out of range"));
  CHECK_THAT(testing::RecipeError("heal:tokens=0"), Contains("out of range"));
  CHECK_THAT(testing::RecipeError("heal+rotate"), Contains("comes first"));
  CHECK(DataNames(ParseRecipe("svd-llm:data=a.txt+heal:data=b.txt+int8")) ==
        std::vector<std::string>{"a.txt", "b.txt"});
  // An integer that is short in scientific notation keeps its digits.
  CHECK_THAT(ParseRecipe("rotate:seed=100000").text, Contains("seed=100000@"));
}

TEST_CASE("the control of a healed method heals the uncompressed model") {
  CHECK(ControlRecipe(ParseRecipe("svd+heal:lr=1e-3+int8")) == ParseRecipe("heal:lr=1e-3").text);
  CHECK(ControlRecipe(ParseRecipe("rotate+svd+heal")) == ParseRecipe("rotate+heal").text);
  CHECK(ControlRecipe(ParseRecipe("heal")).empty());
  CHECK(ControlRecipe(ParseRecipe("svd+int8")).empty());
}

TEST_CASE("recipes fall into stages on linears and stages on the whole model") {
  const Recipe recipe = ParseRecipe("svd@attn+int8+heal+svd@mlp+heal");
  CHECK(LinearStages(recipe, 0).end == 2);
  CHECK(LinearStages(recipe, 2).end == 2);
  CHECK(LinearStages(recipe, 3).begin == 3);
  CHECK(LinearStages(recipe, 3).end == 4);
  CHECK(LinearStages(recipe, 5).end == 5);
}

TEST_CASE("healing brings a cut model back towards the uncompressed one") {
  const Model cut = Compressed(ParseRecipe("svd:keep=0.5"));
  const double before = Distance(cut).divergence;
  const Healed healed = Heal("svd:keep=0.5+" + kHeal + ",tokens=4k");
  const double after = Distance(healed.model).divergence;
  CAPTURE(before, after);
  CHECK(after < 0.5 * before);
  CHECK(healed.model.size().bytes == cut.size().bytes);
  CHECK(healed.model.blocks[0].q.linear->factorized());
  CHECK(at::equal(healed.model.embedding.linear->Rebuild(), cut.embedding.linear->Rebuild()));
  CHECK_FALSE(at::equal(healed.model.final_norm, cut.final_norm));
  // 4000 tokens of 64 a step.
  const Json& curve = healed.detail.at("curve");
  CHECK(curve.at("step").size() == 63);
  CHECK(curve.at("tokens").back() == 63 * 64);
  CHECK(curve.at("loss").back() < curve.at("loss").front());
  CHECK(healed.detail.at("text").at("sha256") == "of the text");
  CHECK(healed.detail.at("epochs").get<double>() > 1);
  CHECK(healed.detail.at("optimizer_bytes") == 8 * healed.detail.at("trained_parameters").get<int64_t>());
  // Cross entropy alone needs no teacher.
  const Healed alone = Heal("svd:keep=0.5+" + kHeal + ",tokens=4k,kd=0", [](WholeModelContext& context) {
    context.original.linear = [](const LinearSlot&, int64_t, int64_t) -> std::unique_ptr<Linear> {
      throw std::runtime_error("the original was read");
    };
  });
  CHECK(alone.detail.at("curve").at("divergence").back() == 0);
}

TEST_CASE("healing with hidden states brings them nearer than without") {
  const std::string recipe = "svd:keep=0.5+" + kHeal + ",tokens=4k";
  const Evaluation without = Distance(Heal(recipe).model);
  const Healed healed = Heal(recipe + ",hidden=1");
  const Evaluation with = Distance(healed.model);
  CAPTURE(without.hidden, with.hidden, without.divergence, with.divergence);
  CHECK(with.hidden < without.hidden);
  const Json& curve = healed.detail.at("curve");
  CHECK(curve.at("hidden").back() < curve.at("hidden").front());
  CHECK(Heal(recipe).detail.at("curve").at("hidden").back() == 0);
}

TEST_CASE("healing block by block brings every block's output nearer, and the whole model") {
  for (const std::string form : {"svd:keep=0.5", "mpo:keep=0.5", "tucker:keep=0.5,head_size=8",
                                 "int4:group=32@attn/gate/up", "svd:keep=0.6+int8@mlp"}) {
    CAPTURE(form);
    const Model cut = Compressed(ParseRecipe(form));
    const Evaluation before = Distance(cut);
    const Healed healed = Heal(form + "+" + kHeal + ",tokens=4k,scope=block");
    const Evaluation after = Distance(healed.model);
    CAPTURE(before.divergence, after.divergence, before.hidden, after.hidden, healed.detail.dump());
    CHECK(after.divergence < 0.8 * before.divergence);
    CHECK(after.hidden < before.hidden);
    CHECK(healed.model.size().bytes == cut.size().bytes);
    CHECK(at::equal(healed.model.embedding.linear->Rebuild(), cut.embedding.linear->Rebuild()));
    CHECK(at::equal(healed.model.final_norm, cut.final_norm));
    // Every block sees all tokens, 63 steps of 64, and leaves a curve.
    CHECK(healed.detail.at("tokens") == 63 * 64);
    CHECK(healed.detail.at("steps") == 63);
    const Json& blocks = healed.detail.at("blocks");
    REQUIRE(blocks.size() == 2);
    int64_t parameters = 0;
    for (const Json& block : blocks) {
      CHECK(block.at("error_after") < block.at("error_before"));
      CHECK(block.at("curve").at("step").size() == 63);
      CHECK(block.at("curve").at("tokens").back() == 63 * 64);
      CHECK(block.at("curve").at("hidden") == block.at("curve").at("loss"));
      parameters += block.at("trained_parameters").get<int64_t>();
    }
    CHECK(healed.detail.at("trained_parameters") == parameters);
    // Of one block at a time.
    CHECK(healed.detail.at("optimizer_bytes") == 8 * parameters / 2);
  }
}

TEST_CASE("healing block by block trains the blocks that were selected and nothing else") {
  const Model cut = Compressed(ParseRecipe("svd:keep=0.5"));
  const Healed healed = Heal("svd:keep=0.5+" + kHeal + ",tokens=500,scope=block@blocks(1)");
  REQUIRE(healed.detail.at("blocks").size() == 1);
  CHECK(healed.detail.at("blocks")[0].at("block") == 1);
  const auto same = [&](const Linear& a, const Linear& b) { return at::equal(a.Rebuild(), b.Rebuild()); };
  for (size_t i = 0; i < 2; ++i) {
    CAPTURE(i);
    const Block &now = healed.model.blocks[i], &was = cut.blocks[i];
    CHECK(same(*now.q.linear, *was.q.linear) == (i == 0));
    CHECK(same(*now.down.linear, *was.down.linear) == (i == 0));
    CHECK(at::equal(now.attention_norm, was.attention_norm) == (i == 0));
    CHECK(at::equal(now.mlp_norm, was.mlp_norm) == (i == 0));
  }
  // What was not compressed puts out what it should: there is nothing to learn.
  const Healed control = Heal(kHeal + ",tokens=200,scope=block,decay=0");
  for (const Json& block : control.detail.at("blocks")) {
    CHECK(block.at("error_before").get<double>() < 1e-10);  // fp32
    CHECK(block.at("error_after").get<double>() < 1e-4);    // Adam makes steps of any gradient that is not 0
  }
}

TEST_CASE("healing trains what it is told to") {
  const Model cut = Compressed(ParseRecipe("mpo:keep=0.5@attn"));
  const auto changed = [&](const Healed& healed, const std::string& name) {
    std::vector<bool> weights;
    const Linear *now = nullptr, *was = nullptr;
    for (const LinearSlot* slot : healed.model.Slots()) now = slot->name == name ? slot->linear.get() : now;
    for (const LinearSlot* slot : cut.Slots()) was = slot->name == name ? slot->linear.get() : was;
    for (int64_t i = 0; i < now->weight_count(); ++i)
      weights.push_back(!at::equal(now->weight(i)->Dense(), was->weight(i)->Dense()));
    return weights;
  };
  const std::string base = "mpo:keep=0.5@attn+" + kHeal + ",tokens=200";
  using Flags = std::vector<bool>;
  const Healed attention = Heal(base + "@attn");
  CHECK(changed(attention, "blocks.1.q") == Flags{true, true});
  CHECK(changed(attention, "blocks.1.up") == Flags{false});
  const Healed everything = Heal(base + "@all");
  CHECK(changed(everything, "embedding") == Flags{true});
  CHECK(changed(everything, "blocks.0.down") == Flags{true});
  const Healed factorized = Heal(base + ",train=factorized");
  CHECK(changed(factorized, "blocks.0.o") == Flags{true, true});
  CHECK(changed(factorized, "blocks.0.gate") == Flags{false});
  const Healed auxiliary = Heal(base + ",train=auxiliary");
  const Flags flags = changed(auxiliary, "blocks.0.q");
  CHECK(std::count(flags.begin(), flags.end(), true) == 1);
  CHECK(changed(auxiliary, "blocks.0.gate") == Flags{false});
}

TEST_CASE("a stopped healing goes on, and ends as one that was not") {
  const testing::TemporaryFolder folder;
  const std::string recipe = "svd:keep=0.5+" + kHeal + ",tokens=1k";
  const Healed whole = Heal(recipe);
  CHECK(whole.detail.at("curve").at("step").size() == 16);
  // A checkpoint after 10 steps, of a training that is known by the same key.
  const std::filesystem::path file = folder / "checkpoint";
  struct Stopped {};
  int64_t steps = 0;
  const auto count = [&](int64_t last) {
    return [&, last](WholeModelContext& context) {
      context.checkpoint = file;
      context.checkpoint_seconds = 0;
      context.progress = [&, last](const std::string& title, int64_t done, int64_t total,
                                   const std::string&) {
        CHECK(title == "heal");
        CHECK(total == 16);
        if (done > last) throw Stopped();
        ++steps;
      };
    };
  };
  CHECK_THROWS_AS(Heal(recipe, count(10)), Stopped);
  CHECK(steps == 10);
  steps = 0;
  const Healed again = Heal(recipe, count(16));
  CHECK(steps == 6);
  CHECK(ContentHash(whole.model) == ContentHash(again.model));
  CHECK(again.detail.at("curve").at("loss") == whole.detail.at("curve").at("loss"));
  CHECK(ContentHash(whole.model) != ContentHash(Compressed(ParseRecipe("svd:keep=0.5"))));
  // Another learning rate is another training.
  steps = 0;
  Heal("svd:keep=0.5+heal:data=text,length=32,lr=0.004,precision=fp32,tokens=1k", count(16));
  CHECK(steps == 16);
}

TEST_CASE("a stopped healing block by block goes on, and ends as one that was not") {
  const std::string recipe = "svd:keep=0.5+" + kHeal + ",tokens=1k,scope=block";  // 16 steps a block
  const Healed whole = Heal(recipe);
  struct Stopped {};
  // After every step a checkpoint, or at the end of a block alone.
  for (const auto& [seconds, stop, left] :
       {std::tuple{0.0, 6, 26}, {0.0, 16, 16}, {0.0, 20, 12}, {1e9, 20, 16}}) {
    CAPTURE(seconds, stop);
    const testing::TemporaryFolder folder;
    int64_t steps = 0;
    const auto until = [&](int64_t last) {
      return [&, last](WholeModelContext& context) {
        context.checkpoint = folder / "checkpoint";
        context.checkpoint_seconds = seconds;
        context.progress = [&, last](const std::string&, int64_t done, int64_t total, const std::string&) {
          CHECK(total == 32);
          if (done > last) throw Stopped();
          ++steps;
        };
      };
    };
    CHECK_THROWS_AS(Heal(recipe, until(stop)), Stopped);
    steps = 0;
    const Healed again = Heal(recipe, until(32));
    CHECK(steps == left);
    CHECK(ContentHash(whole.model) == ContentHash(again.model));
    for (size_t i = 0; i < 2; ++i) {
      const Json &one = whole.detail.at("blocks")[i], &other = again.detail.at("blocks")[i];
      CHECK(one.at("curve").at("loss") == other.at("curve").at("loss"));
      CHECK(one.at("error_before") == other.at("error_before"));
      CHECK(one.at("error_after") == other.at("error_after"));
    }
  }
}

TEST_CASE("a block that puts out what is not finite ends the healing and is named") {
  const auto broken = [](const std::string& name) {
    return [name](WholeModelContext& context) {
      const LinearReader read = context.original.linear;
      context.original.linear = [=](const LinearSlot& slot, int64_t rows, int64_t cols) {
        std::unique_ptr<Linear> linear = read(slot, rows, cols);
        if (slot.name != name) return linear;
        return MakeDenseLinear(
            MakeDenseWeight(linear->Rebuild().fill_(std::numeric_limits<float>::quiet_NaN())));
      };
    };
  };
  CHECK_THROWS_WITH(Heal("svd+" + kHeal + ",tokens=200,scope=block", broken("blocks.1.up")),
                    Contains("not finite") && Contains("block 1"));
}

TEST_CASE("an adapter is an option of healing, with a scale, and without a choice of what trains") {
  const std::string canonical = ParseRecipe("int4+heal:lora=8").text;
  CHECK_THAT(canonical, Contains("alpha=64,") && Contains("lora=8,") && !Contains("train="));
  CHECK(ParseRecipe(canonical).text == canonical);
  CHECK(ShortRecipe(canonical) == "int4+heal:lora=8");
  CHECK(ParseRecipe("heal:lora=0").text == ParseRecipe("heal").text);
  CHECK(ControlRecipe(ParseRecipe("int4+heal:lora=8")) == ParseRecipe("heal:lora=8").text);
  CHECK_THAT(testing::RecipeError("heal:alpha=8"), Contains("goes with lora!=0"));
  CHECK_THAT(testing::RecipeError("heal:lora=8,train=factorized"), Contains("goes with lora=0"));
  CHECK_THAT(testing::RecipeError("heal:lora=-1"), Contains("0 to 65536"));
}

TEST_CASE("an adapter brings a packed model closer to the uncompressed one, whose codes stay") {
  for (const std::string form :
       {"int4", "int8", "nf4:scales=double", "q4_0", "pq:bits=3", "mpo:keep=0.5", "magnitude+fp16", "fp16"}) {
    CAPTURE(form);
    const Model cut = Compressed(ParseRecipe(form));
    const double before = Distance(cut).divergence;
    const bool close = form == "int8" || form == "fp16";  // nothing to bring back: the text is learned
    const Healed healed = Heal(form + "+heal:data=text,length=32,precision=fp32,tokens=8k,lora=4," +
                               (close ? "lr=0.005,kd=0" : "lr=0.001,kd=1"));
    const double after = Distance(healed.model).divergence;
    CAPTURE(before, after);
    CHECK((after < 0.3 * before) != close);
    const Json& curve = healed.detail.at("curve");
    CHECK(curve.at("loss").back() < curve.at("loss").front());
    int64_t values = 0;
    for (size_t block = 0; block < 2; ++block) {
      const Block &now = healed.model.blocks[block], &was = cut.blocks[block];
      CHECK(at::equal(now.attention_norm, was.attention_norm));
      CHECK(at::equal(now.mlp_norm, was.mlp_norm));
      for (const auto place : {&Block::q, &Block::k, &Block::o, &Block::down}) {
        const Linear &sum = *(now.*place).linear, &base = *(was.*place).linear;
        REQUIRE(sum.weight_count() == base.weight_count() + 2);
        for (int64_t i = 0; i < base.weight_count(); ++i) {
          CHECK(sum.weight(i)->format() == base.weight(i)->format());
          CHECK(at::equal(sum.weight(i)->Dense(), base.weight(i)->Dense()));
        }
        CHECK(sum.weight(base.weight_count())->format() == "bf16 act=fp32");
      }
    }
    for (const LinearSlot* slot : cut.Slots())
      if (slot->block >= 0) values += 4 * (slot->linear->out_features() + slot->linear->in_features());
    CHECK(healed.model.size().bytes == cut.size().bytes + 2 * values);
    CHECK(healed.detail.at("trained_parameters") == values);
    CHECK(healed.detail.at("gradient_bytes") == 4 * values);
    CHECK(healed.detail.at("optimizer_bytes") == 8 * values);
    CHECK(at::equal(healed.model.embedding.linear->Rebuild(), cut.embedding.linear->Rebuild()));
  }
}

TEST_CASE("a healing with adapters tells what linears are now, and goes on where it was stopped") {
  const testing::TemporaryFolder folder;
  const std::string recipe = "int4+" + kHeal + ",tokens=1k,lora=4@attn";
  std::map<std::string, double> errors;
  const Healed whole = Heal(recipe, [&](WholeModelContext& context) {
    context.changed = [&](const LinearSlot& slot, const at::Tensor& before) {
      errors[slot.name] = (slot.linear->Rebuild() - before).norm().item<double>();
      CHECK(slot.linear->adapted());
    };
  });
  CHECK(errors.size() == 8);
  const Model cut = Compressed(ParseRecipe("int4"));
  for (const LinearSlot* slot : whole.model.Slots()) {
    const LinearSlot* was = nullptr;
    for (const LinearSlot* other : cut.Slots()) was = other->name == slot->name ? other : was;
    if (errors.count(slot->name) == 0) continue;
    const double moved = (slot->linear->Rebuild() - was->linear->Rebuild()).norm().item<double>();
    CHECK(moved > 0);
    CHECK(errors.at(slot->name) == Approx(moved).epsilon(1e-4));  // a difference of fp32 sums
  }
  struct Stopped {};
  const auto until = [&](int64_t last) {
    return [&, last](WholeModelContext& context) {
      context.checkpoint = folder / "checkpoint";
      context.checkpoint_seconds = 0;
      context.progress = [last](const std::string&, int64_t done, int64_t, const std::string&) {
        if (done > last) throw Stopped();
      };
    };
  };
  CHECK_THROWS_AS(Heal(recipe, until(10)), Stopped);
  const Healed again = Heal(recipe, until(16));
  CHECK(ContentHash(whole.model) == ContentHash(again.model));
  CHECK(again.detail.at("curve").at("loss") == whole.detail.at("curve").at("loss"));
}

TEST_CASE("later stages store an adapter in another way, and leave the codes that it corrects") {
  const auto after = [](const std::string& stages, const std::string& later) {
    const Recipe recipe = ParseRecipe(stages + kHeal + ",tokens=200,lora=4+" + later);
    Model model = Compressed(recipe);
    const size_t heal = LinearStages(recipe, 0).end;
    recipe.stages[heal].whole_model()->ApplyToModel(model, ContextOf(recipe.stages[heal]));
    for (LinearSlot* slot : model.Slots()) ApplyRecipe(recipe, *slot, LinearStages(recipe, heal + 1));
    return model;
  };
  CHECK(after("int4+", "int8").blocks[0].up.linear->Describe() ==
        "dense int4 g32 asym + network of 2 cores, int8 row");
  CHECK(after("", "int8").blocks[0].up.linear->Describe() == "dense int8 row + network of 2 cores, int8 row");
  CHECK(after("int4+", "fp16").blocks[0].up.linear->Describe() ==
        "dense int4 g32 asym + network of 2 cores, fp16");
  // A factorizing stage takes the sum.
  const Model merged = after("int4+", "svd:keep=0.5");
  CHECK(merged.blocks[0].up.linear->Describe() == "network of 2 cores, fp32");
  CHECK_FALSE(merged.blocks[0].up.linear->adapted());
  // A second adapter trains beside the first.
  Model twice = after("int4+", "fp16");
  const at::Tensor first = twice.blocks[0].q.linear->weight(2)->Dense();
  const Recipe more = ParseRecipe(kHeal + ",tokens=200,lora=2,seed=1");
  more.stages[0].whole_model()->ApplyToModel(twice, ContextOf(more.stages[0]));
  const Linear& linear = *twice.blocks[0].q.linear;
  REQUIRE(linear.weight_count() == 5);
  CHECK(at::equal(linear.weight(2)->Dense(), first));
  CHECK(linear.weight(4)->Dense().abs().max().item<double>() > 0);
}

TEST_CASE("a healing that cannot be says why") {
  const auto message = [](const std::string& recipe) {
    try {
      Heal(recipe);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK_THAT(message("svd+heal:data=text,length=128"),
             Contains("longer than the model's context") && Contains("64"));
  CHECK_THAT(message("svd+heal:data=text,length=32,train=factorized@embed"),
             Contains("nothing would be trained"));
  CHECK_THAT(message("svd+heal:data=text,length=32,scope=block@embed"), Contains("nothing would be trained"));
  for (const std::string other : {"kd=0.5", "temperature=2", "hidden=1"}) {
    CHECK_THAT(testing::RecipeError("heal:scope=block," + other),
               Contains("of the loss of the whole model") && Contains("scope=model"));
  }
  CHECK_THAT(message("int4+heal:data=text,length=32,lora=17"),
             Contains("impossible rank") && Contains("1 to 16 for 16 x 32") && Contains("blocks.0.k"));
}

}  // namespace tnb
