// The parameters of factorizing stages, and what they mean.
#include "methods/calibrated.h"
#include "methods/factorize/factorizer.h"

namespace tnb {
namespace {

using Type = ParameterDescription::Type;
std::vector<std::string> Allocations() { return {"uniform", "energy", "threshold", "drank"}; }
const char kAllocationHelp[] =
    "who gets how much of the budget: uniform, the same fraction; energy, equal relative loss; threshold, "
    "least sum of losses; drank, by effective rank; all but the first leave a matrix dense where that is "
    "better";

}  // namespace

StageDescription DescribeFactorization(const std::string& name, const std::string& summary,
                                       const std::string& rank_name, const std::string& reference) {
  StageDescription description;
  description.name = name;
  description.group = "factorize";
  description.summary = summary + "; embedding, head and down are left alone";
  description.parameters = AmountParameters(rank_name);
  description.parameters.push_back({"superweights",
                                    Type::kInteger,
                                    "0",
                                    "so many of the largest weights of every matrix stay exact, in a sparse "
                                    "matrix beside the network",
                                    0,
                                    1e6,
                                    {},
                                    "",
                                    "0"});
  description.selector = "attn/gate/up";
  description.takes_embedding = true;
  description.embedding_by_name = true;
  description.reference = reference;
  return description;
}

FactorizerOptions OptionsFrom(const StageValues& values, const std::string& rank_name) {
  FactorizerOptions options;
  options.amount = AmountFrom(values, rank_name);
  options.rank_name = rank_name;
  if (values.Has("whiten")) {
    options.metric.kind = values.Text("whiten") == "fisher" ? MetricKind::kFisher : MetricKind::kInputs;
  }
  if (values.Has("alloc")) options.allocation = AllocationFrom(values.Text("alloc"));
  if (values.Has("permute")) options.permute = values.Text("permute");
  if (values.Has("superweights")) options.sparse.superweights = values.Integer("superweights");
  if (values.Has("alpha")) options.metric.alpha = values.Real("alpha");
  if (values.Has("ridge")) options.metric.ridge = values.Real("ridge");
  if (values.Has("output_ridge")) options.metric.output_ridge = values.Real("output_ridge");
  if (values.Has("data")) {
    options.metric.inputs.data = values.Text("data");
    options.metric.inputs.length = values.Integer("length");
    options.metric.inputs.windows = values.Integer("windows");
    options.metric.gradients = options.metric.inputs;
    options.metric.gradients.moments = Moments::kOutputGradients;
    if (values.Has("factors") && values.Text("factors") == "joint")
      options.metric.gradients.moments = Moments::kJoint;
    if (values.Has("gradient_windows")) options.metric.gradients.windows = values.Integer("gradient_windows");
  }
  return options;
}

void AddWhitening(std::vector<ParameterDescription>& parameters) {
  parameters.push_back({"whiten",
                        Type::kChoice,
                        "none",
                        "metric of the error: none, the matrix itself; input, its output on the calibration "
                        "text; fisher, the model's loss there, to second order",
                        0,
                        0,
                        {"none", "input", "fisher"},
                        "",
                        "none"});
  parameters.push_back({"alloc", Type::kChoice, "uniform", kAllocationHelp, 0, 0, Allocations(),
                        "whiten=none|input", "uniform"});
  parameters.push_back(
      {"alloc", Type::kChoice, "threshold", kAllocationHelp, 0, 0, Allocations(), "whiten=fisher"});
  AddCalibration(parameters, "whiten=input|fisher");
  parameters.push_back({"ridge",
                        Type::kReal,
                        "1e-04",
                        "added to the input covariance, in means of its diagonal",
                        0,
                        10,
                        {},
                        "whiten=input|fisher"});
  AddGradientWindows(parameters, "whiten=fisher");
  parameters.push_back({"factors",
                        Type::kChoice,
                        "independent",
                        "the two factors of the metric: of inputs and of gradients as if they were "
                        "independent, or each weighted by the other's square, token by token",
                        0,
                        0,
                        {"independent", "joint"},
                        "whiten=fisher",
                        "independent"});
  parameters.push_back({"output_ridge",
                        Type::kReal,
                        "0.01",
                        "added to the gradient covariance, in means of its diagonal",
                        0,
                        10,
                        {},
                        "whiten=fisher"});
}

void AddPermutation(std::vector<ParameterDescription>& parameters) {
  parameters.push_back(
      {"permute",
       Type::kChoice,
       "none",
       "order of rows and columns before they are factored into legs: as they are, by norm, or "
       "each beside the most similar one; two bytes an index",
       0,
       0,
       {"none", "norm", "similar"},
       "",
       "none"});
}

void AddSweeps(std::vector<ParameterDescription>& parameters) {
  parameters.push_back({"sweeps",
                        Type::kInteger,
                        "0",
                        "rounds of alternating least squares after the cuts (three cores or more)",
                        0,
                        100,
                        {},
                        "",
                        "0"});
}

int64_t SweepsFrom(const StageValues& values) { return values.Has("sweeps") ? values.Integer("sweeps") : 0; }

void AddAllocation(std::vector<ParameterDescription>& parameters) {
  parameters.push_back(
      {"alloc", Type::kChoice, "uniform", kAllocationHelp, 0, 0, Allocations(), "", "uniform"});
}

}  // namespace tnb
