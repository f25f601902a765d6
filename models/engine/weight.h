// Weight is one matrix in one storage format: a leaf. Every byte count of tnbench is a sum over weights.
// Immutable after construction and safe to use from several threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "models/engine/panel.h"

namespace tnb {

// Three numbers that are never mixed (design: honest bytes).
struct WeightSize {
  int64_t parameters = 0;  // learned scalars: values, scales, zero points that are stored as numbers
  int64_t code_bits = 0;   // bits of codes and indices
  int64_t bytes = 0;       // all that is stored: values + codes + scales + zeros
  WeightSize& operator+=(const WeightSize& other) {
    parameters += other.parameters;
    code_bits += other.code_bits;
    bytes += other.bytes;
    return *this;
  }
};

// How a format computes: from its stored form, from an expansion made at load time (the resident bytes say
// so), or only in effect (such a format gets no time column).
enum class Kernel { kPacked, kExpanded, kSimulated };
std::string ToString(Kernel kernel);

// Takes the tensors of a weight one by one while an artefact is written: (suffix, contiguous CPU tensor).
using TensorSink = std::function<void(const std::string& suffix, const at::Tensor& tensor)>;
// Gives them back while it is read; Error{kData} when absent.
using TensorSource = std::function<at::Tensor(const std::string& suffix)>;

class Weight {
 public:
  virtual ~Weight() = default;

  virtual int64_t rows() const = 0;
  virtual int64_t cols() const = 0;
  // The storage format with its parameters: "fp32", "bf16", "int8 row", "int4 g32 asym".
  virtual std::string format() const = 0;
  virtual WeightSize size() const = 0;
  // Whether the elements are codes and not numbers of their own.
  virtual bool coded() const { return size().code_bits > 0; }
  virtual Kernel kernel() const { return Kernel::kPacked; }

  // y[n, rows] = x[n, cols] · Wᵀ, fp32. On the CPU from the stored form; on another device through an
  // expanded copy there.
  at::Tensor Matmul(const at::Tensor& x) const;
  // The panels that the CPU multiplies with and what becomes of the input; null for a format that computes in
  // another way.
  virtual const PanelMatrix* panels() const { return nullptr; }
  virtual Activation activation() const { return Activation::kF32; }
  // fp32 [rows, cols] on the CPU, a fresh copy.
  virtual at::Tensor Dense() const = 0;
  // bool [rows, cols]: which elements are stored, for a sparse weight; undefined: all. The others are zeros
  // and stay so in every later stage (KeepZeros).
  virtual at::Tensor Kept() const { return {}; }
  // Rows `index` (int64 [n]) as fp32 [n, cols]: an embedding look-up.
  virtual at::Tensor Rows(const at::Tensor& index) const;

  // Training. The scalars that gradients can change, as fp32 copies: the values of a plain format, the scales
  // of one with codes. Empty: the weight stays as it is.
  virtual std::vector<at::Tensor> TrainableTensors() const { return {}; }
  // [rows, cols] as a differentiable function of such tensors (in their dtype).
  virtual at::Tensor DenseOf(const std::vector<at::Tensor>& tensors) const;
  // This weight with other values of them, in the same format.
  virtual std::shared_ptr<const Weight> WithTrained(const std::vector<at::Tensor>& tensors) const;

  // What LoadWeight needs besides the tensors; has "format".
  virtual Json Save(const TensorSink& sink) const = 0;

 protected:
  // x and y on the CPU, rows contiguous.
  virtual void MatmulCpu(const at::Tensor& x, at::Tensor& y) const = 0;

 private:
  mutable at::Tensor on_device_;  // expanded copy for a device other than the CPU
};

using WeightPtr = std::shared_ptr<const Weight>;

// x · Wᵀ for several weights of as many columns: on the CPU one pass over x where their formats agree.
std::vector<at::Tensor> MatmulAll(std::span<const Weight* const> weights, const at::Tensor& x);

// fp32, fp16 or bf16 storage, by the dtype of `values` ([rows, cols]). `activation`: bf16 weights only, kBF16
// rounds the input to bf16 and uses the bf16 dot product.
WeightPtr MakeDenseWeight(const at::Tensor& values, Activation activation = Activation::kF32);

// A matrix of codes and what turns them into values, as methods make it; groups = one a row, or one for
// `group` columns (the last one of a row may be short).
struct CodedMatrix {
  int bits = 8;             // 2, 3, 4, 5, 6 or 8
  int64_t group = 0;        // columns a scale covers, a multiple of 32; 0: the whole row
  at::Tensor codes;         // uint8 [rows, cols], one code each
  at::Tensor scales;        // fp16 or fp32 [rows, groups]; uint8 when they are quantized once more:
  at::Tensor scale_blocks;  // fp32, one for kScaleBlock scales; scale = DynamicMap()[code] * block + offset
  float scale_offset = 0;
  at::Tensor zeros;  // uint8 or fp16 [rows, groups]; undefined: symmetric, zero = 2^(bits-1)
  std::string
      levels;  // name of a table (LevelsOf): value = scale * levels[code]; empty: scale * (code - zero)
};
// `activation`: kF32, or for fp16 scales without levels any that quantizes the input.
WeightPtr MakeCodedWeight(const CodedMatrix& matrix, Activation activation);

// The values that 4-bit codes stand for, ascending: "nf4" (normal quantiles, QLoRA, arXiv 2305.14314) and
// "fp4" (sign, two bits of exponent, one of fraction, as in bitsandbytes). Null for another name.
const std::vector<float>* LevelsOf(const std::string& name);

// The block formats of GGUF files ("Q8_0", "Q4_0", "Q5_0", "Q4_K", "Q6_K"), stored as in such a file and
// expanded piece by piece while multiplying; inputs fp32. `values` fp32 [rows, cols]; Error{kUnsupported}
// when the columns are not a multiple of the format's block.
WeightPtr MakeBlockWeight(const at::Tensor& values, const std::string& type);

// Codes of `bits` bits one after the other, from the lowest bit of the first byte; and back.
at::Tensor PackBits(const at::Tensor& codes, int bits);
at::Tensor UnpackBits(const at::Tensor& packed, int bits, int64_t count);

// A weight of which only the elements where `kept` (bool [rows, cols]) are stored, with an index that says
// which, in the smallest of three forms. Bytes for k kept elements of v bytes each in an m x n matrix:
//   2:4     two of every four columns are kept in every row: m n / 8 + v k (2 bits say which, for each)
//   bitmap  m n / 8 + v k
//   rows    (2 + v) k + 4 (m + 1): the column of every element, and where rows begin (CSR)
// `values`: fp32, fp16 or bf16 [rows, cols]; what is not kept is not looked at.
WeightPtr MakeSparseWeight(const at::Tensor& kept, const at::Tensor& values);
// `weight` with zeros where `kept` is false: a sparse weight with its elements, codes and scales. A format
// whose elements cannot be taken out is returned as it is when these elements are zero in it anyway, else it
// is Error{kUnsupported}. Sparse integer codes multiply fp32 inputs.
WeightPtr KeepZeros(const at::Tensor& kept, const WeightPtr& weight);

// A matrix of zeros, which stores nothing.
WeightPtr MakeZeroWeight(int64_t rows, int64_t cols);

// The inverse of Save. Everything read is checked against rows and cols; Error{kData} names `where`.
WeightPtr LoadWeight(const Json& json, const TensorSource& source, const std::string& where);

}  // namespace tnb
