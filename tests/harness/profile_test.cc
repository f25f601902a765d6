// Layer profiles: the places, the allocation made of them, and the command from its cells to its file.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "harness/profile_plan.h"
#include "harness/profile_proxies.h"
#include "tests/harness/program.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::Outcome;
using testing::Program;
using Names = std::vector<std::string>;

ModelConfig Config(int64_t blocks) {
  ModelConfig config;
  config.vocabulary_size = 100;
  config.hidden_size = 32;
  config.intermediate_size = 64;
  config.block_count = blocks;
  config.head_count = 4;
  config.kv_head_count = 2;
  config.head_size = 8;
  config.context_length = 64;
  config.tied_head = true;
  return config;
}

Names NamesOf(const std::vector<ProfilePlace>& places) {
  Names names;
  for (const ProfilePlace& place : places) names.push_back(place.name);
  return names;
}

TEST_CASE("places are layers of some blocks, kinds, or blocks") {
  const ModelConfig config = Config(12);
  const auto layers = PlanPlaces(config, "svd:keep=0.5", {});
  CHECK(layers.size() == 4 * 6);  // blocks 0, 2, 6, 11; everything but down
  CHECK(layers[0].name == "blocks.0.q");
  CHECK(layers[0].selector == "q/blocks(0)");
  CHECK(layers.back().name == "blocks.11.up");
  CHECK(layers.back().linears == Names{"blocks.11.up"});
  CHECK(PlanPlaces(config, "svd", {.layers = "down", .blocks = "3,5"}).size() == 2);
  CHECK(PlanPlaces(config, "int8", {.blocks = "all"}).size() == 12 * 7);

  const auto kinds = PlanPlaces(config, "svd", {.by = "kind"});
  CHECK(NamesOf(kinds) == Names{"q", "k", "v", "o", "gate", "up"});
  CHECK(kinds[4].selector == "gate");
  CHECK(kinds[4].linears.size() == 12);
  CHECK(PlanPlaces(config, "svd", {.by = "kind", .blocks = "0,11"})[0].selector == "q/blocks(0)/blocks(11)");

  const auto blocks = PlanPlaces(config, "svd", {.by = "block", .layers = "attn/embed", .blocks = "4"});
  REQUIRE(NamesOf(blocks) == Names{"embedding", "blocks.4"});
  CHECK(blocks[0].selector == "embed");
  CHECK(blocks[1].selector == "q/k/v/o/blocks(4)");
  CHECK(blocks[1].linears.size() == 4);

  CHECK_THROWS_WITH(PlanPlaces(config, "svd", {.blocks = "12"}), Contains("0 to 11"));
  CHECK_THROWS_WITH(PlanPlaces(config, "svd", {.layers = "head"}), Contains("nothing is selected"));
  CHECK_THROWS_AS(PlanPlaces(config, "svd", {.layers = "nonsense"}), Error);
  // Few blocks: those that there are.
  CHECK(PlanPlaces(Config(1), "svd", {}).size() == 6);
}

TEST_CASE("the place is the selector of every stage") {
  CHECK(MethodAt("svd:keep=0.6", "q/blocks(3)") == "svd:keep=0.6@q/blocks(3)");
  CHECK(MethodAt("mpo:keep=0.6+int8", "gate") == "mpo:keep=0.6@gate+int8@gate");
  CHECK(MethodAt("rotate+int4", "up") == "rotate+int4@up");
  CHECK_THROWS_WITH(MethodAt("svd@q", "up"), Contains("without '@'"));
  CHECK_THROWS_AS(MethodAt("nonsense", "up"), Error);
}

ProfilePoint At(const std::string& method, int64_t block, const std::string& kind, double kept, double loss) {
  return {.method = method,
          .place = "x",
          .block = block,
          .kind = kind,
          .loss = loss,
          .parameters = static_cast<int64_t>(kept * 1000),
          .dense_parameters = 1000};
}

TEST_CASE("a budget goes where the profile says that it is worth most") {
  std::vector<SelectedLinear> linears;
  for (int64_t block = 0; block < 3; ++block) {
    linears.push_back({std::string("blocks.") + std::to_string(block) + ".q", "q", block, 1000});
    linears.push_back({std::string("blocks.") + std::to_string(block) + ".up", "up", block, 1000});
  }
  LayerProfile profile;
  // q is worth nothing; up much, and most in block 0. Block 1 was not measured: between its neighbors.
  for (const int64_t block : {0, 2}) {
    profile.points.push_back(At("svd:keep=0.2", block, "q", 0.2, 0.001));
    profile.points.push_back(At("svd:keep=0.2", block, "up", 0.2, block == 0 ? 9.0 : 1.0));
    profile.points.push_back(At("svd:keep=0.6", block, "up", 0.6, block == 0 ? 3.0 : 0.3));
  }
  profile.points.push_back(
      {.method = "svd:keep=0.6", .place = "blocks.0.q", .block = 0, .kind = "q", .failure = "crashed"});
  const auto keep = KeepOfProfile(profile, linears, 0.5);
  REQUIRE(keep.size() == 6);
  double total = 0;
  for (const auto& [name, share] : keep) total += share;
  CHECK(total <= 3.0 + 1e-9);
  CHECK(keep.at("blocks.0.q") == 0.2);
  CHECK(keep.at("blocks.1.q") == 0.2);
  CHECK(keep.at("blocks.0.up") == 1.0);
  CHECK(keep.at("blocks.1.up") >= keep.at("blocks.2.up"));
  CHECK(KeepOfProfile(profile, linears, 1.0).at("blocks.2.up") == 1.0);
  CHECK_THROWS_WITH(KeepOfProfile(profile, linears, 0.1), Contains("at least 0.2"));
  CHECK_THROWS_WITH(KeepOfProfile(LayerProfile{}, linears, 0.5), Contains("no sizes"));
  // What noise says of fewer parameters being better is not believed.
  LayerProfile noisy;
  noisy.points = {At("a", -1, "q", 0.3, 0.1), At("b", -1, "q", 0.6, 0.4), At("c", -1, "up", 0.5, 9)};
  const auto chosen = KeepOfProfile(noisy, linears, 0.65);
  CHECK(chosen.at("blocks.0.q") == 0.3);
  CHECK(chosen.at("blocks.0.up") == 1.0);
}

TEST_CASE("a place of several kinds stands for all of them") {
  LayerProfile profile;
  profile.points = {At("svd", 0, "", 0.5, 1), At("svd", 1, "", 0.5, 5)};
  const std::vector<SelectedLinear> linears = {{"blocks.0.q", "q", 0, 100}, {"blocks.1.q", "q", 1, 100}};
  const auto keep = KeepOfProfile(profile, linears, 0.75);
  CHECK(keep.at("blocks.0.q") == 0.5);
  CHECK(keep.at("blocks.1.q") == 1.0);
}

TEST_CASE("effective ranks tell low rank from Kronecker products") {
  auto random = at::make_generator<at::CPUGeneratorImpl>(uint64_t{3});
  const at::Tensor noise = at::randn({64, 64}, random, at::kFloat);
  const EffectiveRanks gaussian = EffectiveRanksOf(noise);
  CHECK(gaussian.plain > 0.5);
  CHECK(gaussian.rearranged == Approx(gaussian.plain).margin(0.05));
  const EffectiveRanks low = EffectiveRanksOf(at::matmul(noise.narrow(1, 0, 2), noise.narrow(0, 0, 2)));
  CHECK(low.plain <= 2.0 / 64 + 1e-4);
  CHECK(low.rearranged > 0.3);
  const EffectiveRanks kronecker = EffectiveRanksOf(
      at::kron(noise.narrow(0, 0, 8).narrow(1, 0, 8), noise.narrow(0, 8, 8).narrow(1, 8, 8)));
  CHECK(kronecker.rearranged == Approx(1.0 / 64).epsilon(1e-3));
  CHECK(kronecker.plain > 0.1);
  CHECK(EffectiveRanksOf(at::eye(16)).plain == Approx(1));
  CHECK(EffectiveRanksOf(at::zeros({8, 8})).plain == 0);
  CHECK(EffectiveRanksOf(noise.narrow(0, 0, 13)).rearranged > 0);  // a prime
}

Names ProfileArguments(const Names& more) {
  Names all = {"profile",   "--model", "./model",        "--db", "results.db",   "--artefacts", "artefacts",
               "--threads", "1",       "--drift-tokens", "100",  "--drift-text", "text.txt"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// Compressed models, besides statistics and the base's log-probabilities.
size_t Artefacts(const Program& program) {
  size_t count = 0;
  for (const auto& file : std::filesystem::directory_iterator(program / "artefacts")) {
    const std::string name = file.path().filename().string();
    count += name.starts_with("statistics-") || name.starts_with("base-logits-") ? 0 : 1;
  }
  return count;
}

TEST_CASE("a profile is made of ordinary runs, resumed, and read as an allocation") {
  const Program program;
  std::string text;
  for (int i = 0; i < 200; ++i) text += "There are " + std::to_string(i * 7919) + " small houses here. ";
  WriteFileAtomically(program / "text.txt", text);
  const Names arguments =
      ProfileArguments({"--method", "svd:keep=0.3,svd:keep=0.7", "--by", "kind", "--layers", "q/up", "--data",
                        "text.txt", "--out", "keep.json", "--budget", "0.5"});
  const Outcome dry =
      program.Run(ProfileArguments({"--method", "svd", "--layers", "q", "--blocks", "1", "--dry-run"}));
  CHECK(dry.output == "fp32\nsvd@q/blocks(1)\n");
  CHECK(!std::filesystem::exists(program / "results.db"));
  const Outcome first = program.Run(arguments);
  INFO(first.errors);
  REQUIRE(first.exit_code == 0);
  CHECK_THAT(first.output, Contains("sensitivity of") && Contains("svd:keep=0.3") && Contains("up"));
  CHECK_THAT(first.output,
             Contains("output error") && Contains("weight error") && Contains("effective rank"));
  const Json keep = ReadJsonFile(program / "keep.json");
  CHECK(keep.size() == 4);
  double kept = 0, all = 0;
  for (const auto& [name, share] : keep.items()) {
    const double size = name.ends_with(".up") ? 64 * 32 : 32 * 32;
    kept += share.get<double>() * size;
    all += size;
  }
  CHECK(kept <= 0.5 * all);
  CHECK(kept >= 0.25 * all);
  {
    const Store store = program.Database();
    CHECK(store.Runs({}).size() == 5);
    CHECK(store.Run(2).method.text.find("@q") != std::string::npos);
    CHECK(testing::PhaseOf(store, 2, "drift").status == PhaseStatus::kOk);
  }
  CHECK(Artefacts(program) == 1);  // the base's
  // Again: nothing is measured, and the same is said.
  const Outcome second = program.Run(arguments);
  REQUIRE(second.exit_code == 0);
  CHECK(second.output == first.output);
  CHECK(program.Database().Runs({}).size() == 5);
}

TEST_CASE("a profile on a task, and what it refuses") {
  const Program program(6);
  WriteFileAtomically(program / "text.txt", "x");
  Names arguments = {"profile",     "--model",   "./model", "--db",         "results.db",
                     "--artefacts", "artefacts", "--tasks", "./task.json",  "--method",
                     "int8",        "--by",      "block",   "--no-proxies", "--json"};
  const Outcome outcome = program.Run(arguments);
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  const Json tables = ParseJson(outcome.output, "output");
  REQUIRE(tables.size() == 2);
  CHECK(tables[0]["rows"].size() == 2);       // both blocks
  CHECK(tables[1]["rows"][0]["kept"] == "");  // codes are no parameters
  CHECK_THAT(tables[0]["caption"].get<std::string>(), Contains("loss of tiny acc"));
  CHECK_THAT(tables[0]["notes"].dump(), Contains("n=6, protocol tiny"));
  const auto refused = [&](const Names& more) {
    const Outcome bad = program.Ask(ProfileArguments(more));
    CHECK(bad.exit_code == 2);
    CHECK(testing::IsOneLineError(bad.errors));
    return bad.errors;
  };
  CHECK_THAT(refused({"--method", "svd@q"}), Contains("without '@'"));
  CHECK_THAT(refused({"--phases", "speed"}), Contains("--phases"));
  CHECK_THAT(refused({"--no-base"}), Contains("dense model"));
  CHECK_THAT(refused({"--blocks", "7"}), Contains("0 to 1"));
}

}  // namespace
}  // namespace tnb
