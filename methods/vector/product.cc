#include "methods/vector/product.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "methods/vector/kmeans.h"
#include "models/engine/parallel.h"

namespace tnb {
namespace {

constexpr int64_t kRotationRounds = 10;  // of opq, the last with all iterations

// Codebooks of the subspaces of vectors [n, width] and their codes.
struct ProductFit {
  at::Tensor words;  // fp32 [subspaces, k, size]
  at::Tensor codes;  // int32 [n, subspaces]
};

at::Tensor Piece(const at::Tensor& vectors, int64_t subspaces, int64_t m) {
  const int64_t size = vectors.size(1) / subspaces;
  return vectors.narrow(1, m * size, size).contiguous();
}

ProductFit Fit(const at::Tensor& vectors, int64_t subspaces, int64_t words, int64_t iterations,
               int64_t seed) {
  std::vector<at::Tensor> books, codes;
  for (int64_t m = 0; m < subspaces; ++m) {
    const Clustering clustering = KMeans(Piece(vectors, subspaces, m), words, iterations, seed);
    books.push_back(clustering.words);
    codes.push_back(clustering.codes);
  }
  return {at::stack(books), at::stack(codes, 1)};
}

at::Tensor Encode(const at::Tensor& vectors, const at::Tensor& books) {
  std::vector<at::Tensor> codes;
  for (int64_t m = 0; m < books.size(0); ++m) {
    codes.push_back(NearestWords(Piece(vectors, books.size(0), m), books[m]));
  }
  return at::stack(codes, 1);
}

at::Tensor Decode(const at::Tensor& codes, const at::Tensor& books) {
  std::vector<at::Tensor> pieces;
  for (int64_t m = 0; m < books.size(0); ++m) pieces.push_back(books[m].index_select(0, codes.select(1, m)));
  return at::cat(pieces, 1);
}

// Entries as they are stored: rounded to fp16.
at::Tensor Halved(const at::Tensor& values) {
  const at::Tensor halves = values.to(at::kHalf);
  if (!at::isfinite(halves).all().item<bool>()) {
    throw Error(ErrorKind::kData, {"a codebook entry does not fit into fp16", "up to 65504", "overflow", "",
                                   "check the checkpoint"});
  }
  return halves;
}

// Entries [subspaces, k, size] in fp16, and the codes of what is nearest to the rounded ones.
CodebookStage StageOf(const at::Tensor& vectors, const ProductFit& fit) {
  CodebookStage stage;
  stage.subspaces = fit.words.size(0);
  stage.words = fit.words.size(1);
  stage.values = Halved(fit.words).unsqueeze(0).contiguous();
  stage.codes = PackBits(Encode(vectors, stage.values[0].to(at::kFloat)), stage.code_bits());
  return stage;
}

struct Rotated {
  at::Tensor rotation;  // fp16 [width, width]
  ProductFit fit;       // of vectors @ rotation
};

Rotated FitRotated(const at::Tensor& vectors, int64_t subspaces, int64_t words,
                   const ProductOptions& options) {
  at::Tensor rotation = at::eye(vectors.size(1));
  for (int64_t round = 0; round + 1 < kRotationRounds; ++round) {
    const at::Tensor turned = at::matmul(vectors, rotation);
    const ProductFit fit = Fit(turned, subspaces, words, 1, options.seed);
    const at::Tensor target = at::matmul(vectors.t(), Decode(fit.codes, fit.words));
    const auto [u, s, v] = at::linalg_svd(target.to(at::kDouble), /*full_matrices=*/false);
    rotation = at::matmul(u, v).to(at::kFloat);
  }
  const at::Tensor stored = Halved(rotation);
  return {stored, Fit(at::matmul(vectors, stored.to(at::kFloat)), subspaces, words, options.iterations,
                      options.seed)};
}

[[noreturn]] void TooSmall(const ProductOptions& options) {
  throw Error(ErrorKind::kUsage, {"the budget leaves no room for a codebook", "two entries or more",
                                  std::to_string(options.bytes) + " bytes with " +
                                      std::to_string(options.subspaces) + " subspaces",
                                  "", "use more bits, fewer subspaces, or a smaller width"});
}

// One above the largest codebook, as the releases search.
int64_t Limit(int64_t vectors, const ProductOptions& options) {
  return std::min(vectors, options.most_words + 1);
}

int64_t Checked(int64_t words, const ProductOptions& options) {
  if (words < 2) TooSmall(options);
  return words;
}

void FitPq(const at::Tensor& vectors, const ProductOptions& options, Codebooks& books) {
  const int64_t n = vectors.size(0), width = vectors.size(1);
  const int64_t words =
      Checked(WordsFor(options.bytes, n, options.subspaces, 16 * width, 0, Limit(n, options)), options);
  books.stages.push_back(
      StageOf(vectors, Fit(vectors, options.subspaces, words, options.iterations, options.seed)));
}

void FitOpq(const at::Tensor& vectors, const ProductOptions& options, Codebooks& books) {
  const int64_t n = vectors.size(0), width = vectors.size(1);
  const int64_t words = Checked(
      WordsFor(options.bytes, n, options.subspaces, 16 * width, 16 * width * width, Limit(n, options)),
      options);
  const Rotated rotated = FitRotated(vectors, options.subspaces, words, options);
  books.rotations = rotated.rotation.unsqueeze(0).contiguous();
  books.stages.push_back(StageOf(at::matmul(vectors, rotated.rotation.to(at::kFloat)), rotated.fit));
}

void FitLopq(const at::Tensor& vectors, const ProductOptions& options, Codebooks& books) {
  const int64_t n = vectors.size(0), width = vectors.size(1), clusters = options.clusters;
  const int64_t words =
      Checked(WordsFor(options.bytes, n, options.subspaces, 16 * width * clusters,
                       16 * width * width * clusters + n * BitsFor(clusters), Limit(n, options)),
              options);
  const at::Tensor split = KMeans(vectors, clusters, options.iterations, options.seed).codes;
  CodebookStage stage;
  stage.subspaces = options.subspaces;
  stage.words = words;
  stage.values = at::zeros({clusters, options.subspaces, words, width / options.subspaces}, at::kHalf);
  books.rotations = at::eye(width).to(at::kHalf).repeat({clusters, 1, 1});
  at::Tensor codes = at::zeros({n, options.subspaces}, at::kInt);
  for (int64_t c = 0; c < clusters; ++c) {
    const at::Tensor members = split.eq(c).nonzero().squeeze(1);
    if (members.numel() == 0) continue;
    const at::Tensor mine = vectors.index_select(0, members);
    const Rotated rotated = FitRotated(mine, options.subspaces, std::min(words, members.numel()), options);
    const at::Tensor halves = Halved(rotated.fit.words);
    stage.values[c].narrow(1, 0, halves.size(1)).copy_(halves);
    books.rotations[c].copy_(rotated.rotation);
    codes.index_copy_(0, members,
                      Encode(at::matmul(mine, rotated.rotation.to(at::kFloat)), halves.to(at::kFloat)));
  }
  stage.codes = PackBits(codes, stage.code_bits());
  books.clusters = PackBits(split, BitsFor(clusters));
  books.stages.push_back(std::move(stage));
}

// Every vector's tree, as [n, width] and packed maps.
at::Tensor EntangleAll(const at::Tensor& vectors, int64_t layers, at::Tensor& maps) {
  const int64_t n = vectors.size(0), width = vectors.size(1), count = layers * width / 2;
  at::Tensor turned = vectors.clone(at::MemoryFormat::Contiguous);
  at::Tensor bits = at::empty({n, count}, at::kByte);
  float* x = turned.mutable_data_ptr<float>();
  uint8_t* map = bits.mutable_data_ptr<uint8_t>();
  ParallelFor(n, 256, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(static_cast<size_t>(width));
    for (int64_t i = begin; i < end; ++i)
      Entangle(x + i * width, width, layers, map + i * count, scratch.data());
  });
  maps = PackBits(bits, 1);
  return turned;
}

// Codebook quantization: all entries of a stage rounded to `bits` between their least and largest.
void RoundValues(const at::Tensor& words, int64_t bits, CodebookStage& stage) {
  const auto levels = static_cast<double>((int64_t{1} << bits) - 1);
  stage.value_bits = bits;
  stage.minimum = words.min().item<float>();
  stage.step = static_cast<float>((words.max().item<double>() - words.min().item<double>()) / levels);
  const at::Tensor rounded = stage.step > 0 ? at::round((words - stage.minimum) / stage.step).clamp(0, levels)
                                            : at::zeros_like(words);
  stage.values = PackBits(rounded, bits);
}

void FitQet(const at::Tensor& vectors, const ProductOptions& options, Codebooks& books) {
  const int64_t n = vectors.size(0), width = vectors.size(1);
  double map_bytes = 0;
  for (const int64_t layers : options.layers) map_bytes += 0.5 * static_cast<double>(n * width * layers) / 8;
  const double memory = std::floor(static_cast<double>(options.bytes) - map_bytes);
  at::Tensor rest = vectors;
  for (size_t i = 0; i < options.layers.size(); ++i) {
    const auto bytes = static_cast<int64_t>(std::floor(memory * options.shares[i]));
    const int64_t bits = options.value_bits[i];
    // Two scalars of fp32 a stage: step and minimum.
    const int64_t words = WordsFor(bytes, n, options.subspaces, bits * width, 64, Limit(n, options));
    if (words < 1 || (i == 0 && words < 2)) TooSmall(options);
    CodebookStage stage;
    stage.subspaces = options.subspaces;
    stage.words = words;
    stage.layers = options.layers[i];
    const at::Tensor turned = stage.layers > 0 ? EntangleAll(rest, stage.layers, stage.maps) : rest;
    const ProductFit fit = Fit(turned, options.subspaces, words, options.iterations, options.seed);
    RoundValues(fit.words, bits, stage);
    const at::Tensor levels = UnpackIntegers(stage.values, bits, fit.words.numel()).view(fit.words.sizes());
    stage.codes =
        PackBits(Encode(turned, levels.to(at::kFloat) * stage.step + stage.minimum), stage.code_bits());
    Codebooks alone{.rows = n, .cols = width, .width = width, .stages = {stage}};
    if (i + 1 < options.layers.size()) rest = rest - Expand(alone);
    books.stages.push_back(std::move(stage));
  }
}

}  // namespace

int64_t WordsFor(int64_t bytes, int64_t vectors, int64_t subspaces, int64_t entry_bits, int64_t fixed_bits,
                 int64_t limit) {
  const auto fits = [&](int64_t words) {
    return fixed_bits + vectors * subspaces * BitsFor(words) + words * entry_bits <= 8 * bytes;
  };
  if (bytes <= 0 || !fits(1)) return 0;
  int64_t low = 1, high = limit;
  while (low < high - 1) {
    const int64_t middle = (low + high) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

Codebooks QuantizeProduct(const at::Tensor& matrix, int64_t width, const ProductOptions& options) {
  const int64_t most = options.method == ProductMethod::kQet
                           ? *std::max_element(options.layers.begin(), options.layers.end())
                           : 0;
  if (width < 1 || matrix.size(1) % width != 0 || options.subspaces < 1 || width % options.subspaces != 0 ||
      width % (int64_t{1} << most) != 0) {
    throw Error(ErrorKind::kUsage,
                {"vectors cannot be cut like this",
                 "a width that divides the columns, and that M and 2^layers divide",
                 std::to_string(matrix.size(1)) + " columns, width " + std::to_string(width) + ", M " +
                     std::to_string(options.subspaces) + ", layers " + std::to_string(most),
                 "", ""});
  }
  if (!at::isfinite(matrix).all().item<bool>()) {
    throw Error(ErrorKind::kData, {"a weight is NaN or infinite", "", "", "", "check the checkpoint"});
  }
  Codebooks books;
  books.rows = matrix.size(0);
  books.cols = matrix.size(1);
  books.width = width;
  const at::Tensor vectors = matrix.reshape({-1, width}).contiguous();
  switch (options.method) {
    case ProductMethod::kPq:
      FitPq(vectors, options, books);
      break;
    case ProductMethod::kOpq:
      FitOpq(vectors, options, books);
      break;
    case ProductMethod::kLopq:
      FitLopq(vectors, options, books);
      break;
    case ProductMethod::kQet:
      FitQet(vectors, options, books);
      break;
  }
  return books;
}

Codebooks QuantizeProductBest(const at::Tensor& matrix, int64_t width, const ProductOptions& options) {
  Codebooks best;
  double least = INFINITY;
  for (const int64_t size : {1, 2, 4, 8, 16}) {
    if (width % size != 0) continue;
    ProductOptions candidate = options;
    candidate.subspaces = width / size;
    candidate.most_words = std::min<int64_t>(options.most_words, 1024);
    try {
      Codebooks books = QuantizeProduct(matrix, width, candidate);
      const double error = (Expand(books) - matrix).to(at::kDouble).square().sum().item<double>();
      if (error < least) {
        least = error;
        best = std::move(books);
      }
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kUsage) throw;  // this cut does not fit into the budget
    }
  }
  if (best.stages.empty()) TooSmall(options);
  return best;
}

}  // namespace tnb
