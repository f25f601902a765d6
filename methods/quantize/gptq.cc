#include "methods/quantize/gptq.h"

#include <ATen/ATen.h>

#include <map>

#include "methods/allocate/allocation.h"
#include "methods/calibrated.h"
#include "methods/quantize/feedback.h"
#include "methods/quantize/scalar.h"

namespace tnb {
namespace {

constexpr int kWidths[] = {2, 3, 4, 5, 6, 8};

struct GptqOptions {
  FeedbackOptions rounding;
  double average = 0;  // bits a weight; 0: all have rounding.bits
  bool fisher = false;
  int64_t gradient_windows = 0;
  Activation activation = Activation::kInt8;
};

class Gptq : public FedStage {
 public:
  Gptq(const StageValues& values, const GptqOptions& options) : FedStage(values), options_(options) {}

 protected:
  Json PrepareMore(const StageContext& context, const StatisticsRequest& request) override {
    Json report = Json::object();
    if (options_.fisher) {
      StatisticsRequest gradients = request;
      gradients.moments = Moments::kOutputGradients;
      gradients.windows = options_.gradient_windows;
      gradients_ = context.statistics->Get(gradients);
      report["statistics"].push_back(gradients_->About());
    }
    if (options_.average > 0) {
      const std::shared_ptr<const Statistics> inputs = context.statistics->Get(request);
      report["statistics"].push_back(inputs->About());
      report["allocation"] = ShareOut(context, *inputs);
    }
    return report;
  }

  // Rounds all weights of a linear.
  LinearReport Change(LinearSlot& slot, const Statistics& inputs) const override {
    const at::Tensor input = inputs.InputCovariance(slot);
    Linear& linear = *slot.linear;
    FeedbackOptions options = options_.rounding;
    options.bits = BitsOf(slot.name);
    LinearReport report;
    if (options_.average > 0) report.detail["bits"] = options.bits;
    const at::Tensor output = options_.fisher ? gradients_->OutputCovariance(slot) : at::Tensor();
    const auto replace = [&](int64_t i, const at::Tensor& in, const at::Tensor& out) {
      const at::Tensor w = linear.weight(i)->Dense();
      linear.ReplaceWeight(i, MakeCodedWeight(RoundWithFeedback(w, in, out, options), options_.activation));
    };
    if (!linear.factorized()) {
      replace(0, input, output);
    } else if (linear.weight_count() == 2 && linear.weight(0)->cols() == linear.in_features() &&
               linear.weight(1)->cols() == linear.weight(0)->rows() &&
               linear.weight(1)->rows() == linear.out_features()) {
      const at::Tensor h = input.to(at::kDouble), a = linear.weight(1)->Dense().to(at::kDouble);
      at::Tensor between;
      if (output.defined()) between = at::matmul(a.t(), at::matmul(output.to(at::kDouble), a));
      replace(0, input, between);
      const at::Tensor b = linear.weight(0)->Dense().to(at::kDouble);
      replace(1, at::matmul(b, at::matmul(h, b.t())), output);
    } else {
      report.detail["rounded"] = "to nearest: the inputs of its cores are not known";
      for (int64_t i = 0; i < linear.weight_count(); ++i) {
        const CodedMatrix codes =
            RoundToNearest(linear.weight(i)->Dense(), options.bits, options.group, options.symmetric);
        linear.ReplaceWeight(i, MakeCodedWeight(codes, options_.activation));
      }
    }
    return report;
  }

 private:
  int BitsOf(const std::string& name) const {
    const auto found = bits_.find(name);
    return found == bits_.end() ? options_.rounding.bits : found->second;
  }

  // What rounding a linear to nearest with every width costs, in bytes and in the metric.
  RateCurve CurveOf(const LinearSlot& slot, const Statistics& inputs) const {
    if (slot.linear->factorized()) {
      throw Error(ErrorKind::kUnsupported, {"bits=mixed has a width for each matrix", "dense linears",
                                            slot.linear->Describe(), slot.name, "one width for all cores"});
    }
    const at::Tensor w = slot.linear->Rebuild();
    const at::Tensor h = inputs.InputCovariance(slot);
    const at::Tensor g = options_.fisher ? gradients_->OutputCovariance(slot) : at::Tensor();
    const auto loss = [&](const at::Tensor& difference) {
      const at::Tensor right = at::matmul(difference, h);
      const at::Tensor left = g.defined() ? at::matmul(g, difference) : difference;
      return std::max(0.0, (left * right).sum(at::kDouble).item<double>());
    };
    RateCurve curve;
    curve.name = slot.name;
    curve.total = loss(w);
    const FeedbackOptions& options = options_.rounding;
    for (const int bits : kWidths) {
      const WeightPtr rounded =
          MakeCodedWeight(RoundToNearest(w, bits, options.group, options.symmetric), options_.activation);
      curve.parameters.push_back(rounded->size().bytes);
      curve.loss.push_back(loss(rounded->Dense() - w));
      if (curve.loss.size() > 1) curve.loss.back() = std::min(curve.loss.back(), curve.loss.end()[-2]);
    }
    return curve;
  }

  // Gives every linear its bits.
  Json ShareOut(const StageContext& context, const Statistics& inputs) {
    std::vector<RateCurve> curves;
    int64_t weights = 0;
    context.for_each([&](const LinearSlot& slot) {
      curves.push_back(CurveOf(slot, inputs));
      weights += slot.linear->out_features() * slot.linear->in_features();
      if (context.progress) context.progress("losses", static_cast<int64_t>(curves.size()));
    });
    const auto budget = static_cast<int64_t>(options_.average / 8 * static_cast<double>(weights));
    int64_t least = 0;
    for (const RateCurve& curve : curves) least += curve.parameters.front();
    if (budget < least) {
      throw Error(ErrorKind::kUsage, {"too few bits for codes of 2 bits everywhere",
                                      "at least " + std::to_string(8 * static_cast<double>(least) /
                                                                   static_cast<double>(weights)),
                                      std::to_string(options_.average), "average", ""});
    }
    const std::vector<size_t> choice = Allocate(Allocation::kThreshold, curves, budget);
    std::map<std::string, int64_t> linears;
    int64_t bytes = 0;
    for (size_t i = 0; i < curves.size(); ++i) {
      bits_[curves[i].name] = kWidths[choice[i]];
      bytes += curves[i].parameters[choice[i]];
      ++linears[std::to_string(kWidths[choice[i]])];
    }
    return {{"budget_bytes", budget}, {"bytes", bytes}, {"linears_by_bits", linears}};
  }

  GptqOptions options_;
  std::shared_ptr<const Statistics> gradients_;
  std::map<std::string, int> bits_;  // of every linear, when they differ
};

std::unique_ptr<Stage> MakeGptq(const StageValues& values) {
  GptqOptions options;
  FeedbackOptions& rounding = options.rounding;
  if (values.Text("bits") == "mixed") {
    options.average = values.Real("average");
  } else {
    rounding.bits = static_cast<int>(values.Integer("bits"));
  }
  rounding.group = GroupFrom(values);
  rounding.symmetric = values.Text("zero") == "sym";
  rounding.damping = values.Real("damp");
  rounding.act_order = values.Text("order") == "act";
  rounding.dynamic_groups = values.Has("groups") && values.Text("groups") == "dynamic";
  rounding.clip = values.Text("clip") == "search";
  options.fisher = values.Text("metric") == "fisher";
  if (options.fisher) {
    rounding.output_damping = values.Real("output_damp");
    options.gradient_windows = values.Integer("gradient_windows");
  }
  options.activation = ActivationFrom(values);
  return std::make_unique<Gptq>(values, options);
}

}  // namespace

StageEntry GptqEntry() {
  using Type = ParameterDescription::Type;
  StageDescription description =
      DescribeQuantizer("gptq",
                        "codes of 2 to 8 bits, rounded with feedback from the inputs of a calibration text; "
                        "with metric=fisher also "
                        "from the gradients",
                        "GPTQ (arXiv 2210.17323); metric=fisher and bits=mixed are ours");
  description.takes_embedding = false;
  const auto choice = [&](const char* name, const char* fallback, const char* help,
                          std::vector<std::string> choices, const char* when = "") {
    description.parameters.push_back({name, Type::kChoice, fallback, help, 0, 0, std::move(choices), when});
  };
  choice("bits", "4", "bits of a code; mixed: every linear its own, by one price a bit for all",
         {"2", "3", "4", "5", "6", "8", "mixed"});
  description.parameters.push_back({"average",
                                    Type::kReal,
                                    "4.25",
                                    "bits a weight that all linears together may take, scales included",
                                    2,
                                    9,
                                    {},
                                    "bits=mixed"});
  description.parameters.push_back(GroupParameter("128", true));
  choice("zero", "asym", "sym: range around 0; asym: with an integer zero point", {"sym", "asym"});
  choice("order", "act",
         "columns by the mean square of their input (act; scales from the weights as they are), "
         "or as they come (natural)",
         {"act", "natural"});
  choice("groups", "dynamic", "scales of a group with the feedback so far, or from the weights as they are",
         {"dynamic", "static"}, "order=natural");
  choice("clip", "none",
         "search: ranges shrunk by up to half where that lowers the error weighted by the inputs",
         {"none", "search"});
  choice("metric", "input",
         "of the error: input, the linear's output; fisher, the model's loss to second order",
         {"input", "fisher"});
  AddFeed(description.parameters);
  description.parameters.push_back(
      {"damp", Type::kReal, "0.01", "added to the input covariance, in means of its diagonal", 0, 10, {}});
  AddGradientWindows(description.parameters, "metric=fisher");
  description.parameters.push_back({"output_damp",
                                    Type::kReal,
                                    "0.1",
                                    "added to the gradient covariance, in means of its diagonal",
                                    0,
                                    10,
                                    {},
                                    "metric=fisher"});
  description.parameters.push_back(ActivationParameter("int8"));
  return {description, &MakeGptq};
}

}  // namespace tnb
