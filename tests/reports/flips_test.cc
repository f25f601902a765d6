#include "reports/flips.h"

#include "reports/show.h"
#include "tests/records/sample.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::BeginSampleRun;

// A quality phase with one task of each kind; `choices` are log-likelihoods of two choices, right is `gold`.
class Quality {
 public:
  Quality(Store& store, const std::string& method, const Json& settings = {{"seed", 1}})
      : store_(store), run_(BeginSampleRun(store, method, settings)) {
    phase_ = store.BeginPhase({.run_id = run_, .name = "quality"});
  }
  void Choose(int64_t doc, const std::vector<double>& loglikelihoods, double right,
              const std::string& prompt = "p") {
    store_.AddItems({{.phase_id = phase_,
                      .task = "choice",
                      .doc_index = doc,
                      .prompt_sha256 = Sha256Hex(prompt),
                      .loglikelihoods = loglikelihoods,
                      .greedy = std::vector<bool>(loglikelihoods.size()),
                      .scores = {{"acc", right}}}});
  }
  void Write(const std::string& task, int64_t doc, const std::string& text, const Json& scores) {
    store_.AddItems({{.phase_id = phase_, .task = task, .doc_index = doc, .text = text, .scores = scores}});
  }
  int64_t Finish(int shots = 0) {
    const int64_t protocol = store_.PutProtocol({.name = "p", .content = {{"shots", shots}}});
    const auto add = [&](const std::string& task, const std::string& name, const std::string& filter,
                         const std::string& unit) {
      store_.AddMetric({.phase_id = phase_,
                        .name = name,
                        .task = task,
                        .filter = filter,
                        .value = 0.5,
                        .unit = unit,
                        .main = true,
                        .protocol_id = protocol});
    };
    add("choice", "acc", "none", "fraction");
    add("text", "exact_match", "strict", "fraction");
    add("summary", "rougeL", "none", "fraction");
    add("wiki", "word_perplexity", "none", "perplexity");
    store_.FinishPhase(phase_, {});
    store_.FinishRun(run_, RunStatus::kOk);
    return phase_;
  }
  int64_t run() const { return run_; }

 private:
  Store& store_;
  int64_t run_, phase_;
};

TEST_CASE("flips are counted by document, and an equal accuracy hides none") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  Quality base(store, "fp32@all"), compressed(store, "int8");
  base.Choose(0, {-1, -2}, 1);
  compressed.Choose(0, {-2, -1}, 0);  // right to wrong
  base.Choose(1, {-1, -2}, 0);
  compressed.Choose(1, {-2, -1}, 1);  // wrong to right
  base.Choose(2, {-1, -2}, 1);
  compressed.Choose(2, {-1.5, -2}, 1);  // same
  base.Choose(3, {-1, -2, -3}, 0);
  compressed.Choose(3, {-2, -1, -3}, 0);  // wrong in another way
  base.Choose(4, {-1, -2}, 1, "another prompt");
  compressed.Choose(4, {-2, -1}, 0);  // not the same question
  compressed.Choose(5, {-2, -1}, 0);  // not asked of the base
  for (int doc = 0; doc < 3; ++doc) base.Write("text", doc, "4", {{"exact_match,strict", 1.0}});
  compressed.Write("text", 0, "4", {{"exact_match,strict", 1.0}});
  compressed.Write("text", 1, "4.", {{"exact_match,strict", 1.0}});
  compressed.Write("text", 2, "5", {{"exact_match,strict", 0.0}});
  base.Write("summary", 0, "a dog", {{"rougeL", 1.0}});
  compressed.Write("summary", 0, "a cat", {{"rougeL", 0.5}});
  base.Write("wiki", 0, "", {{"loglikelihood", -3.0}});
  compressed.Write("wiki", 0, "", {{"loglikelihood", -4.0}});
  const int64_t first = base.Finish(), second = compressed.Finish();

  const std::vector<TaskFlips> flips = CountFlips(store, first, second);
  REQUIRE(flips.size() == 3);
  CHECK(flips[0].task == "choice");
  CHECK(flips[0].items == 4);
  CHECK(flips[0].right_to_wrong == 1);
  CHECK(flips[0].wrong_to_right == 1);
  CHECK(flips[0].changed == 3);
  CHECK(flips[1].task == "summary");
  CHECK_FALSE(flips[1].right_to_wrong);
  CHECK(flips[1].changed == 1);
  CHECK(flips[2].metric == "exact_match,strict");
  CHECK(flips[2].right_to_wrong == 1);
  CHECK(flips[2].wrong_to_right == 0);
  CHECK(flips[2].changed == 2);

  const Json shown = ShowRunJson(store, compressed.run());
  CHECK(shown["flips"]["base_run"] == base.run());
  CHECK(shown["flips"]["tasks"].size() == 3);
  CHECK(shown["flips"]["tasks"][1]["right_to_wrong"].is_null());
  CHECK_THAT(ShowRun(store, compressed.run()), Contains("answers against run 1, fp32@all"));
  CHECK(ShowRunJson(store, base.run())["flips"].is_null());

  Quality other(store, "int4");
  other.Choose(0, {-1, -2}, 1);
  CHECK(CountFlips(store, first, other.Finish(5)).empty());  // another protocol
}

TEST_CASE("the base of a run is uncompressed, of the same model and settings, and the newest") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  Quality elsewhere(store, "fp32@all", {{"seed", 2}}), half(store, "bf16:act=bf16@all"),
      partly(store, "fp32@q");
  Quality run(store, "int8");
  elsewhere.Finish();
  run.Finish();
  CHECK_FALSE(BaseRunOf(store, store.Run(run.run())));  // the others are of other settings or not finished
  half.Finish();
  partly.Finish();
  CHECK(BaseRunOf(store, store.Run(run.run()))->run.id == half.run());
  Quality old(store, "fp32@all"), newest(store, "fp32@all");
  old.Finish();
  newest.Finish();
  CHECK(BaseRunOf(store, store.Run(run.run()))->run.id == newest.run());
  CHECK_FALSE(BaseRunOf(store, store.Run(old.run())));
  CHECK(IsUncompressed("fp32", "fp32"));
  CHECK_FALSE(IsUncompressed("fp32@all+int8", "fp32"));
  CHECK_FALSE(IsUncompressed("fp16", "fp1"));
}

}  // namespace
}  // namespace tnb
