// The table of the QET paper (arXiv 2407.03637) on a real model: mean squared errors of QET against product
// quantization, each with its best number of subspaces, and against rounding, at equal bytes, on weights and
// on keys and values of a text.
//
//     qet_table MODEL TEXT [BITS ...]     (a checkpoint; a plain text of 50,000 tokens; default bits 3 4 5)
//
// Errors are divided by the mean square of the matrix. All vector methods have the bytes of rounding each row
// to BITS bits with two fp16 scalars; rounding each column, the usual choice for keys, needs a little less.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "methods/vector/product.h"
#include "models/engine/model.h"
#include "models/engine/statistics.h"
#include "models/tokenizer.h"

namespace tnb {
namespace {

double RelativeError(const at::Tensor& back, const at::Tensor& x) {
  return ((back - x).to(at::kDouble).square().sum() / x.to(at::kDouble).square().sum()).item<double>();
}

// Every line of one dimension rounded between its least and its largest value, both stored as fp16.
double RoundedError(const at::Tensor& x, int64_t bits, int64_t dimension) {
  const auto levels = static_cast<double>((int64_t{1} << bits) - 1);
  const at::Tensor low = std::get<0>(x.min(dimension, true)).to(at::kHalf).to(at::kFloat);
  const at::Tensor high = std::get<0>(x.max(dimension, true));
  const at::Tensor step = ((high - low) / levels).to(at::kHalf).to(at::kFloat).clamp_min(1e-7);
  return RelativeError(low + step * at::round((x - low) / step).clamp(0, levels), x);
}

struct Source {
  std::string name;
  at::Tensor values;  // [rows, columns]
};

void PrintRow(const Source& source, int64_t width, int64_t bits) {
  const at::Tensor& x = source.values;
  ProductOptions options;
  options.bytes = (x.numel() * bits + 7) / 8 + 4 * x.size(0);
  const auto best = [&](ProductMethod method, std::vector<int64_t> layers) {
    options.method = method;
    options.layers = std::move(layers);
    try {
      return RelativeError(Expand(QuantizeProductBest(x, width, options)), x);
    } catch (const Error&) {
      return std::nan("");  // the budget is too small for this method
    }
  };
  const double pq = best(ProductMethod::kPq, {}), opq = best(ProductMethod::kOpq, {}),
               lopq = best(ProductMethod::kLopq, {}), qet = best(ProductMethod::kQet, {3, 0}),
               shallow = best(ProductMethod::kQet, {1, 0});
  options.method = ProductMethod::kPq;
  options.subspaces = std::max<int64_t>(1, width / 16);
  const double untuned = RelativeError(Expand(QuantizeProduct(x, width, options)), x);
  const double rows = RoundedError(x, bits, 1), columns = RoundedError(x, bits, 0);
  const double least = std::fmin(pq, std::fmin(opq, lopq));
  std::printf(
      "| %s | %.3f | %.3g | %.3g | %.3g | %.3g | %.3g | %.3g | %.3g | %.3g | %.0f %% | %.0f %% | %.0f %% |\n",
      source.name.c_str(), 8.0 * static_cast<double>(options.bytes) / static_cast<double>(x.numel()), pq, opq,
      lopq, untuned, qet, shallow, rows, columns, 100 * qet / least, 100 * qet / untuned,
      100 * qet / std::min(rows, columns));
  std::fflush(stdout);
}

void Run(const std::string& path, const std::string& text, const std::vector<int64_t>& bits) {
  const std::shared_ptr<const Checkpoint> checkpoint = OpenCheckpoint(path);
  const ModelConfig& config = checkpoint->config();
  const int64_t middle = config.block_count / 2;
  std::vector<Source> sources;
  for (const char* name : {"q", "gate", "down"}) {
    const std::string full = "blocks." + std::to_string(middle) + "." + name;
    const TensorInfo& info = checkpoint->Info(full);
    at::Tensor values = at::empty({info.rows, info.cols}, at::kFloat);
    checkpoint->Read(full, 0, info.rows, values.mutable_data_ptr<float>());
    sources.push_back({full, values});
  }
  const TokenIds tokens = LoadTokenizer(checkpoint->tokenizer())->Encode(ReadFile(text));
  constexpr size_t kLength = 512;
  std::vector<TokenIds> windows;
  for (size_t i = 0; (i + 1) * kLength <= tokens.size() && i < 32; ++i) {
    windows.emplace_back(tokens.begin() + static_cast<long>(i * kLength),
                         tokens.begin() + static_cast<long>((i + 1) * kLength));
  }
  StatisticsRequest request;
  request.moments = Moments::kKeysValues;
  const ModelParts parts{config,
                         [&](const std::string& name, int64_t size) {
                           at::Tensor norm = at::empty({size}, at::kFloat);
                           checkpoint->Read(name, 0, size, norm.mutable_data_ptr<float>());
                           return norm;
                         },
                         [&](const LinearSlot& slot, int64_t rows, int64_t cols) {
                           return ReadLinear(*checkpoint, slot, rows, cols);
                         }};
  CollectStatistics(
      parts, windows, request,
      [&](const std::string& name, const at::Tensor& values) {
        if (name.rfind("blocks." + std::to_string(middle) + ".", 0) != 0) return;
        sources.push_back({name, values.reshape({values.size(0), -1})});
      },
      [](int64_t, int64_t) {});
  std::printf(
      "| matrix | bits | pq | opq | lopq | pq M=width/16 | qet [3,0] | qet [1,0] | rows rounded | "
      "columns rounded | qet / best of pq, opq, lopq | qet / pq M=width/16 | qet / better rounding |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
  for (const int64_t count : bits) {
    for (const Source& source : sources) PrintRow(source, config.head_size, count);
  }
}

}  // namespace
}  // namespace tnb

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "qet_table MODEL TEXT [BITS ...]\n");
    return 2;
  }
  std::vector<int64_t> bits;
  for (int i = 3; i < argc; ++i) bits.push_back(std::atoll(argv[i]));
  if (bits.empty()) bits = {3, 4, 5};
  try {
    tnb::Run(argv[1], argv[2], bits);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
