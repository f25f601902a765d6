// Calibrated and allocated stages on a few linears whose statistics are given.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "methods/recipe.h"
#include "tests/methods/recipe_error.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

struct Place {
  std::string name;
  LinearKind kind;
  int64_t block;
  at::Tensor w;
};

LinearSlot Slot(const Place& place) {
  LinearSlot slot;
  slot.name = place.name;
  slot.kind = place.kind;
  slot.block = place.block;
  slot.linear = MakeDenseLinear(MakeDenseWeight(place.w));
  return slot;
}

// Statistics that are there, and what was asked for.
class Service : public StatisticsService {
 public:
  explicit Service(std::map<std::string, at::Tensor> values)
      : statistics_(std::make_shared<MemoryStatistics>(std::move(values))) {}
  std::shared_ptr<const Statistics> Get(const StatisticsRequest& request) override {
    asked.push_back(request);
    return statistics_;
  }
  std::string FileContents(const std::string& name) override { return files.at(name); }
  std::vector<StatisticsRequest> asked;
  std::map<std::string, std::string> files;

 private:
  std::shared_ptr<const Statistics> statistics_;
};

// Applies a recipe to all places as the compress phase does.
struct Outcome {
  std::map<std::string, std::unique_ptr<Linear>> linears;
  std::map<std::string, LayerOutcome> layers;  // of the last stage
  std::vector<Json> reports;
  int64_t parameters = 0, dense = 0;  // of the linears that were changed
};
Outcome Compress(const std::string& text, const std::vector<Place>& places, StatisticsService* statistics) {
  Recipe recipe = ParseRecipe(text);
  const VisitLinears visit_linears = [&](const auto& wanted, const auto& visit) {
    for (const Place& place : places) {
      LinearSlot slot = Slot(place);
      if (wanted(slot)) visit(slot);
    }
  };
  PrepareRecipe(recipe, statistics, visit_linears);
  Outcome outcome;
  for (const Place& place : places) {
    LinearSlot slot = Slot(place);
    for (LayerOutcome& layer : ApplyRecipe(recipe, slot)) outcome.layers[place.name] = std::move(layer);
    if (slot.touched) {
      outcome.parameters += slot.linear->size().parameters;
      outcome.dense += place.w.numel();
    }
    outcome.linears[place.name] = std::move(slot.linear);
  }
  for (const RecipeStage& stage : recipe.stages) outcome.reports.push_back(stage.stage->Report());
  return outcome;
}

at::Tensor Moment(const at::Tensor& x) { return at::matmul(x.t(), x) / x.size(0); }

// Two blocks of q, v and gate, with inputs that use few directions.
std::vector<Place> Places() {
  at::manual_seed(21);
  std::vector<Place> places;
  for (const int64_t block : {0, 1}) {
    const std::string prefix = "blocks." + std::to_string(block) + ".";
    places.push_back({prefix + "q", LinearKind::kQ, block, at::randn({40, 40})});
    places.push_back({prefix + "v", LinearKind::kV, block, at::randn({24, 40}) * 3});
    places.push_back({prefix + "gate", LinearKind::kGate, block, at::randn({72, 40})});
    places.push_back({prefix + "down", LinearKind::kDown, block, at::randn({40, 72})});
  }
  return places;
}

std::map<std::string, at::Tensor> StatisticsOf(const std::vector<Place>& places) {
  at::manual_seed(22);
  std::map<std::string, at::Tensor> values;
  for (const Place& place : places) {
    const LinearSlot slot = Slot(place);
    const std::string input = InputName(slot);
    const int64_t in = place.w.size(1), out = place.w.size(0);
    const at::Tensor x = at::randn({300, in}) * at::pow(10.0, at::linspace(0.5, -1.5, in)).to(at::kFloat);
    values.emplace(input + ".covariance", Moment(x));
    values.emplace(input + ".mean_absolute", x.abs().mean(0));
    values[place.name + ".gradient_covariance"] =
        Moment(at::randn({300, out}) * at::pow(10.0, at::linspace(-1, -2, out)).to(at::kFloat));
    values[place.name + ".weight_gradients"] = x.square().mean(0);
  }
  return values;
}

// |(W - W') X|^2 by the covariance.
double OutputError(const at::Tensor& difference, const at::Tensor& covariance) {
  const at::Tensor d = difference.to(at::kDouble);
  return (at::matmul(d, covariance.to(at::kDouble)) * d).sum().item<double>();
}

std::string MessageOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "(no error)";
}

}  // namespace

TEST_CASE("what goes together is filled in, and what has no meaning is refused") {
  CHECK(ParseRecipe("svd").text == "svd:keep=0.6@attn/gate/up");
  CHECK(ParseRecipe("svd:whiten=none,alloc=uniform").text == "svd:keep=0.6@attn/gate/up");
  CHECK(ParseRecipe("svd:alloc=energy").text == "svd:alloc=energy,keep=0.6@attn/gate/up");
  CHECK(ParseRecipe("svd:whiten=fisher").text ==
        "svd:alloc=threshold,data=calibration/wiki.utf8,gradient_windows=48,keep=0.6,length=512,"
        "output_ridge=0.01,ridge=1e-04,whiten=fisher,windows=96@attn/gate/up");
  CHECK(ParseRecipe("svd-llm:windows=64").text ==
        "svd-llm:data=calibration/wiki.utf8,keep=0.6,length=512,ridge=1e-04,windows=64@attn/gate/up");
  CHECK(ParseRecipe("asvd").text ==
        "asvd:alpha=0.5,data=calibration/wiki.utf8,keep=0.6,length=512,windows=96@attn/gate/up");
  for (const char* text : {"svd:whiten=fisher,alloc=uniform", "mpo:whiten=input,legs=best", "fwsvd:rank=8"}) {
    const std::string canonical = ParseRecipe(text).text;
    CHECK(ParseRecipe(canonical).text == canonical);
  }
  CHECK_THAT(testing::RecipeError("svd:ridge=0.1"), Catch::Matchers::Contains("no meaning here") &&
                                                        Catch::Matchers::Contains("whiten=input|fisher"));
  CHECK_THAT(testing::RecipeError("svd:whiten=input,output_ridge=0.1"),
             Catch::Matchers::Contains("whiten=fisher"));
  CHECK_THAT(testing::RecipeError("svd-llm:rank=4,alloc=energy"),
             Catch::Matchers::Contains("an allocation shares a budget"));
  CHECK_THAT(testing::RecipeError("svd:whiten=fishr"), Catch::Matchers::Contains("none, input, fisher"));
  CHECK_THAT(testing::RecipeError("mpo:cores=3,legs=best"), Catch::Matchers::Contains("cores=2"));
  CHECK(DataNames(ParseRecipe("svd-llm:data=a.txt@q+asvd:data=b.txt@k+fwsvd:data=a.txt@v+svd@o")) ==
        std::vector<std::string>{"a.txt", "b.txt"});
}

// Rank 1 of diag(2, 1): the plain decomposition keeps the 2. With inputs of second moments 1 and 9 the
// whitened matrix is diag(2, 3), with mean absolute inputs of 1 and 16 ASVD's (power 0.5) is diag(2, 4), and
// with weight gradients of 1 and 9 FWSVD's is diag(2, 3): all keep the 1. Output gradients of 9 and 1 turn
// diag(2, 3) into diag(6, 3): the 2 again.
TEST_CASE("two by two, by hand") {
  const at::Tensor w = at::diag(at::tensor({2.0F, 1.0F}));
  const std::vector<Place> places = {{"blocks.0.q", LinearKind::kQ, 0, w}};
  Service service({{"blocks.0.qkv.covariance", at::diag(at::tensor({1.0F, 9.0F}))},
                   {"blocks.0.qkv.mean_absolute", at::tensor({1.0F, 16.0F})},
                   {"blocks.0.q.gradient_covariance", at::diag(at::tensor({9.0F, 1.0F}))},
                   {"blocks.0.q.weight_gradients", at::tensor({1.0F, 9.0F})}});
  const at::Tensor first = at::diag(at::tensor({2.0F, 0.0F})), second = at::diag(at::tensor({0.0F, 1.0F}));
  for (const auto& [recipe, expected, loss] :
       {std::tuple{"svd:rank=1", first, -1.0},
        {"svd-llm:rank=1,ridge=0", second, 4.0},
        {"asvd:rank=1", second, 4.0},
        {"fwsvd:rank=1", second, 4.0},
        {"svd:whiten=input,rank=1,ridge=0", second, 4.0},
        {"svd:whiten=fisher,alloc=uniform,rank=1,ridge=0,output_ridge=0", first, 9.0}}) {
    const Outcome outcome = Compress(recipe, places, &service);
    CAPTURE(recipe);
    CHECK(at::allclose(outcome.linears.at("blocks.0.q")->Rebuild(), expected, 0, 1e-5));
    const Json& detail = outcome.layers.at("blocks.0.q").report.detail;
    // 1e-5: ASVD adds 1e-6 to its scales.
    if (loss >= 0) CHECK(detail.at("whitened_loss").get<double>() == Approx(loss).epsilon(1e-5));
  }
}

TEST_CASE("every metric wins its own game") {
  const std::vector<Place> places = Places();
  const auto values = StatisticsOf(places);
  Service service(values);
  const auto error = [&](const std::string& recipe) {
    const Outcome outcome = Compress(recipe, places, &service);
    double sum = 0;
    for (const Place& place : places) {
      if (place.kind == LinearKind::kDown) continue;
      sum += OutputError(place.w - outcome.linears.at(place.name)->Rebuild(),
                         values.at(InputName(Slot(place)) + ".covariance"));
    }
    return sum;
  };
  const double svd = error("svd:keep=0.5"), asvd = error("asvd:keep=0.5"), fwsvd = error("fwsvd:keep=0.5"),
               llm = error("svd-llm:keep=0.5"), shared = error("svd-llm:keep=0.5,alloc=threshold");
  CAPTURE(svd, asvd, fwsvd, llm, shared);
  CHECK(llm < 0.5 * svd);
  CHECK(llm < asvd);
  CHECK(llm < fwsvd);
  CHECK(asvd < svd);
  CHECK(shared < llm);
}

TEST_CASE("truncation loss equals the output error on the calibration data") {
  const std::vector<Place> places = Places();
  const auto values = StatisticsOf(places);
  Service service(values);
  const Outcome outcome = Compress("svd-llm:keep=0.4,ridge=0", places, &service);
  for (const auto& [name, layer] : outcome.layers) {
    const Place& place =
        *std::find_if(places.begin(), places.end(), [&](const Place& p) { return p.name == name; });
    const double expected = OutputError(place.w - outcome.linears.at(name)->Rebuild(),
                                        values.at(InputName(Slot(place)) + ".covariance"));
    CAPTURE(name);
    CHECK(layer.report.detail.at("whitened_loss").get<double>() == Approx(expected).epsilon(1e-3));
  }
  CHECK(outcome.layers.size() == 6);  // down is left alone
  REQUIRE(service.asked.size() == 1);
  CHECK(service.asked[0].moments == Moments::kInputs);
  CHECK_FALSE(service.asked[0].down);
  Compress("svd-llm:keep=0.4@down", places, &service);
  CHECK(service.asked.back().down);
}

TEST_CASE("a shared budget is met, and leaves dense what needs it") {
  const std::vector<Place> places = Places();
  Service service(StatisticsOf(places));
  for (const std::string recipe :
       {"svd:whiten=fisher", "svd:alloc=energy", "svd-llm:alloc=threshold", "mpo:whiten=fisher",
        "mpo:whiten=fisher,legs=best", "mpo:whiten=input,alloc=energy,cores=3"}) {
    for (const double keep : {0.4, 0.7}) {
      const Outcome outcome =
          Compress(recipe + (recipe.find(':') == std::string::npos ? ":" : ",") + "keep=" + Json(keep).dump(),
                   places, &service);
      CAPTURE(recipe, keep, outcome.reports[0].dump());
      const auto budget = keep * static_cast<double>(outcome.dense);
      CHECK(static_cast<double>(outcome.parameters) <= budget);
      // Matrices this small have steps of 1 % of the whole; three cores have larger ones.
      CHECK(static_cast<double>(outcome.parameters) >=
            (recipe.find("cores=3") == std::string::npos ? 0.98 : 0.8) * budget);
      CHECK(outcome.reports[0].at("allocation").at("parameters") == outcome.parameters);
    }
  }
  const Outcome outcome = Compress("svd:whiten=fisher,keep=1", places, &service);
  CHECK(outcome.reports[0].at("allocation").at("dense_linears") == 6);
  CHECK_FALSE(outcome.linears.at("blocks.0.q")->factorized());
}

TEST_CASE("a budget of the whole model is met within one percent, whatever the other stages do") {
  const std::vector<Place> places = Places();
  Service service(StatisticsOf(places));
  int64_t dense = 0;
  for (const Place& place : places) dense += place.w.numel();
  const auto total = [&](const Outcome& outcome) {
    WeightSize size;
    for (const auto& [name, linear] : outcome.linears) size += linear->size();
    return size;
  };
  for (const char* recipe : {"svd:budget=0.7", "svd:whiten=fisher,budget=0.7", "mpo:alloc=energy,budget=0.7",
                             "kron:budget=0.7", "tucker:budget=0.7,modes=balanced",
                             "svd:alloc=drank,budget=0.7", "svd:keep=0.5@down+svd:budget=0.7@attn",
                             "ring:cores=2,budget=0.7", "svd:budget=0.7+svd:keep=0.8@down"}) {
    const Outcome outcome = Compress(recipe, places, &service);
    CAPTURE(recipe, outcome.reports[0].dump(), outcome.reports.back().dump());
    // One step of the larger ones of these small matrices is 1 % of the whole.
    CHECK(static_cast<double>(total(outcome).parameters) ==
          Approx(0.7 * static_cast<double>(dense)).epsilon(0.02));
  }
  for (const auto& [recipe, budget] : {std::pair{"svd:budget_bytes=1.5", 1.5},
                                       {"svd:budget_bytes=0.7+fp16@all", 0.7},
                                       {"svd:whiten=fisher,budget_bytes=0.45+int8@all", 0.45}}) {
    const Outcome outcome = Compress(recipe, places, &service);
    CAPTURE(recipe, outcome.reports[0].dump());
    CHECK(static_cast<double>(total(outcome).bytes) ==
          Approx(2 * budget * static_cast<double>(dense)).epsilon(0.02));
  }
  CHECK_THAT(MessageOf([&] { Compress("svd:budget=0.1", places, &service); }),
             Catch::Matchers::Contains("cannot be met") && Catch::Matchers::Contains("0.1"));
  CHECK_THAT(MessageOf([&] { Compress("svd:budget_bytes=0.3", places, &service); }),
             Catch::Matchers::Contains("budget in bytes cannot be met"));
  CHECK_THAT(testing::RecipeError("svd:budget=0.5,keep=0.5"), Catch::Matchers::Contains("keep and budget"));
}

TEST_CASE("a profile gives every linear its own share") {
  const std::vector<Place> places = Places();
  Service service({});
  service.files["p.json"] = R"({"blocks.0.q": 0.5, "blocks.0.v": 1, "blocks.0.gate": 0.25, "blocks.1.q": 0.9,
                                "blocks.1.v": 0.3, "blocks.1.gate": 0.4, "blocks.0.down": 0.1})";
  const Outcome outcome = Compress("svd:profile=p.json", places, &service);
  CHECK_FALSE(outcome.linears.at("blocks.0.v")->factorized());
  for (const auto& [name, keep] :
       {std::pair{"blocks.0.q", 0.5}, {"blocks.0.gate", 0.25}, {"blocks.1.q", 0.9}}) {
    const Linear& linear = *outcome.linears.at(name);
    const auto dense = static_cast<double>(linear.out_features() * linear.in_features());
    const double a_rank = static_cast<double>(linear.out_features() + linear.in_features());
    CHECK(static_cast<double>(linear.size().parameters) <= keep * dense);
    CHECK(static_cast<double>(linear.size().parameters) > keep * dense - a_rank);
  }
  CHECK(outcome.reports[0].at("profile").at("linears") == 6);
  CHECK(DataNames(ParseRecipe("svd:profile=p.json")) == std::vector<std::string>{"p.json"});
  service.files["p.json"] = R"({"blocks.0.q": 0.5})";
  CHECK_THAT(MessageOf([&] { Compress("svd:profile=p.json", places, &service); }),
             Catch::Matchers::Contains("missing field 'blocks.0.v'"));
  service.files["p.json"] = R"({"blocks.0.q": -1})";
  CHECK_THAT(MessageOf([&] { Compress("svd:profile=p.json", places, &service); }),
             Catch::Matchers::Contains("out of range"));
}

TEST_CASE("legs are searched by the true loss, so that plain low rank is the least one gets") {
  const std::vector<Place> places = Places();
  const auto values = StatisticsOf(places);
  Service service(values);
  const auto error = [&](const std::string& recipe, const std::string& name) {
    const Outcome outcome = Compress(recipe, places, &service);
    for (const Place& place : places) {
      if (place.name == name) {
        return OutputError(place.w - outcome.linears.at(name)->Rebuild(),
                           values.at(InputName(Slot(place)) + ".covariance"));
      }
    }
    return -1.0;
  };
  for (const char* name : {"blocks.0.q", "blocks.1.gate"}) {
    const double best = error("mpo:whiten=input,legs=best,ridge=0,keep=0.5", name);
    CHECK(best <= error("svd-llm:ridge=0,keep=0.5", name) * 1.0001);
    CHECK(best <= error("mpo:whiten=input,legs=auto,ridge=0,keep=0.5", name) * 1.0001);
  }
  // One Kronecker product: square legs need a bond of one, low rank nearly everything.
  at::manual_seed(31);
  const std::vector<Place> kronecker = {
      {"blocks.0.q", LinearKind::kQ, 0, at::kron(at::randn({6, 6}), at::randn({6, 6}))}};
  const Outcome outcome = Compress("mpo:legs=best,keep=0.2", kronecker, nullptr);
  CHECK(outcome.layers.at("blocks.0.q").relative_error < 1e-5);
  CHECK(outcome.layers.at("blocks.0.q").report.detail.at("legs") == "6x6/6x6");
}

TEST_CASE("shapes without common factors, one input, more inputs than tokens") {
  at::manual_seed(41);
  for (const auto& [rows, cols] :
       {std::pair<int64_t, int64_t>{43, 29}, {29, 43}, {1, 17}, {17, 1}, {12, 36}}) {
    const std::vector<Place> places = {{"blocks.0.q", LinearKind::kQ, 0, at::randn({rows, cols})}};
    const at::Tensor x = at::randn({5, cols}), g = at::randn({5, rows});
    Service service({{"blocks.0.qkv.covariance", Moment(x)}, {"blocks.0.q.gradient_covariance", Moment(g)}});
    CAPTURE(rows, cols);
    for (const char* recipe :
         {"svd-llm:rank=1", "svd-llm:rank=1,ridge=0", "svd:whiten=fisher,alloc=uniform,rank=1",
          "svd:whiten=fisher,keep=1", "mpo:whiten=fisher,legs=best,keep=1"}) {
      const Outcome outcome = Compress(recipe, places, &service);
      CAPTURE(recipe);
      CHECK(at::isfinite(outcome.linears.at("blocks.0.q")->Rebuild()).all().item<bool>());
    }
  }
}

TEST_CASE("calibrated cores compose with quantizers, and stages before are seen") {
  const std::vector<Place> places = Places();
  Service service(StatisticsOf(places));
  const Outcome outcome = Compress("svd:whiten=fisher,keep=0.5+int8@all", places, &service);
  CHECK(outcome.linears.at("blocks.0.gate")->Describe().find("int8") != std::string::npos);
  // A stage sees what the one before left: v is a matrix of rank 2 by then, and more is not spent on it, but
  // for a step that fits nowhere else.
  const Outcome twice = Compress("svd:rank=2@v+svd:alloc=threshold,keep=0.5@attn", places, &service);
  CHECK(twice.layers.at("blocks.0.v").report.detail.at("rank").get<int64_t>() <= 3);
}

TEST_CASE("a calibrated stage without statistics says what is missing") {
  const std::vector<Place> places = Places();
  CHECK_THAT(MessageOf([&] { Compress("svd-llm", places, nullptr); }),
             Catch::Matchers::Contains("needs calibration statistics"));
  CHECK_THAT(MessageOf([&] {
               LinearSlot slot = Slot(places[0]);
               ApplyRecipe(ParseRecipe("svd-llm"), slot);
             }),
             Catch::Matchers::Contains("not prepared"));
  Service empty({});
  CHECK_THAT(MessageOf([&] { Compress("svd-llm", places, &empty); }),
             Catch::Matchers::Contains("missing") && Catch::Matchers::Contains("blocks.0.qkv.covariance"));
}

}  // namespace tnb
