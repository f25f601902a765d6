#include "methods/quantize/scaled.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "base/error.h"
#include "methods/calibrated.h"
#include "methods/quantize/rounding.h"
#include "methods/quantize/scalar.h"

namespace tnb {
namespace {

// One linear of those that share an input.
struct Reader {
  std::string name;
  LinearKind kind = LinearKind::kQ;
  at::Tensor w;
};

// The linears of a block that read the same input, in order.
struct Readers {
  std::string input;  // InputName
  int64_t block = 0;
  std::vector<Reader> linears;
};

// Where the input of some linears can be divided: a norm or the rows of a linear.
struct Maker {
  std::string norm, linear;
  bool none() const { return norm.empty() && linear.empty(); }
};

class Scaled : public Stage {
 public:
  explicit Scaled(const StageValues& values) : calibration_(values) {}

  void Prepare(const StageContext& context) override {
    calibration_.Prepare(context);
    Readers now;
    std::map<std::string, int64_t> rows;  // of selected linears
    int64_t done = 0;
    const auto finish = [&] {
      if (!now.linears.empty()) Take(now, MakerOf(now, rows));
    };
    context.for_each([&](const LinearSlot& slot) {
      if (slot.linear->factorized()) {
        throw Error(ErrorKind::kUnsupported,
                    {"factors move between linears that are one matrix each", "dense",
                     slot.linear->Describe(), slot.name, "int4 or gptq for the cores"});
      }
      if (const std::string input = InputName(slot); input != now.input) {
        finish();
        now = {input, slot.block, {}};
      }
      now.linears.push_back({slot.name, slot.kind, slot.linear->Rebuild()});
      rows[slot.name] = slot.linear->out_features();
      if (context.progress) context.progress("scales", ++done);
    });
    finish();
  }

  Json Report() const override { return calibration_.Report(); }

  at::Tensor InputCovariance(const LinearSlot& slot) const override {
    return calibration_.FindInputCovariance(slot);
  }

  void ApplyToNorm(const std::string& name, at::Tensor& gain) const override {
    if (const auto found = divided_.find(name); found != divided_.end()) gain = gain / found->second;
  }

  bool MovesFactors() const override { return true; }

  at::Tensor WithFactorsBack(const LinearSlot& slot, const at::Tensor& w) const override {
    const auto found = plans_.find(slot.name);
    if (found == plans_.end()) return w;
    at::Tensor back = w;
    if (found->second.scale.defined()) back = back / found->second.scale;
    if (const auto divisor = divided_.find(slot.name); divisor != divided_.end())
      back = back * divisor->second.unsqueeze(1);
    return back;
  }

  LinearReport Apply(LinearSlot& slot) const override {
    const auto found = plans_.find(slot.name);
    if (found == plans_.end()) {
      throw Error(ErrorKind::kInternal, "a calibrated stage was not prepared for " + slot.name);
    }
    const Plan& plan = found->second;
    at::Tensor w = slot.linear->Rebuild();
    const auto divisor = divided_.find(slot.name);
    const bool divides = divisor != divided_.end();
    if (divides) {
      w = w / divisor->second.unsqueeze(1);
      if (slot.linear->bias().defined()) slot.linear->set_bias(slot.linear->bias() / divisor->second);
    }
    if (plan.scale.defined()) w = w * plan.scale;
    slot.linear->ReplaceWeight(0, Stored(w, plan.clamp));
    LinearReport report;
    report.detail = plan.detail;
    return report;
  }

 protected:
  // Factors for the input of some linears, fp32 [in], and what to say about them.
  virtual at::Tensor ScaleOf(const Readers& readers, const LinearSlot& place, Json& detail) const = 0;
  // Whether the input of a linear of this kind is to be divided at all.
  virtual bool Wants(LinearKind) const { return true; }
  // Shares of the absmax of every group that w (already scaled, for inputs with covariance h) is clamped to,
  // or undefined.
  virtual at::Tensor ClampOf(LinearKind, const at::Tensor& /*w*/, const at::Tensor& /*h*/) const {
    return {};
  }
  // A scaled matrix as it is kept.
  virtual WeightPtr Stored(const at::Tensor& w, const at::Tensor& clamp) const = 0;

  const Statistics& inputs() const { return calibration_.statistics(); }

 private:
  // What becomes of one linear.
  struct Plan {
    at::Tensor scale, clamp;  // undefined: none
    Json detail = Json::object();
  };

  // What makes the input of these linears, if it can take factors.
  Maker MakerOf(const Readers& readers, const std::map<std::string, int64_t>& selected_rows) const {
    const std::string prefix = "blocks." + std::to_string(readers.block) + ".";
    const LinearKind kind = readers.linears[0].kind;
    if (!Wants(kind)) return {};
    switch (kind) {
      case LinearKind::kQ:
        return readers.linears.size() == 3 ? Maker{prefix + "attention_norm", ""} : Maker{};
      case LinearKind::kGate:
        return readers.linears.size() == 2 ? Maker{prefix + "mlp_norm", ""} : Maker{};
      case LinearKind::kO:
      case LinearKind::kDown: {
        const std::string maker = prefix + (kind == LinearKind::kO ? "v" : "up");
        const auto found = selected_rows.find(maker);
        const bool fits = found != selected_rows.end() && found->second == readers.linears[0].w.size(1);
        return fits ? Maker{"", maker} : Maker{};
      }
      default:
        return {};
    }
  }

  void Take(const Readers& readers, const Maker& maker) {
    LinearSlot place;
    place.name = readers.linears[0].name;
    place.kind = readers.linears[0].kind;
    place.block = readers.block;
    place.linear = MakeDenseLinear(MakeDenseWeight(readers.linears[0].w));
    Json detail = Json::object();
    at::Tensor scale;
    if (!maker.none()) {
      scale = ScaleOf(readers, place, detail);
      divided_[maker.norm.empty() ? maker.linear : maker.norm] = scale;
    }
    detail["scaled"] = !maker.none();
    const at::Tensor covariance = inputs().InputCovariance(place);
    for (const Reader& reader : readers.linears) {
      Plan& plan = plans_[reader.name];
      plan.scale = scale;
      plan.detail = detail;
      const at::Tensor w = scale.defined() ? reader.w * scale : reader.w;
      const at::Tensor h = scale.defined() ? covariance / at::outer(scale, scale) : covariance;
      plan.clamp = ClampOf(reader.kind, w, h);
      if (plan.clamp.defined()) plan.detail["mean_clamp"] = plan.clamp.mean().item<double>();
    }
  }

  Calibrated calibration_;
  std::map<std::string, Plan> plans_;          // by linear
  std::map<std::string, at::Tensor> divided_;  // by norm, or by linear whose rows are divided
};

// Scaled matrices are kept as codes.
class ScaledCodes : public Scaled {
 public:
  ScaledCodes(const StageValues& values, int bits, int64_t group, bool symmetric, Activation activation)
      : Scaled(values), bits_(bits), group_(group), symmetric_(symmetric), activation_(activation) {}

 protected:
  WeightPtr Stored(const at::Tensor& w, const at::Tensor& clamp) const final {
    return MakeCodedWeight(RoundToNearest(Clamped(w, clamp), bits_, group_, symmetric_), activation_);
  }

  at::Tensor Rounded(const at::Tensor& w) const { return ValuesOn(GridOf(w, bits_, group_, symmetric_), w); }
  int64_t Width(int64_t cols) const { return group_ == 0 ? cols : group_; }

  // w with every group in [-f absmax, f absmax], f: fp32 [rows, groups] or undefined.
  at::Tensor Clamped(const at::Tensor& w, const at::Tensor& f) const {
    if (!f.defined()) return w;
    const int64_t cols = w.size(1), width = Width(cols), groups = f.size(1);
    const at::Tensor blocks =
        at::constant_pad_nd(w, {0, groups * width - cols}).view({w.size(0), groups, width});
    const at::Tensor limit = (blocks.abs().amax(2) * f).unsqueeze(2);
    return at::minimum(at::maximum(blocks, -limit), limit)
        .reshape({w.size(0), -1})
        .narrow(1, 0, cols)
        .contiguous();
  }

 private:
  int bits_;
  int64_t group_;
  bool symmetric_;
  Activation activation_;
};

class Awq : public ScaledCodes {
 public:
  explicit Awq(const StageValues& values)
      : ScaledCodes(values, static_cast<int>(values.Integer("bits")), GroupFrom(values),
                    values.Text("zero") == "sym", ActivationFrom(values)),
        clip_(values.Text("clip") == "search") {}

 protected:
  at::Tensor ScaleOf(const Readers& readers, const LinearSlot& place, Json& detail) const override {
    const at::Tensor mean = inputs().MeanAbsoluteInput(place), h = inputs().InputCovariance(place);
    at::Tensor best;
    double least = INFINITY;
    for (int step = 0; step < 20; ++step) {
      at::Tensor scale = mean.pow(0.05 * step).clamp_min(1e-4);
      scale = scale / (scale.max() * scale.min()).sqrt();
      double loss = 0;
      for (const Reader& reader : readers.linears) {
        const at::Tensor difference = Rounded(reader.w * scale) / scale - reader.w;
        loss += (at::matmul(difference, h) * difference).sum(at::kDouble).item<double>();
      }
      if (loss < least) {
        least = loss;
        best = scale;
        detail["ratio"] = 0.05 * step;
      }
    }
    return best;
  }

  at::Tensor ClampOf(LinearKind kind, const at::Tensor& w, const at::Tensor& h) const override {
    if (!clip_ || kind == LinearKind::kQ || kind == LinearKind::kK) return {};
    const int64_t rows = w.size(0), cols = w.size(1), width = Width(cols),
                  groups = (cols + width - 1) / width;
    at::Tensor least = at::full({rows, groups}, INFINITY), best = at::ones({rows, groups});
    for (int step = 0; step < 10; ++step) {
      const at::Tensor factor = at::full({rows, groups}, 1 - 0.05 * step);
      const at::Tensor difference = Rounded(Clamped(w, factor)) - w;
      std::vector<at::Tensor> losses;
      for (int64_t begin = 0; begin < cols; begin += width) {
        const int64_t count = std::min(width, cols - begin);
        const at::Tensor part = difference.narrow(1, begin, count);
        const at::Tensor block = h.narrow(0, begin, count).narrow(1, begin, count);
        losses.push_back((at::matmul(part, block) * part).sum(1));
      }
      const at::Tensor loss = at::stack(losses, 1), better = loss < least;
      least = at::where(better, loss, least);
      best = at::where(better, factor, best);
    }
    return best;
  }

 private:
  bool clip_;
};

class SmoothQuant : public ScaledCodes {
 public:
  explicit SmoothQuant(const StageValues& values)
      : ScaledCodes(values, 8, 0, true, Activation::kInt8Row), alpha_(values.Real("alpha")) {}

 protected:
  bool Wants(LinearKind kind) const override { return kind == LinearKind::kQ || kind == LinearKind::kGate; }

  at::Tensor ScaleOf(const Readers& readers, const LinearSlot& place, Json&) const override {
    at::Tensor weights;
    for (const Reader& reader : readers.linears) {
      const at::Tensor largest = reader.w.abs().amax(0);
      weights = weights.defined() ? at::maximum(weights, largest) : largest;
    }
    return (inputs().LargestInput(place).clamp_min(1e-5).pow(alpha_) /
            weights.clamp_min(1e-5).pow(1 - alpha_))
        .clamp_min(1e-5);
  }

 private:
  double alpha_;
};

class Awt : public Scaled {
 public:
  explicit Awt(const StageValues& values)
      : Scaled(values), alpha_(values.Real("alpha")), least_(values.Real("least")) {}

 protected:
  at::Tensor ScaleOf(const Readers&, const LinearSlot& place, Json&) const override {
    const at::Tensor mean = inputs().MeanAbsoluteInput(place);
    return (mean / mean.mean()).pow(alpha_).clamp_min(least_);
  }
  WeightPtr Stored(const at::Tensor& w, const at::Tensor&) const override {
    return MakeDenseWeight(w.contiguous());
  }

 private:
  double alpha_, least_;
};

using Type = ParameterDescription::Type;

}  // namespace

StageEntry AwqEntry() {
  StageDescription description = DescribeQuantizer("awq",
                                                   "integer codes after columns with large inputs were "
                                                   "scaled up, by factors that move into the norm or linear "
                                                   "before; ranges clipped by search",
                                                   "AWQ (arXiv 2306.00978), mit-han-lab/llm-awq");
  description.takes_embedding = false;
  description.parameters = {
      {"bits", Type::kChoice, "4", "bits of a code", 0, 0, {"2", "3", "4", "5", "6", "8"}},
      GroupParameter("128", true),
      ZeroParameter(),
      {"clip", Type::kChoice, "search", "of ranges by their part of the output", 0, 0, {"none", "search"}},
      ActivationParameter("int8")};
  AddCalibration(description.parameters, "");
  return {description, &MakeStage<Awq>};
}

StageEntry SmoothQuantEntry() {
  StageDescription description = DescribeQuantizer(
      "smoothquant",
      "int8 by row and inputs int8 by token, after factors moved from large inputs into the weights",
      "SmoothQuant (arXiv 2211.10438), O1: a scale a token, found as it is computed");
  description.takes_embedding = false;
  description.parameters = {
      {"alpha", Type::kReal, "0.5", "how much moves: 0, none of the inputs' range; 1, all of it", 0, 1, {}}};
  AddCalibration(description.parameters, "");
  return {description, &MakeStage<SmoothQuant>};
}

StageEntry AwtEntry() {
  StageDescription description;
  description.name = "awt";
  description.group = "equivalent";
  description.summary =
      "columns of matrices by the size of their inputs, which the norm or linear before is divided by: "
      "what is factorized next keeps what large inputs meet";
  description.selector = "attn/gate/up";
  description.reference =
      "activation-aware weight tensorization (AWT), with its factors folded into the model";
  description.parameters = {
      {"alpha", Type::kReal, "1", "power of the mean absolute input over its mean", 0, 2, {}},
      {"least", Type::kReal, "0.01", "smallest factor", 1e-6, 1, {}}};
  AddCalibration(description.parameters, "");
  return {description, &MakeStage<Awt>};
}

}  // namespace tnb
