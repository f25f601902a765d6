#include "models/engine/weight.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "models/engine/parallel.h"
#include "models/engine/weight_parts.h"

namespace tnb {

std::string ToString(Kernel kernel) {
  switch (kernel) {
    case Kernel::kPacked:
      return "packed";
    case Kernel::kExpanded:
      return "expanded";
    case Kernel::kSimulated:
      return "simulated";
  }
  return "";
}

at::Tensor Weight::Matmul(const at::Tensor& x) const {
  TORCH_CHECK(x.dim() == 2 && x.size(1) == cols(), "Matmul: x is not [n, ", cols(), "]");
  if (!x.is_cpu()) {
    if (!on_device_.defined() || on_device_.device() != x.device()) on_device_ = Dense().to(x.device());
    return at::linear(x, on_device_);
  }
  const at::Tensor input = x.stride(1) == 1 ? x : x.contiguous();
  at::Tensor y = at::empty({x.size(0), rows()}, x.options());
  MatmulCpu(input, y);
  return y;
}

std::vector<at::Tensor> MatmulAll(std::span<const Weight* const> weights, const at::Tensor& x) {
  std::vector<at::Tensor> results;
  const auto agrees = [&](const Weight* weight) {
    return weight->panels() != nullptr && weight->activation() == weights[0]->activation();
  };
  if (!x.is_cpu() || !std::all_of(weights.begin(), weights.end(), agrees)) {
    for (const Weight* weight : weights) results.push_back(weight->Matmul(x));
    return results;
  }
  const at::Tensor input = x.stride(1) == 1 ? x : x.contiguous();
  std::vector<PanelProduct> products;
  for (const Weight* weight : weights) {
    TORCH_CHECK(x.dim() == 2 && x.size(1) == weight->cols(), "MatmulAll: x is not [n, ", weight->cols(), "]");
    results.push_back(at::empty({x.size(0), weight->rows()}, x.options()));
    products.push_back({weight->panels(), results.back().mutable_data_ptr<float>(), weight->rows()});
  }
  PanelMatmul(products, weights[0]->activation(), input.const_data_ptr<float>(), input.stride(0), x.size(0));
  return results;
}

at::Tensor Weight::Rows(const at::Tensor& index) const { return Dense().index_select(0, index.cpu()); }

at::Tensor Weight::DenseOf(const std::vector<at::Tensor>& tensors) const {
  if (!tensors.empty()) throw Error(ErrorKind::kInternal, format() + " weights have nothing to train");
  return Dense();
}

WeightPtr Weight::WithTrained(const std::vector<at::Tensor>&) const {
  throw Error(ErrorKind::kInternal, format() + " weights have nothing to train");
}

at::Tensor PanelWeight::Dense() const {
  at::Tensor out = at::empty({rows(), cols()}, at::kFloat);
  UnpackF32(panels_, 0, rows(), out.mutable_data_ptr<float>());
  return out;
}

at::Tensor PanelWeight::Rows(const at::Tensor& index) const {
  const at::Tensor wanted = index.cpu().contiguous();
  at::Tensor out = at::empty({wanted.numel(), cols()}, at::kFloat);
  const int64_t* row = wanted.const_data_ptr<int64_t>();
  float* to = out.mutable_data_ptr<float>();
  for (int64_t i = 0; i < wanted.numel(); ++i) {
    TORCH_CHECK(row[i] >= 0 && row[i] < rows(), "row ", row[i], " of a matrix of ", rows(), " rows");
  }
  ParallelFor(wanted.numel(), 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) UnpackF32(panels_, row[i], row[i] + 1, to + i * cols());
  });
  return out;
}

void PanelWeight::MatmulCpu(const at::Tensor& x, at::Tensor& y) const {
  PanelMatmul(panels_, activation_, x.const_data_ptr<float>(), x.stride(0), x.size(0),
              y.mutable_data_ptr<float>(), y.stride(0));
}

void CheckTensor(const at::Tensor& tensor, at::ScalarType dtype, const std::vector<int64_t>& shape,
                 const std::string& where) {
  if (tensor.scalar_type() != dtype || tensor.sizes() != at::IntArrayRef(shape)) {
    std::ostringstream expected, found;
    expected << c10::toString(dtype) << " " << at::IntArrayRef(shape);
    found << c10::toString(tensor.scalar_type()) << " " << tensor.sizes();
    throw Error(ErrorKind::kData,
                {"a stored weight has the wrong shape or type", expected.str(), found.str(), where, ""});
  }
}

void CheckFinite(const at::Tensor& tensor, const std::string& where) {
  if (at::isfinite(tensor).all().item<bool>()) return;
  throw Error(ErrorKind::kData,
              {"a stored value is NaN or infinite", "", "", where, "compress the model again"});
}

namespace {

// Weights in fp32, fp16 or bf16.
class DenseWeight : public PanelWeight {
 public:
  DenseWeight(const at::Tensor& values, Activation activation)
      : PanelWeight(activation), dtype_(values.scalar_type()) {
    const at::Tensor source = values.contiguous();
    const int64_t rows = source.size(0), cols = source.size(1);
    switch (dtype_) {
      case at::kFloat:
        panels_ = PackF32(source.const_data_ptr<float>(), rows, cols);
        break;
      case at::kHalf:
        panels_ = PackF16(static_cast<const uint16_t*>(source.const_data_ptr()), rows, cols);
        break;
      case at::kBFloat16:
        panels_ = PackBF16(static_cast<const uint16_t*>(source.const_data_ptr()), rows, cols);
        break;
      default:
        throw Error(ErrorKind::kInternal, "a dense weight is fp32, fp16 or bf16");
    }
    if (QuantizesInput(activation) || (activation == Activation::kBF16 && dtype_ != at::kBFloat16)) {
      throw Error(ErrorKind::kInternal, "this activation format does not go with this weight format");
    }
  }

  std::string format() const override {
    if (dtype_ == at::kFloat) return "fp32";
    if (dtype_ == at::kHalf) return "fp16";
    return activation_ == Activation::kBF16 ? "bf16" : "bf16 act=fp32";
  }
  WeightSize size() const override {
    const int64_t count = rows() * cols();
    return {count, 0, count * static_cast<int64_t>(c10::elementSize(dtype_))};
  }

  std::vector<at::Tensor> TrainableTensors() const override { return {Dense()}; }
  at::Tensor DenseOf(const std::vector<at::Tensor>& tensors) const override { return tensors.at(0); }
  WeightPtr WithTrained(const std::vector<at::Tensor>& tensors) const override {
    return std::make_shared<DenseWeight>(tensors.at(0).to(dtype_), activation_);
  }

  Json Save(const TensorSink& sink) const override {
    if (dtype_ == at::kFloat) {
      sink("", Dense());
    } else {
      at::Tensor bits = at::empty({rows(), cols()}, dtype_);
      UnpackBits16(panels_, static_cast<uint16_t*>(bits.mutable_data_ptr()));
      sink("", bits);
    }
    return {{"format", format()}};
  }

 private:
  at::ScalarType dtype_;
};

}  // namespace

WeightPtr MakeDenseWeight(const at::Tensor& values, Activation activation) {
  return std::make_shared<DenseWeight>(values, activation);
}

WeightPtr LoadWeight(const Json& json, const TensorSource& source, const std::string& where) {
  const auto format = Require<std::string>(json, "format", where);
  const auto rows = Require<int64_t>(json, "rows", where);
  const auto cols = Require<int64_t>(json, "cols", where);
  if (format == "blocks") return LoadBlockWeight(json, source, rows, cols, where);
  if (format == "codebook") return LoadCodebook(json, source, rows, cols, where);
  if (format == "codes") return LoadCodedWeight(json, source, rows, cols, where);
  if (format == "sparse") return LoadSparse(json, source, rows, cols, where);
  if (format == "zero") return MakeZeroWeight(rows, cols);
  at::ScalarType dtype = at::kFloat;
  if (format == "fp16") {
    dtype = at::kHalf;
  } else if (format == "bf16" || format == "bf16 act=fp32") {
    dtype = at::kBFloat16;
  } else if (format != "fp32") {
    throw Error(ErrorKind::kData,
                {"unknown weight format", "fp32, fp16, bf16, blocks, codebook, codes or sparse", format,
                 where, "the artefact comes from another version; compress the model again"});
  }
  const at::Tensor values = source("");
  CheckTensor(values, dtype, {rows, cols}, where);
  CheckFinite(values, where);
  return MakeDenseWeight(values, format == "bf16" ? Activation::kBF16 : Activation::kF32);
}

}  // namespace tnb
