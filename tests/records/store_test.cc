#include "records/store.h"

#include <cmath>
#include <limits>

#include "tests/records/sample.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::BeginSampleRun;
using testing::SampleModel;

TEST_CASE("equal content is one row") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  CHECK(store.PutMethod("int8") == store.PutMethod("int8"));
  CHECK(store.PutMethod("int8") != store.PutMethod("int4"));
  CHECK(store.PutMachine({.name = "a", .facts = {{"x", 1}, {"y", 2}}}) ==
        store.PutMachine({.name = "a", .facts = {{"y", 2}, {"x", 1}}}));
  CHECK(store.PutBuild({.commit = "a"}) != store.PutBuild({.commit = "b"}));
  const int64_t protocol = store.PutProtocol({.name = "arc", .content = {{"shots", 25}}});
  CHECK(store.PutProtocol({.name = "arc", .content = {{"shots", 25}}}) == protocol);
  CHECK(store.Protocol(protocol).hash == HashOf({{"shots", 25}}));
  const int64_t model = store.PutModel(SampleModel());
  ModelRow moved = SampleModel();
  moved.path = "elsewhere";
  CHECK(store.PutModel(moved) == model);
  const int64_t run = BeginSampleRun(store, "int8");
  CHECK(store.Run(run).cell.model_id == model);
  const int64_t dataset =
      store.PutDataset({.hash = Sha256Hex("d"), .name = "arc", .split = "test", .items = 10});
  CHECK(store.Dataset(dataset).items == 10);
  CHECK_THROWS_WITH(store.Dataset(99), Contains("no dataset 99"));
  CHECK_THROWS_WITH(store.PutModel({.hash = "xyz", .name = "m"}), Contains("64 hexadecimal"));
}

TEST_CASE("items of an earlier phase are given to a new one once") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const Json settings = {{"artefact", "abc"}, {"limit", 4}};
  const auto begin = [&] {
    return store.BeginPhase(
        {.run_id = BeginSampleRun(store, "int8"), .name = "quality", .settings = settings});
  };
  const int64_t first = begin(), second = begin(), other = begin();
  for (int64_t doc = 0; doc < 5; ++doc) {
    store.AddItems(
        {{.phase_id = first, .task = "a", .doc_index = doc, .text = "first", .scores = {{"x", 0.1}}},
         {.phase_id = first, .task = "b", .doc_index = doc}});
  }
  store.AddItems({{.phase_id = second, .task = "a", .doc_index = 1, .text = "own"}});
  CHECK(store.CopyItems(first, second, "a", 4) == 3);
  CHECK(store.CopyItems(first, second, "a", 4) == 0);
  const std::vector<ItemRow> items = store.Items(second);
  REQUIRE(items.size() == 4);
  CHECK(items[0].text == "first");
  CHECK(items[0].scores["x"] == 0.1);
  CHECK(items[1].text == "own");
  CHECK(store.Items(first).size() == 10);
  CHECK(store.ItemOrigins(first, "a").empty());
  CHECK(store.CopyItems(second, other, "a", 9) == 4);
  const std::vector<ItemOrigin> origins = store.ItemOrigins(other, "a");
  REQUIRE(origins.size() == 2);  // three of the first run, one of the second
  CHECK(origins[0].run_id == 1);
  CHECK(origins[0].items == 3);
  CHECK(origins[0].uuid == store.Run(1).run.uuid);
  CHECK(origins[0].commit == "abc1234");
  CHECK(origins[1].run_id == 2);
  CHECK(origins[1].items == 1);

  CHECK(store.EndedPhases("quality", "abc").empty());  // all still running
  store.FinishPhase(first, {.status = PhaseStatus::kFailed, .reason = "no power"});
  store.FinishPhase(second, {});
  store.AdoptPhase(BeginSampleRun(store, "int8"), second);
  const std::vector<PhaseRow> ended = store.EndedPhases("quality", "abc");
  REQUIRE(ended.size() == 2);  // not the running one, and not the adopted one
  CHECK(ended[0].id == second);
  CHECK(ended[1].id == first);
  CHECK(store.EndedPhases("quality", "abd").empty());
  CHECK(store.EndedPhases("speed", "abc").empty());
}

TEST_CASE("every kind of row comes back as written") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const int64_t run = BeginSampleRun(store, "mpo:chi=64+int8");
  const int64_t phase = store.BeginPhase({.run_id = run, .name = "quality", .settings = {{"limit", 10}}});

  store.AddStage({.phase_id = phase, .position = 1, .text = "int8", .seconds = 2.5, .peak_bytes = 99});
  store.AddStage({.phase_id = phase, .position = 0, .text = "mpo:chi=64", .seconds = 1});
  const std::vector<StageRow> stages = store.Stages(phase);
  REQUIRE(stages.size() == 2);
  CHECK(stages[0].text == "mpo:chi=64");
  CHECK_FALSE(stages[0].peak_bytes);
  CHECK(stages[1].peak_bytes == 99);

  store.AddLayers({{.phase_id = phase,
                    .name = "blocks.0.q",
                    .format = "dense",
                    .rows = 3,
                    .cols = 4,
                    .parameters = 12,
                    .codes_bits = 8,
                    .stored_bytes = 48,
                    .relative_error = 0.1,
                    .detail = {{"ranks", {1, 2}}}}});
  const LayerRow layer = store.Layers(phase).at(0);
  CHECK(layer.name == "blocks.0.q");
  CHECK(layer.cols == 4);
  CHECK(layer.stored_bytes == 48);
  CHECK(layer.relative_error == 0.1);
  CHECK_FALSE(layer.discarded_weight);
  CHECK(layer.detail["ranks"][1] == 2);

  const int64_t protocol = store.PutProtocol({.name = "arc 25-shot", .content = {{"shots", 25}}});
  store.AddMetric({.phase_id = phase,
                   .name = "acc",
                   .task = "arc",
                   .filter = "none",
                   .variant = "v",
                   .value = 1.0 / 3,
                   .unit = "fraction",
                   .n = 30,
                   .se = 0.05,
                   .main = true,
                   .protocol_id = protocol});
  store.AddMetric({.phase_id = phase,
                   .name = "perplexity",
                   .value = std::numeric_limits<double>::infinity(),
                   .unit = "per token"});
  const std::vector<MetricRow> metrics = store.Metrics(phase);
  REQUIRE(metrics.size() == 2);
  CHECK(metrics[0].value == 1.0 / 3);  // bit for bit
  CHECK(metrics[0].variant == "v");
  CHECK(metrics[0].n == 30);
  CHECK(metrics[0].se == 0.05);
  CHECK_FALSE(metrics[0].lo);
  CHECK(metrics[0].main);
  CHECK(metrics[0].protocol_id == protocol);
  CHECK(std::isinf(metrics[1].value));
  CHECK_FALSE(metrics[1].main);

  const std::string odd("caf\xc3\xa9 \xff\0 end", 13);  // generated text need not be valid UTF-8
  store.AddItems({{.phase_id = phase, .task = "b", .doc_index = 7, .text = odd, .scores = {{"acc", 1.0}}},
                  {.phase_id = phase,
                   .task = "b",
                   .doc_index = 2,
                   .prompt_sha256 = Sha256Hex("p"),
                   .prompt = "p",
                   .target = "1",
                   .loglikelihoods = {-1.25, -0.1},
                   .greedy = {true, false},
                   .tokens = 5,
                   .cluster = "passage 1"},
                  {.phase_id = phase, .task = "a", .doc_index = 0}});
  const std::vector<ItemRow> items = store.Items(phase);
  REQUIRE(items.size() == 3);
  CHECK(items[0].task == "a");
  CHECK(items[0].loglikelihoods.is_null());
  CHECK(items[1].doc_index == 2);
  CHECK(items[1].loglikelihoods[0] == -1.25);
  CHECK(items[1].greedy[1] == false);
  CHECK(items[1].tokens == 5);
  CHECK(items[1].cluster == "passage 1");
  CHECK(items[0].cluster.empty());
  CHECK(items[2].text == odd);
  CHECK(items[2].scores["acc"] == 1.0);
  CHECK(store.Items(phase, "b").size() == 2);
  CHECK(store.Items(phase, "c").empty());

  store.AddSamples(
      {{.phase_id = phase, .benchmark = "decode_64", .seconds = 0.5, .value = 128, .unit = "tokens/s"},
       {.phase_id = phase,
        .benchmark = "decode_64",
        .repetition = 1,
        .seconds = 0.25,
        .value = 256,
        .unit = "tokens/s"}});
  CHECK(store.Samples(phase).at(1).value == 256);

  store.AddArtefact({.phase_id = phase, .path = "a.tnb", .sha256 = Sha256Hex("a"), .bytes = 77});
  CHECK(store.Artefact(phase)->bytes == 77);
  CHECK_FALSE(store.Artefact(phase + 1));
  store.AddLog({.run_id = run, .phase_id = phase, .level = "warning", .text = "slow"});
  CHECK(store.Logs(run).at(0).text == "slow");
  CHECK_FALSE(store.Logs(run).at(0).time.empty());

  store.FinishPhase(phase, {.seconds = 3.5, .peak_bytes = 1000, .exit_code = 0});
  store.FinishRun(run, RunStatus::kPartial, "speed is missing");
  const RunView view = store.Run(run);
  CHECK(view.run.status == RunStatus::kPartial);
  CHECK(view.run.message == "speed is missing");
  CHECK(view.run.finished >= view.run.started);
  CHECK(view.run.uuid.size() == 36);
  CHECK(view.method.text == "mpo:chi=64+int8");
  CHECK(view.model.config["hidden_size"] == 8);
  CHECK(view.machine.facts["cores"] == 2);
  CHECK(view.build.commit == "abc1234");
  CHECK(view.cell.settings["seed"] == 1);
  const PhaseRow finished = store.Phases(run).at(0);
  CHECK(finished.status == PhaseStatus::kOk);
  CHECK(finished.seconds == 3.5);
  CHECK(finished.exit_code == 0);
  CHECK(finished.data_id == phase);
}

TEST_CASE("numbers that are not numbers are refused") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const int64_t phase = store.BeginPhase({.run_id = BeginSampleRun(store, "int8"), .name = "quality"});
  const double nan = std::nan("");
  CHECK_THROWS_WITH(store.AddMetric({.phase_id = phase, .name = "acc", .value = nan, .unit = "x"}),
                    Contains("NaN"));
  CHECK_THROWS_WITH(store.AddMetric({.phase_id = phase, .name = "acc", .value = 1, .unit = "x", .se = nan}),
                    Contains("NaN"));
  CHECK_THROWS_WITH(store.AddItems({{.phase_id = phase, .task = "t", .loglikelihoods = {-1.0, nan}}}),
                    Contains("item 0 of task t"));
  CHECK_THROWS_AS(store.AddMetric({.phase_id = phase, .name = "acc", .value = 1}), Error);  // no unit
  CHECK(store.Metrics(phase).empty());
  CHECK(store.Items(phase).empty());
}

TEST_CASE("a failed call changes nothing, inside and outside of a transaction") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const int64_t phase = store.BeginPhase({.run_id = BeginSampleRun(store, "int8"), .name = "quality"});
  const ItemRow item = {.phase_id = phase, .task = "t", .doc_index = 1};
  CHECK_THROWS_WITH(store.AddItems({item, item}), Contains("occurs twice"));
  CHECK(store.Items(phase).empty());
  CHECK_THROWS_AS(store.AddItems({{.phase_id = 999, .task = "t"}}), Error);  // no such phase

  CHECK_THROWS_AS(store.Transaction([&] {
    store.AddItems({item});
    throw Error(ErrorKind::kData, "the worker said so");
  }),
                  Error);
  CHECK(store.Items(phase).empty());

  store.Transaction([&] {
    store.AddItems({item});
    CHECK_THROWS_AS(store.AddItems({{.phase_id = phase, .task = "u"}, item}), Error);
  });
  CHECK(store.Items(phase).size() == 1);
}

TEST_CASE("a finished phase is found by its key and shared") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const int64_t run = BeginSampleRun(store, "int8");
  const Json settings = {{"tasks", {"arc"}}};
  const int64_t phase = store.BeginPhase({.run_id = run, .name = "quality", .settings = settings});
  PhaseKey key{SampleModel().hash, "int8", "quality", settings, ""};
  CHECK_FALSE(store.FindFinishedPhase(key));
  CHECK_THROWS_AS(store.AdoptPhase(run, phase), Error);  // not finished
  store.AddMetric({.phase_id = phase, .name = "acc", .value = 0.5, .unit = "fraction"});
  store.FinishPhase(phase, {});
  store.FinishRun(run, RunStatus::kFailed, "speed failed");  // the finished phase still counts

  CHECK(store.FindFinishedPhase(key)->id == phase);
  key.machine_hash = store.Run(run).machine.hash;
  CHECK(store.FindFinishedPhase(key)->id == phase);
  key.machine_hash = Sha256Hex("another machine");
  CHECK_FALSE(store.FindFinishedPhase(key));
  key.machine_hash.clear();
  for (PhaseKey other : {PhaseKey{SampleModel("x").hash, "int8", "quality", settings, ""},
                         PhaseKey{key.model_hash, "int4", "quality", settings, ""},
                         PhaseKey{key.model_hash, "int8", "speed", settings, ""},
                         PhaseKey{key.model_hash, "int8", "quality", {{"tasks", {"boolq"}}}, ""}}) {
    CHECK_FALSE(store.FindFinishedPhase(other));
  }

  const int64_t second = BeginSampleRun(store, "int8");
  const int64_t third = BeginSampleRun(store, "int8");
  const int64_t adopted = store.AdoptPhase(second, phase);
  store.AdoptPhase(third, adopted);  // of an adopted phase, the original is shared
  for (const int64_t adopter : {second, third}) {
    const PhaseRow row = store.Phases(adopter).at(0);
    CHECK(row.status == PhaseStatus::kOk);
    CHECK(row.data_id == phase);
    CHECK(store.Metrics(row.data_id).size() == 1);
  }
  CHECK(store.FindFinishedPhase(key)->id == phase);
}

TEST_CASE("a phase or run that did not work says why") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const int64_t run = BeginSampleRun(store, "int8");
  const int64_t crashed = store.BeginPhase({.run_id = run, .name = "compress"});
  CHECK_THROWS_AS(store.FinishPhase(crashed, {.status = PhaseStatus::kCrashed}), Error);  // without a reason
  store.FinishPhase(crashed,
                    {.status = PhaseStatus::kCrashed, .reason = "killed by signal 9", .exit_code = -9});
  CHECK_THROWS_AS(store.FinishPhase(crashed, {}), Error);  // has ended already
  store.SkipPhase({.run_id = run, .name = "speed"}, PhaseStatus::kNotMeasured, "the format is simulated");
  CHECK_THROWS_AS(store.SkipPhase({.run_id = run, .name = "x"}, PhaseStatus::kOk, "fine"), Error);
  CHECK_THROWS_AS(store.BeginPhase({.run_id = run, .name = "speed"}), Error);  // once a run
  const int64_t open = store.BeginPhase({.run_id = run, .name = "training"});
  store.FinishRun(run, RunStatus::kCrashed, "compress crashed");
  CHECK_THROWS_WITH(store.FinishRun(run, RunStatus::kOk), Contains("ended already"));
  CHECK_THROWS_AS(store.FinishRun(run, RunStatus::kRunning), Error);

  const std::vector<PhaseRow> phases = store.Phases(run);
  REQUIRE(phases.size() == 3);
  CHECK(phases[0].status == PhaseStatus::kCrashed);
  CHECK(phases[0].exit_code == -9);
  CHECK_FALSE(phases[0].seconds);
  CHECK(phases[1].reason == "the format is simulated");
  CHECK(phases[2].id == open);
  CHECK(phases[2].status == PhaseStatus::kCrashed);
}

TEST_CASE("runs whose driver is gone are closed") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const int64_t run = BeginSampleRun(store, "int8");
  const int64_t elsewhere = BeginSampleRun(store, "int8", {{"seed", 1}}, "nano", "server");
  const int64_t machine = store.Run(run).machine.id;
  CHECK(store.CloseAbandonedRuns(machine, [](int64_t process) { return process == 42; }) == 0);
  CHECK(store.CloseAbandonedRuns(machine, [](int64_t) { return false; }) == 1);
  CHECK(store.Run(run).run.status == RunStatus::kCrashed);
  CHECK(store.Run(elsewhere).run.status == RunStatus::kRunning);
}

TEST_CASE("runs are chosen by id, model, method and newness") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  CHECK(store.Runs().empty());
  CHECK_THROWS_WITH(store.Run(1), Contains("no run yet"));
  const int64_t ok = BeginSampleRun(store, "int8");
  store.FinishRun(ok, RunStatus::kOk);
  const int64_t failed = BeginSampleRun(store, "int8");
  store.FinishRun(failed, RunStatus::kFailed, "no");
  const int64_t other = BeginSampleRun(store, "int4");
  store.FinishRun(other, RunStatus::kFailed, "no");
  const int64_t big = BeginSampleRun(store, "int8", {{"seed", 2}}, "big");
  const auto ids = [&](const RunFilter& filter) {
    std::vector<int64_t> found;
    for (const RunView& view : store.Runs(filter)) found.push_back(view.run.id);
    return found;
  };
  CHECK(ids({}) == std::vector<int64_t>{ok, failed, other, big});
  CHECK(ids({.model = "nano", .method = "int8"}) == std::vector<int64_t>{ok, failed});
  CHECK(ids({.ids = {other, ok}}) == std::vector<int64_t>{ok, other});
  CHECK(ids({.newest_only = true}) == std::vector<int64_t>{ok, other, big});
  CHECK_THROWS_WITH(store.Run(99), Contains("no run 99") && Contains("runs are 1 to 4"));
}

}  // namespace
}  // namespace tnb
