#include <ATen/ATen.h>

#include <optional>

#include "base/error.h"
#include "models/engine/sparse.h"
#include "models/engine/weight_parts.h"

namespace tnb {
namespace {

enum class Form { kTwoOfFour, kBitmap, kRows };
constexpr const char* kFormNames[] = {"2:4", "bitmap", "rows"};

std::string ElementName(SparseType type) {
  switch (type) {
    case SparseType::kF32:
      return "fp32";
    case SparseType::kF16:
      return "fp16";
    case SparseType::kBF16:
      return "bf16";
    case SparseType::kInt8:
      return "int8";
    case SparseType::kInt4:
      return "int4";
  }
  return "";
}

bool IsTwoOfFour(const at::Tensor& kept) {
  const int64_t cols = kept.size(1);
  return cols % 4 == 0 && kept.view({kept.size(0), cols / 4, 4}).sum(2).eq(2).all().item<bool>();
}

// Bytes of the elements and of what says where they are.
int64_t ElementBytes(const SparseParts& parts) {
  return (parts.elements.numel() * parts.values.bits() + 7) / 8;
}
int64_t IndexBytes(Form form, int64_t rows, int64_t cols, int64_t stored) {
  return form == Form::kRows ? 2 * stored + 4 * (rows + 1) : (rows * cols + 7) / 8;
}

Form Smallest(const SparseParts& parts) {
  const int64_t rows = parts.kept.size(0), cols = parts.kept.size(1), stored = parts.elements.numel();
  if (cols <= SparseRows::kMostColumns && stored <= INT32_MAX &&
      IndexBytes(Form::kRows, rows, cols, stored) < IndexBytes(Form::kBitmap, rows, cols, stored)) {
    return Form::kRows;
  }
  return IsTwoOfFour(parts.kept) ? Form::kTwoOfFour : Form::kBitmap;
}

class SparseWeight : public Weight {
 public:
  explicit SparseWeight(const SparseParts& parts)
      : rows_(parts.kept.size(0)),
        cols_(parts.kept.size(1)),
        stored_(parts.elements.numel()),
        element_bytes_(ElementBytes(parts)),
        values_(parts.values),
        form_(Smallest(parts)) {
    if (form_ == Form::kRows) {
      by_rows_.emplace(parts);
    } else {
      panels_.emplace(parts);
    }
  }

  int64_t rows() const override { return rows_; }
  int64_t cols() const override { return cols_; }
  std::string format() const override {
    std::string text = std::string("sparse ") + kFormNames[static_cast<int>(form_)] + " ";
    text += ElementName(values_.type);
    if (!values_.integer()) return text;
    text += values_.group == 0 ? " row" : " g" + std::to_string(values_.group);
    if (values_.type == SparseType::kInt4) text += values_.zeros.defined() ? " asym" : " sym";
    return text;
  }

  WeightSize size() const override {
    const int64_t index = IndexBytes(form_, rows_, cols_, stored_);
    WeightSize size;
    // The 2:4 and bitmap forms have one bit an element of the matrix; a last byte may be partly empty.
    size.code_bits = form_ == Form::kRows ? 8 * index : rows_ * cols_;
    size.bytes = index + element_bytes_;
    if (!values_.integer()) {
      size.parameters = stored_;
      return size;
    }
    const int64_t scales = values_.scales.numel(), zero_bits = values_.zeros.defined() ? 4 * scales : 0;
    size.parameters = scales;
    size.code_bits += stored_ * values_.bits() + zero_bits;
    size.bytes += 2 * scales + (zero_bits + 7) / 8;
    return size;
  }

  at::Tensor Kept() const override { return panels_ ? panels_->Kept() : by_rows_->Kept(); }
  bool coded() const override { return values_.integer(); }
  at::Tensor Elements() const { return panels_ ? panels_->Elements() : by_rows_->Elements(); }
  const SparseValues& values() const { return values_; }

  at::Tensor Dense() const override {
    if (by_rows_) return by_rows_->Dense();
    at::Tensor out = at::empty({rows_, cols_}, at::kFloat);
    ReaderUnpack(*panels_, 0, rows_, cols_, out.mutable_data_ptr<float>());
    return out;
  }

  // The elements that are stored, unless they are codes; the others stay zero.
  std::vector<at::Tensor> TrainableTensors() const override {
    if (values_.integer() || stored_ == 0) return {};
    return {Dense().masked_select(Kept())};
  }
  at::Tensor DenseOf(const std::vector<at::Tensor>& tensors) const override {
    if (tensors.empty()) return Dense();
    return at::zeros({rows_, cols_}, tensors[0].scalar_type()).masked_scatter(Kept(), tensors[0]);
  }
  WeightPtr WithTrained(const std::vector<at::Tensor>& tensors) const override {
    const at::ScalarType dtype = values_.type == SparseType::kF32   ? at::kFloat
                                 : values_.type == SparseType::kF16 ? at::kHalf
                                                                    : at::kBFloat16;
    return MakeSparseWeight(Kept(), DenseOf(tensors).to(dtype));
  }

  Json Save(const TensorSink& sink) const override {
    const at::Tensor kept = Kept();
    switch (form_) {
      case Form::kTwoOfFour: {
        // Columns of the two that are kept, 2 bits each, two quads in a byte.
        const at::Tensor places = kept.view({-1, 4}).nonzero().select(1, 1).to(at::kByte).view({-1, 2});
        const at::Tensor quads =
            at::bitwise_or(places.select(1, 0), at::bitwise_left_shift(places.select(1, 1), 2));
        sink(".places", PackBits(quads, 4));
        break;
      }
      case Form::kBitmap:
        sink(".bitmap", PackBits(kept.to(at::kByte), 1));
        break;
      case Form::kRows: {
        const at::Tensor columns = kept.nonzero().select(1, 1);  // by row
        const at::Tensor starts =
            at::cat({at::zeros({1}, at::kLong), kept.sum(1, false, at::kLong).cumsum(0)});
        sink(".columns", LittleEndian(columns, 2));
        sink(".starts", LittleEndian(starts, 4));
        break;
      }
    }
    const at::Tensor elements = Elements();
    sink(".elements", values_.type == SparseType::kInt4 ? PackBits(elements, 4) : elements);
    if (values_.scales.defined()) sink(".scales", values_.scales);
    if (values_.zeros.defined()) sink(".zeros", values_.zeros);
    return {{"format", "sparse"},
            {"form", kFormNames[static_cast<int>(form_)]},
            {"elements", ElementName(values_.type)},
            {"group", values_.group},
            {"stored", stored_},
            {"asymmetric", values_.zeros.defined()}};
  }

  static at::Tensor LittleEndian(const at::Tensor& numbers, int64_t bytes) {
    std::vector<at::Tensor> parts;
    for (int64_t i = 0; i < bytes; ++i) {
      parts.push_back(at::bitwise_and(at::bitwise_right_shift(numbers, 8 * i), 255).to(at::kByte));
    }
    return at::stack(parts, 1);
  }
  static at::Tensor FromLittleEndian(const at::Tensor& bytes) {
    at::Tensor numbers = at::zeros({bytes.size(0)}, at::kLong);
    for (int64_t i = 0; i < bytes.size(1); ++i) {
      numbers.add_(at::bitwise_left_shift(bytes.select(1, i).to(at::kLong), 8 * i));
    }
    return numbers;
  }

 protected:
  void MatmulCpu(const at::Tensor& x, at::Tensor& y) const override {
    const float* from = x.const_data_ptr<float>();
    float* to = y.mutable_data_ptr<float>();
    if (by_rows_) return by_rows_->Multiply(from, x.stride(0), x.size(0), to, y.stride(0));
    ReaderMatmul(*panels_, rows_, cols_, from, x.stride(0), x.size(0), to, y.stride(0));
  }

 private:
  int64_t rows_, cols_, stored_, element_bytes_;
  SparseValues values_;
  Form form_;
  std::optional<SparsePanels> panels_;  // 2:4 and bitmap
  std::optional<SparseRows> by_rows_;
};

// A matrix of which nothing is stored.
class ZeroWeight : public Weight {
 public:
  ZeroWeight(int64_t rows, int64_t cols) : rows_(rows), cols_(cols) {}
  int64_t rows() const override { return rows_; }
  int64_t cols() const override { return cols_; }
  std::string format() const override { return "zero"; }
  WeightSize size() const override { return {}; }
  at::Tensor Kept() const override { return at::zeros({rows_, cols_}, at::kBool); }
  at::Tensor Dense() const override { return at::zeros({rows_, cols_}, at::kFloat); }
  at::Tensor Rows(const at::Tensor& index) const override {
    return at::zeros({index.numel(), cols_}, at::kFloat);
  }
  Json Save(const TensorSink&) const override { return {{"format", "zero"}}; }

 protected:
  void MatmulCpu(const at::Tensor&, at::Tensor& y) const override { y.zero_(); }

 private:
  int64_t rows_, cols_;
};

// What `weight` stores for every element, and how it is to be read; nothing for formats that cannot be taken
// apart.
struct StoredElements {
  at::Tensor each;  // [rows, cols]
  SparseValues values;
};
std::optional<StoredElements> ElementsOf(const Weight& weight) {
  if (const auto* sparse = dynamic_cast<const SparseWeight*>(&weight)) {
    const at::Tensor kept = sparse->Kept(), elements = sparse->Elements();
    return StoredElements{at::zeros(kept.sizes(), elements.options()).masked_scatter_(kept, elements),
                          sparse->values()};
  }
  const PanelMatrix* panels = weight.panels();
  if (panels == nullptr) return std::nullopt;
  const std::vector<int64_t> shape = {weight.rows(), weight.cols()};
  StoredElements elements;
  switch (panels->type) {
    case PanelType::kF32:
      elements.values.type = SparseType::kF32;
      elements.each = weight.Dense();
      return elements;
    case PanelType::kF16:
    case PanelType::kBF16: {
      const bool half = panels->type == PanelType::kF16;
      elements.values.type = half ? SparseType::kF16 : SparseType::kBF16;
      elements.each = at::empty(shape, half ? at::kHalf : at::kBFloat16);
      UnpackBits16(*panels, static_cast<uint16_t*>(elements.each.mutable_data_ptr()));
      return elements;
    }
    case PanelType::kCodes:
      break;
  }
  // Codes as int8 and int4 have them by default.
  const CodeSpec& spec = panels->code;
  const bool asymmetric = spec.zeros == ZeroType::kInteger;
  if ((spec.bits != 8 && spec.bits != 4) || spec.levels || spec.scales != ScaleType::kF16 ||
      spec.zeros == ZeroType::kF16 || (asymmetric && spec.bits == 8)) {
    return std::nullopt;
  }
  elements.values.type = spec.bits == 8 ? SparseType::kInt8 : SparseType::kInt4;
  elements.values.group = spec.group;
  elements.each = at::empty(shape, at::kByte);
  elements.values.scales = at::empty({weight.rows(), panels->groups()}, at::kHalf);
  at::Tensor zeros = at::empty({weight.rows() * panels->groups()}, at::kByte);
  UnpackCodes(*panels, elements.each.mutable_data_ptr<uint8_t>(), elements.values.scales.mutable_data_ptr(),
              zeros.mutable_data_ptr());
  if (asymmetric) elements.values.zeros = PackBits(zeros, 4);
  return elements;
}

}  // namespace

WeightPtr MakeZeroWeight(int64_t rows, int64_t cols) { return std::make_shared<ZeroWeight>(rows, cols); }

WeightPtr MakeSparseWeight(const at::Tensor& kept, const at::Tensor& values) {
  return KeepZeros(kept, MakeDenseWeight(values));
}

WeightPtr KeepZeros(const at::Tensor& kept, const WeightPtr& weight) {
  TORCH_CHECK(kept.scalar_type() == at::kBool && kept.dim() == 2 && kept.size(0) == weight->rows() &&
                  kept.size(1) == weight->cols(),
              "KeepZeros: a mask of another shape or type");
  const at::Tensor mask = kept.contiguous();
  if (!mask.any().item<bool>()) return MakeZeroWeight(weight->rows(), weight->cols());
  const std::optional<StoredElements> elements = ElementsOf(*weight);
  if (!elements) {
    if (weight->Dense().masked_select(mask.logical_not()).eq(0).all().item<bool>()) return weight;
    throw Error(
        ErrorKind::kUnsupported,
        {"pruned weights would not stay zero", "a format that stores elements one by one, or has a zero",
         weight->format(), "", "quantize first, or use int8, int4, fp16 or bf16"});
  }
  return std::make_shared<SparseWeight>(
      SparseParts{mask, elements->each.masked_select(mask), elements->values});
}

WeightPtr LoadSparse(const Json& json, const TensorSource& source, int64_t rows, int64_t cols,
                     const std::string& where) {
  const auto form = Require<std::string>(json, "form", where);
  const auto name = Require<std::string>(json, "elements", where);
  const auto stored = Require<int64_t>(json, "stored", where);
  const auto fail = [&](const std::string& what, const std::string& found) {
    throw Error(ErrorKind::kData, {"sparse weight: " + what, "", found, where, "compress the model again"});
  };
  if (stored < 0 || stored > rows * cols) fail("an impossible number of elements", std::to_string(stored));
  SparseParts parts;
  if (form == "2:4") {
    if (cols % 4 != 0 || 2 * stored != rows * cols) fail("no two of four are stored", json.dump());
    const at::Tensor packed = source(".places");
    CheckTensor(packed, at::kByte, {(rows * cols / 4 + 1) / 2}, where);
    const at::Tensor quads = UnpackBits(packed, 4, rows * cols / 4).to(at::kLong);
    const at::Tensor places = at::stack({at::bitwise_and(quads, 3), at::bitwise_right_shift(quads, 2)}, 1);
    parts.kept = at::zeros({rows * cols / 4, 4}, at::kBool).scatter_(1, places, true).view({rows, cols});
  } else if (form == "bitmap") {
    const at::Tensor bitmap = source(".bitmap");
    CheckTensor(bitmap, at::kByte, {(rows * cols + 7) / 8}, where);
    parts.kept = UnpackBits(bitmap, 1, rows * cols).to(at::kBool).view({rows, cols});
  } else if (form == "rows") {
    const at::Tensor columns = source(".columns"), starts = source(".starts");
    CheckTensor(columns, at::kByte, {stored, 2}, where);
    CheckTensor(starts, at::kByte, {rows + 1, 4}, where);
    const at::Tensor first = SparseWeight::FromLittleEndian(starts);
    const at::Tensor counts = first.narrow(0, 1, rows) - first.narrow(0, 0, rows);
    if (counts.lt(0).any().item<bool>() || first[0].item<int64_t>() != 0 ||
        first[rows].item<int64_t>() != stored) {
      fail("rows that do not follow one another", "");
    }
    const at::Tensor column = SparseWeight::FromLittleEndian(columns);
    if (column.ge(cols).any().item<bool>()) fail("a column outside of the matrix", "");
    const at::Tensor row = at::repeat_interleave(at::arange(rows, at::kLong), counts);
    parts.kept =
        at::zeros({rows * cols}, at::kBool).index_fill_(0, row * cols + column, true).view({rows, cols});
  } else {
    fail("a form this version does not know", form);
  }
  if (const int64_t found = parts.kept.sum().item<int64_t>(); found != stored) {
    fail("the index has another number of elements than there are", std::to_string(found));
  }
  const std::pair<SparseType, at::ScalarType> types[] = {{SparseType::kF32, at::kFloat},
                                                         {SparseType::kF16, at::kHalf},
                                                         {SparseType::kBF16, at::kBFloat16},
                                                         {SparseType::kInt8, at::kByte},
                                                         {SparseType::kInt4, at::kByte}};
  const auto type = std::find_if(std::begin(types), std::end(types),
                                 [&](const auto& entry) { return ElementName(entry.first) == name; });
  if (type == std::end(types)) fail("elements this version does not know", name);
  parts.values.type = type->first;
  parts.elements = source(".elements");
  const bool halves = parts.values.type == SparseType::kInt4;
  CheckTensor(parts.elements, type->second, {halves ? (stored + 1) / 2 : stored}, where);
  if (halves) parts.elements = UnpackBits(parts.elements, 4, stored);
  if (!parts.values.integer()) {
    CheckFinite(parts.elements, where);
    return std::make_shared<SparseWeight>(parts);
  }
  parts.values.group = Require<int64_t>(json, "group", where);
  if (parts.values.group < 0) fail("an impossible group", std::to_string(parts.values.group));
  const int64_t groups = parts.values.group == 0 ? 1 : (cols + parts.values.group - 1) / parts.values.group;
  parts.values.scales = source(".scales");
  CheckTensor(parts.values.scales, at::kHalf, {rows, groups}, where);
  CheckFinite(parts.values.scales, where);
  if (Require<bool>(json, "asymmetric", where)) {
    parts.values.zeros = source(".zeros");
    CheckTensor(parts.values.zeros, at::kByte, {(rows * groups + 1) / 2}, where);
  }
  return std::make_shared<SparseWeight>(parts);
}

}  // namespace tnb
