#include "methods/quantize/decoquant.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"
#include "methods/factorize/form.h"
#include "methods/quantize/rounding.h"
#include "methods/quantize/scalar.h"

namespace tnb {
namespace {

int64_t DivisorUpTo(int64_t size, int64_t most) {
  while (size % most != 0) --most;
  return most;
}

class DecoQuant : public Stage {
 public:
  explicit DecoQuant(const StageValues& values)
      : bits_(static_cast<int>(values.Integer("bits"))),
        leg_(values.Integer("leg")),
        group_(GroupFrom(values)),
        symmetric_(values.Text("zero") == "sym"),
        activation_(ActivationFrom(values)) {}

  LinearReport Apply(LinearSlot& slot) const override {
    if (slot.linear->factorized() || slot.linear->weight_count() != 1) {
      throw Error(ErrorKind::kUnsupported, {"decoquant cuts matrices", "a dense linear",
                                            slot.linear->Describe(), "", "int4 quantizes cores"});
    }
    const at::Tensor w = slot.linear->Rebuild();
    const int64_t o2 = DivisorUpTo(w.size(0), leg_), i2 = DivisorUpTo(w.size(1), leg_);
    const Legs legs{{w.size(0) / o2, o2}, {w.size(1) / i2, i2}};
    const std::vector<NetworkTensor> cores = Cut(w, legs);
    std::unique_ptr<Linear> linear = LinearOf(cores, legs);
    bool coded = false;  // the network may order its cores, and both can have one size
    for (int64_t i = 0; i < linear->weight_count(); ++i) {
      const at::Tensor core = linear->weight(i)->Dense();
      const bool large = !coded && core.numel() == cores[0].values.numel();
      coded = coded || large;
      linear->ReplaceWeight(
          i, large ? MakeCodedWeight(RoundToNearest(core, bits_, group_, symmetric_), activation_)
                   : MakeDenseWeight(core.to(at::kHalf)));
    }
    linear->set_bias(slot.linear->bias());
    slot.linear = std::move(linear);
    LinearReport report;
    report.detail = {{"legs", ToString(legs)}};
    return report;
  }

 private:
  // The large core with a mean square of 1, then the small one.
  static std::vector<NetworkTensor> Cut(const at::Tensor& w, const Legs& legs) {
    const int64_t o1 = legs.out[0], o2 = legs.out[1], i1 = legs.in[0], i2 = legs.in[1], bond = o2 * i2;
    const at::Tensor t =
        w.to(at::kDouble).view({o1, o2, i1, i2}).permute({0, 2, 1, 3}).reshape({o1 * i1, bond});
    const auto [squares, vectors] = at::linalg_eigh(at::matmul(t.t(), t));
    const at::Tensor values = squares.clamp_min(0).sqrt();
    // Directions that hold nothing but rounding errors are left empty.
    const at::Tensor inverse =
        at::where(values > 1e-7 * values.max(), values.reciprocal(), at::zeros_like(values));
    const double size = std::sqrt(static_cast<double>(o1 * i1));
    const at::Tensor large = at::matmul(t, vectors) * (inverse * size);
    const at::Tensor small = (vectors * (values / size)).t();
    return {{large.to(at::kFloat).view({o1, i1, bond}), {0, 2, 4}},
            {small.to(at::kFloat).contiguous().view({bond, o2, i2}), {4, 1, 3}}};
  }

  int bits_;
  int64_t leg_, group_;
  bool symmetric_;
  Activation activation_;
};

}  // namespace

StageEntry DecoQuantEntry() {
  using Type = ParameterDescription::Type;
  StageDescription description =
      DescribeQuantizer("decoquant",
                        "a product of two cores from which nothing is cut: the large one in codes, the small "
                        "one, which holds the outliers, in fp16",
                        "DecoQuant (arXiv 2405.12591), of weights instead of keys and values");
  description.takes_embedding = false;
  description.parameters = {
      {"bits", Type::kChoice, "4", "bits of a code of the large core", 0, 0, {"2", "3", "4", "5", "6", "8"}},
      {"leg",
       Type::kInteger,
       "4",
       "most rows and columns of a block, whose elements the small core mixes",
       2,
       32,
       {}},
      GroupParameter("64", true),
      ZeroParameter(),
      ActivationParameter("int8")};
  return {description, &MakeStage<DecoQuant>};
}

}  // namespace tnb
