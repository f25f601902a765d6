// The parameters of factorizing stages, and what they mean.
#include "methods/calibrated.h"
#include "methods/factorize/factorizer.h"

namespace tnb {
namespace {

using Type = ParameterDescription::Type;
std::vector<std::string> Allocations() { return {"uniform", "energy", "threshold"}; }
const char kAllocationHelp[] =
    "who gets how much of the budget: uniform, the same fraction; energy, equal relative loss; threshold, "
    "least sum of losses; the last two leave a matrix dense where that is better";

}  // namespace

FactorizerOptions OptionsFrom(const StageValues& values, const std::string& rank_name) {
  FactorizerOptions options;
  options.amount = AmountFrom(values, rank_name);
  options.rank_name = rank_name;
  if (values.Has("whiten")) {
    options.metric = values.Text("whiten") == "fisher" ? Metric::kFisher : Metric::kInputs;
  }
  if (values.Has("alloc")) options.allocation = AllocationFrom(values.Text("alloc"));
  if (values.Has("alpha")) options.alpha = values.Real("alpha");
  if (values.Has("ridge")) options.ridge = values.Real("ridge");
  if (values.Has("output_ridge")) options.output_ridge = values.Real("output_ridge");
  if (values.Has("data")) {
    options.inputs.data = values.Text("data");
    options.inputs.length = values.Integer("length");
    options.inputs.windows = values.Integer("windows");
    options.gradients = options.inputs;
    options.gradients.moments = Moments::kOutputGradients;
    if (values.Has("gradient_windows")) options.gradients.windows = values.Integer("gradient_windows");
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
  parameters.push_back(
      {"gradient_windows", Type::kInteger, "24", "windows for gradients", 1, 1e6, {}, "whiten=fisher"});
  parameters.push_back({"output_ridge",
                        Type::kReal,
                        "0.01",
                        "added to the gradient covariance, in means of its diagonal",
                        0,
                        10,
                        {},
                        "whiten=fisher"});
}

void AddAllocation(std::vector<ParameterDescription>& parameters) {
  parameters.push_back(
      {"alloc", Type::kChoice, "uniform", kAllocationHelp, 0, 0, Allocations(), "", "uniform"});
}

}  // namespace tnb
