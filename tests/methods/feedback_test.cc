// Rounding with feedback against the plain definition, and the stage that does it block by block.
#include "methods/quantize/feedback.h"

#include <ATen/ATen.h>

#include <map>

#include "methods/recipe.h"
#include "tests/methods/recipe_error.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

at::Tensor Moment(const at::Tensor& x) { return at::matmul(x.t(), x) / x.size(0); }

// Inputs of which some directions matter much more than others.
at::Tensor Covariance(int64_t size, int64_t seed) {
  at::manual_seed(static_cast<uint64_t>(seed));
  const at::Tensor mixed = at::matmul(at::randn({4 * size, size}), at::randn({size, size}));
  return Moment(mixed * at::pow(10.0, at::linspace(0.5, -1, size)).to(at::kFloat)).contiguous();
}

at::Tensor Damped(const at::Tensor& m, double damping) {
  const at::Tensor wide = m.to(at::kDouble);
  return wide + at::eye(m.size(0), at::kDouble) * (damping * wide.diagonal().mean().item<double>());
}

// tr(G D H Dᵀ)
double Loss(const at::Tensor& d, const at::Tensor& h, const at::Tensor& g) {
  const at::Tensor wide = d.to(at::kDouble);
  return (at::matmul(g.to(at::kDouble), wide) * at::matmul(wide, h.to(at::kDouble))).sum().item<double>();
}

// Nearest plane rounding of a vector in a full metric, by the book (OBQ in a fixed order): after each choice
// the others move to the minimum that is left, found with the inverse of the metric of the free ones. fp64.
at::Tensor Plain(const at::Tensor& values, const at::Tensor& metric, const at::Tensor& scale,
                 const at::Tensor& zero, int bits) {
  at::Tensor w = values.to(at::kDouble).clone();
  const int64_t count = w.numel();
  at::Tensor codes = at::empty({count}, at::kByte);
  for (int64_t i = 0; i < count; ++i) {
    const double s = scale[i].item<double>(), z = zero[i].item<double>();
    const double code = std::clamp(std::nearbyint(w[i].item<double>() / s) + z, 0.0, (1 << bits) - 1.0);
    codes[i] = static_cast<int>(code);
    const at::Tensor inverse = at::inverse(metric.slice(0, i).slice(1, i));
    w.slice(0, i).sub_(inverse.select(1, 0) *
                       ((w[i].item<double>() - s * (code - z)) / inverse[0][0].item<double>()));
  }
  return codes;
}

at::Tensor Decode(const CodedMatrix& codes) { return MakeCodedWeight(codes, Activation::kF32)->Dense(); }

}  // namespace

TEST_CASE("without correlations feedback is rounding to nearest") {
  at::manual_seed(1);
  const at::Tensor w = at::randn({20, 96});
  for (const bool act_order : {false, true}) {
    FeedbackOptions options{.bits = 3, .group = 32, .damping = 0.1, .act_order = act_order};
    const CodedMatrix codes = RoundWithFeedback(w, at::eye(96), {}, options);
    CHECK(at::equal(codes.codes, RoundToNearest(w, 3, 32, false).codes));
    CHECK(at::equal(RoundWithFeedback(w, at::eye(96), at::eye(20), options).codes, codes.codes));
  }
}

TEST_CASE("feedback is nearest plane rounding in the metric of inputs and outputs") {
  at::manual_seed(2);
  const int64_t rows = 6, cols = 40;
  const at::Tensor w = at::randn({rows, cols});
  const at::Tensor h = Covariance(cols, 3), g = Covariance(rows, 4);
  for (const bool act_order : {false, true}) {
    for (const bool two_sided : {false, true}) {
      CAPTURE(act_order, two_sided);
      FeedbackOptions options{.bits = 3, .group = 32, .act_order = act_order};
      options.output_damping = 0.05;
      const CodedMatrix found = RoundWithFeedback(w, h, two_sided ? g : at::Tensor(), options);
      const at::Tensor order =
          act_order ? std::get<1>(at::sort(h.diagonal(), true, 0, true)) : at::arange(cols, at::kLong);
      const at::Tensor input = Damped(h, options.damping).index_select(0, order).index_select(1, order);
      const at::Tensor output = two_sided ? Damped(g, options.output_damping) : at::eye(rows, at::kDouble);
      const IntegerGrid grid = GridOf(w, 3, 32, false);
      const auto vector = [&](const at::Tensor& groups) {  // by column in order, then by row
        return groups.to(at::kDouble)
            .repeat_interleave(32, 1)
            .narrow(1, 0, cols)
            .index_select(1, order)
            .t()
            .reshape({-1});
      };
      const at::Tensor plain = Plain(w.index_select(1, order).t().reshape({-1}), at::kron(input, output),
                                     vector(grid.scales), vector(grid.zeros), 3);
      const at::Tensor codes = found.codes.index_select(1, order).t().reshape({-1});
      // A number halfway between two codes may go either way in fp32, and others follow it.
      CHECK((plain != codes).sum().item<int64_t>() <= 2);
    }
  }
}

TEST_CASE("every refinement lowers the loss it is made for") {
  at::manual_seed(5);
  const int64_t rows = 48, cols = 160;  // the last group is short
  const at::Tensor w = at::randn({rows, cols}), identity = at::eye(rows);
  const at::Tensor h = Covariance(cols, 6), g = Covariance(rows, 7);
  const auto loss = [&](const CodedMatrix& codes, const at::Tensor& metric) {
    return Loss(Decode(codes) - w, h, metric);
  };
  for (const bool symmetric : {false, true}) {
    FeedbackOptions options{.bits = 3, .group = 64, .symmetric = symmetric, .act_order = false};
    const double nearest = loss(RoundToNearest(w, 3, 64, symmetric), identity);
    const double natural = loss(RoundWithFeedback(w, h, {}, options), identity);
    options.dynamic_groups = true;
    const double dynamic = loss(RoundWithFeedback(w, h, {}, options), identity);
    options.act_order = true;
    const double ordered = loss(RoundWithFeedback(w, h, {}, options), identity);
    options.clip = true;
    const double clipped = loss(RoundWithFeedback(w, h, {}, options), identity);
    CHECK(natural < 0.5 * nearest);
    CHECK(dynamic < 0.6 * nearest);
    CHECK(ordered < 0.6 * nearest);
    CHECK(clipped < 1.05 * ordered);
    options.clip = false;
    const double one_sided = loss(RoundWithFeedback(w, h, {}, options), g);
    const double two_sided = loss(RoundWithFeedback(w, h, g, options), g);
    CHECK(two_sided < 0.7 * one_sided);
  }
}

TEST_CASE("inputs that never come, and covariances that say nothing") {
  at::manual_seed(8);
  const at::Tensor w = at::randn({8, 64});
  at::Tensor h = Covariance(64, 9);
  h.select(0, 5).zero_();
  h.select(1, 5).zero_();
  const at::Tensor back = Decode(RoundWithFeedback(w, h, {}, {}));
  CHECK(back.select(1, 5).abs().max().item<float>() == 0);
  CHECK(at::isfinite(back).all().item<bool>());
  // Rank one and no damping: more is taken until it can be inverted.
  const at::Tensor direction = at::randn({64, 1});
  FeedbackOptions none{.damping = 0};
  CHECK(at::isfinite(Decode(RoundWithFeedback(w, at::matmul(direction, direction.t()), {}, none)))
            .all()
            .item<bool>());
  CHECK_THROWS_AS(RoundWithFeedback(w, at::full({64, 64}, NAN), {}, {}), Error);
}

TEST_CASE("ranges shrink where that lowers the weighted error") {
  at::manual_seed(10);
  // On a grid of 16 steps already: nothing is better than the whole range.
  at::Tensor w = at::randint(0, 16, {4, 64}).to(at::kFloat) - 5;
  w.select(1, 0).fill_(-5);
  w.select(1, 1).fill_(10);
  at::Tensor h = at::ones({64});
  CHECK(at::equal(SearchShrink(w, h, 4, 64, false), at::ones({4, 1})));
  w[0][3] = 30;  // an outlier whose input is small
  h[3] = 1e-4;
  // Both ends of a range shrink together, so that the low end holds it back.
  CHECK(SearchShrink(w, h, 4, 64, false)[0][0].item<float>() < 0.9F);
  const at::Tensor some = SearchShrink(at::randn({16, 100}), at::ones({100}), 2, 32, true);
  CHECK(some.sizes() == at::IntArrayRef({16, 4}));
  CHECK(some.min().item<float>() < 1);  // two bits: the tails cost less than the middle
}

namespace {

struct Place {
  std::string name;
  LinearKind kind;
  at::Tensor w;
};

LinearSlot SlotOf(const Place& place) {
  LinearSlot slot;
  slot.name = place.name;
  slot.kind = place.kind;
  slot.block = 0;
  slot.linear = MakeDenseLinear(MakeDenseWeight(place.w));
  return slot;
}

// Statistics that are given; a walk goes through the places in order.
class Service : public StatisticsService {
 public:
  Service(const std::vector<Place>& places, std::map<std::string, at::Tensor> values)
      : places_(places), statistics_(std::make_shared<MemoryStatistics>(std::move(values))) {}
  std::shared_ptr<const Statistics> Get(const StatisticsRequest& request) override {
    asked.push_back(request);
    return statistics_;
  }
  std::string FileContents(const std::string&) override { return ""; }
  Json Visit(const StatisticsRequest& request, const Walk& walk) override {
    asked.push_back(request);
    for (const Place& place : places_) {
      LinearSlot slot = SlotOf(place);
      walk.prepare(slot);
      walk.change(slot, *statistics_);
    }
    return {{"walked", true}};
  }
  std::vector<StatisticsRequest> asked;

 private:
  std::vector<Place> places_;
  std::shared_ptr<const Statistics> statistics_;
};

struct Outcome {
  std::map<std::string, LayerOutcome> layers;
  std::map<std::string, at::Tensor> rebuilt;
  std::map<std::string, std::string> formats;
  Json report;
  int64_t bytes = 0;
};

Outcome Compress(const std::string& text, const std::vector<Place>& places, StatisticsService* service) {
  Recipe recipe = ParseRecipe(text);
  PrepareRecipe(recipe, service, [&](const auto& wanted, const auto& visit) {
    for (const Place& place : places) {
      LinearSlot slot = SlotOf(place);
      if (wanted(slot)) visit(slot);
    }
  });
  Outcome outcome;
  for (const Place& place : places) {
    LinearSlot slot = SlotOf(place);
    for (LayerOutcome& layer : ApplyRecipe(recipe, slot)) outcome.layers[place.name] = std::move(layer);
    outcome.rebuilt[place.name] = slot.linear->Rebuild();
    outcome.formats[place.name] = slot.linear->Describe();
    outcome.bytes += slot.linear->size().bytes;
  }
  outcome.report = recipe.stages.back().stage->Report();
  return outcome;
}

std::vector<Place> Places() {
  at::manual_seed(11);
  return {{"blocks.0.q", LinearKind::kQ, at::randn({64, 64})},
          {"blocks.0.v", LinearKind::kV, at::randn({32, 64}) * 3},
          {"blocks.0.gate", LinearKind::kGate, at::randn({96, 64})}};
}

std::map<std::string, at::Tensor> Values(const std::vector<Place>& places) {
  std::map<std::string, at::Tensor> values = {{"blocks.0.qkv.covariance", Covariance(64, 12)},
                                              {"blocks.0.gate_up.covariance", Covariance(64, 13)}};
  int64_t seed = 14;
  double scale = 1;  // gradients of later linears are larger
  for (const Place& place : places) {
    values[place.name + ".gradient_covariance"] = Covariance(place.w.size(0), seed++) * scale;
    scale *= 30;
  }
  return values;
}

}  // namespace

TEST_CASE("gptq walks through the model or takes the dense model's inputs, and reports output errors") {
  const std::vector<Place> places = Places();
  Service service(places, Values(places));
  const Outcome walked = Compress("gptq:group=32@attn/mlp", places, &service);
  CHECK(walked.report["walk"]["walked"] == true);
  CHECK(service.asked.size() == 1);
  const Outcome dense = Compress("gptq:group=32,feed=dense", places, &service);
  const Outcome nearest = Compress("int4", places, &service);
  for (const Place& place : places) {
    CAPTURE(place.name);
    CHECK(at::equal(walked.rebuilt.at(place.name), dense.rebuilt.at(place.name)));
    CHECK(walked.formats.at(place.name) == "dense int4 g32 asym");
    const LayerOutcome& layer = walked.layers.at(place.name);
    CHECK(*layer.report.output_error == Approx(*dense.layers.at(place.name).report.output_error));
    CHECK(*layer.report.output_error < layer.relative_error);
    CHECK(layer.relative_error > nearest.layers.at(place.name).relative_error);
    CHECK(layer.mean_square_error ==
          Approx((walked.rebuilt.at(place.name) - place.w).square().mean().item<double>()).epsilon(1e-5));
    CHECK_FALSE(nearest.layers.at(place.name).report.output_error.has_value());
  }
  CHECK_THROWS_AS(Compress("gptq", places, nullptr), Error);
}

TEST_CASE("both factors of a low-rank linear are rounded with feedback") {
  const std::vector<Place> places = Places();
  Service service(places, Values(places));
  const auto loss = [&](const Outcome& outcome) {
    double total = 0;
    for (const auto& [name, layer] : outcome.layers) total += *layer.report.output_error;
    return total;
  };
  const Outcome low_rank = Compress("svd-llm:rank=24@all", places, &service);
  const Outcome nearest = Compress("svd-llm:rank=24@all+int3:zero=asym", places, &service);
  const Outcome feedback = Compress("svd-llm:rank=24@all+gptq:bits=3,group=32,feed=dense", places, &service);
  CHECK(loss(low_rank) < loss(feedback));
  CHECK(loss(feedback) < loss(nearest));
  CHECK(feedback.formats.at("blocks.0.q") == "network of 2 cores, int3 g32 asym");
  const Outcome cores = Compress("mpo:cores=3,chi=4@all+gptq:feed=dense", places, &service);
  CHECK(cores.layers.at("blocks.0.q").report.detail.contains("rounded"));
}

TEST_CASE("one price a bit gives more bits to what costs more, within the budget") {
  const std::vector<Place> places = Places();
  Service service(places, Values(places));
  const Outcome mixed =
      Compress("gptq:bits=mixed,average=4,group=32,metric=fisher,feed=dense", places, &service);
  const auto bits = [&](const char* name) {
    return mixed.layers.at(name).report.detail.at("bits").get<int>();
  };
  CHECK(bits("blocks.0.q") < bits("blocks.0.gate"));
  const int64_t weights = 64 * 64 + 32 * 64 + 96 * 64;
  CHECK(mixed.bytes <= weights * 4 / 8);
  CHECK(mixed.bytes > weights * 3 / 8);
  CHECK(mixed.bytes == mixed.report["allocation"]["bytes"].get<int64_t>());
  CHECK_THROWS_AS(Compress("gptq:bits=mixed,average=2,group=32,feed=dense", places, &service), Error);
  CHECK_THAT(testing::RecipeError("gptq:average=3"), Catch::Matchers::Contains("bits=mixed"));
}

}  // namespace tnb
