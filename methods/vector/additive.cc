#include "methods/vector/additive.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "methods/vector/adam.h"
#include "methods/vector/kmeans.h"
#include "models/engine/nearest_word.h"
#include "models/engine/parallel.h"

namespace tnb {
namespace {

class AdditiveFit {
 public:
  AdditiveFit(const at::Tensor& matrix, const at::Tensor& covariance, const AdditiveOptions& options)
      : options_(options), w_(matrix.contiguous()), rows_(matrix.size(0)), cols_(matrix.size(1)) {
    groups_ = cols_ / options.group;
    words_ = std::min(int64_t{1} << options.bits, rows_ * groups_);
    const double mean = covariance.diagonal().mean().item<double>();
    h_ = mean > 0 ? (covariance / mean).contiguous() : at::eye(cols_);
    const at::Tensor norms = w_.norm(2, 1);
    scales_ = at::where(norms > 0, norms, at::ones_like(norms));
    total_ = Energy(w_);
    Start();
  }

  Additive Run() {
    Additive result;
    double loss = Energy(w_ - Decoded());
    result.start_loss = Relative(loss);
    for (; result.rounds < options_.rounds && loss > 0; ++result.rounds) {
      Adam();
      Search();
      const double now = Energy(w_ - Decoded());
      const bool done = now > (1 - options_.tolerance) * loss;
      loss = now;
      if (done) {
        ++result.rounds;
        break;
      }
    }
    // What is stored is rounded to fp16, and codes are chosen for the rounded entries.
    books_ = books_.to(at::kHalf).to(at::kFloat);
    scales_ = scales_.to(at::kHalf).to(at::kFloat);
    Search();
    result.loss = Relative(Energy(w_ - Decoded()));
    result.books = Stored();
    return result;
  }

 private:
  double Energy(const at::Tensor& difference) const {
    return (at::matmul(difference, h_) * difference).sum(at::kDouble).item<double>();
  }
  double Relative(double loss) const { return total_ > 0 ? loss / total_ : 0; }

  // Residual k-means of the rows divided by their norms.
  void Start() {
    at::Tensor rest = (w_ / scales_.unsqueeze(1)).view({rows_ * groups_, options_.group}).contiguous();
    std::vector<at::Tensor> books, codes;
    for (int64_t c = 0; c < options_.codebooks; ++c) {
      const Clustering clustering = KMeans(rest, words_, options_.kmeans_iterations, options_.seed + c);
      rest = rest - clustering.words.index_select(0, clustering.codes);
      books.push_back(clustering.words);
      codes.push_back(clustering.codes);
    }
    books_ = at::stack(books);
    codes_ = at::stack(codes);
  }

  const float* Entry(const float* books, const int32_t* codes, int64_t c, int64_t row, int64_t j) const {
    return books + (c * words_ + codes[(c * rows_ + row) * groups_ + j]) * options_.group;
  }

  // Sums of entries times the scales, less `from` when it is defined: [rows, cols].
  at::Tensor Decoded(const at::Tensor& from = {}) const {
    const int64_t g = options_.group;
    const at::Tensor books = books_.contiguous();
    at::Tensor out = at::empty({rows_, cols_}, at::kFloat);
    const float* entries = books.const_data_ptr<float>();
    const float* scales = scales_.const_data_ptr<float>();
    const float* w = from.defined() ? from.const_data_ptr<float>() : nullptr;
    const int32_t* codes = codes_.const_data_ptr<int32_t>();
    float* to = out.mutable_data_ptr<float>();
    ParallelFor(rows_, 8, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        float* row = to + r * cols_;
        for (int64_t j = 0; j < groups_; ++j) {
          std::copy_n(Entry(entries, codes, 0, r, j), g, row + j * g);
          for (int64_t c = 1; c < options_.codebooks; ++c) {
            const float* entry = Entry(entries, codes, c, r, j);
            for (int64_t i = 0; i < g; ++i) row[j * g + i] += entry[i];
          }
        }
        for (int64_t i = 0; i < cols_; ++i) {
          row[i] = row[i] * scales[r] - (w == nullptr ? 0.0F : w[r * cols_ + i]);
        }
      }
    });
    return out;
  }

  struct Gradients {
    at::Tensor books, scales;
  };
  // Of the loss, whose gradient by the decoded matrix is `outer` [rows, cols], contiguous. Rows are cut into
  // a fixed number of pieces whose sums are added in order: the same bits for every number of threads.
  Gradients GradientsOf(const at::Tensor& outer) const {
    const int64_t g = options_.group, pieces = std::clamp<int64_t>(rows_ * groups_ / (4 * words_), 1, 8);
    const at::Tensor books = books_.contiguous();
    at::Tensor sums = at::zeros({pieces, options_.codebooks, words_, g}), of_scales = at::empty({rows_});
    const float* entries = books.const_data_ptr<float>();
    const float* scales = scales_.const_data_ptr<float>();
    const float* gradient = outer.const_data_ptr<float>();
    const int32_t* codes = codes_.const_data_ptr<int32_t>();
    float* sum = sums.mutable_data_ptr<float>();
    float* of_scale = of_scales.mutable_data_ptr<float>();
    ParallelFor(pieces, 1, [&](int64_t first, int64_t last) {
      for (int64_t piece = first; piece < last; ++piece) {
        float* const mine = sum + piece * options_.codebooks * words_ * g;
        for (int64_t r = rows_ * piece / pieces; r < rows_ * (piece + 1) / pieces; ++r) {
          float along = 0;
          for (int64_t j = 0; j < groups_; ++j) {
            const float* from = gradient + r * cols_ + j * g;
            for (int64_t c = 0; c < options_.codebooks; ++c) {
              const float* entry = Entry(entries, codes, c, r, j);
              float* to = mine + (entry - entries);
              float dot = 0;
              for (int64_t i = 0; i < g; ++i) {
                dot += from[i] * entry[i];
                to[i] += from[i] * scales[r];
              }
              along += dot;
            }
          }
          of_scale[r] = along;
        }
      }
    });
    return {sums.sum(0), of_scales};
  }

  void Adam() {
    AmsGrad of_books(options_.learning_rate, 0, 0.95), of_scales(options_.learning_rate, 0, 0.95);
    const at::Tensor metric = h_ * (2.0 / static_cast<double>(rows_));
    for (int64_t i = 0; i < options_.steps; ++i) {
      const Gradients gradients = GradientsOf(at::matmul(Decoded(w_), metric));
      of_books.Step(books_, gradients.books);
      of_scales.Step(scales_, gradients.scales);
    }
  }

  // One pass over all codes. With Δ = W - W', P = Δ H and group j of a row: giving it another entry changes
  // only Δ_j, and the error in terms of it is 2 Δ_j · A + Δ_j H_jj Δ_jᵀ, A = P_j - Δ_j H_jj. With Δ_j = t - s
  // e for an entry e this is least where e H_jj e / 2 - e · (A + t H_jj) / s is.
  void Search() {
    const int64_t g = options_.group, padded = (words_ + 15) / 16 * 16, count = options_.codebooks;
    at::Tensor delta = w_ - Decoded(), p = at::matmul(delta, h_);
    const at::Tensor turned = at::constant_pad_nd(books_.transpose(1, 2), {0, padded - words_}).contiguous();
    const at::Tensor books = books_.contiguous();
    std::vector<int64_t> order(static_cast<size_t>(groups_));
    std::iota(order.begin(), order.end(), 0);
    PythonRandom(options_.seed).Shuffle(order);
    const float* scale = scales_.const_data_ptr<float>();
    int32_t* code = codes_.mutable_data_ptr<int32_t>();
    for (const int64_t j : order) {
      const at::Tensor hjj = h_.narrow(0, j * g, g).narrow(1, j * g, g).contiguous();
      const at::Tensor before = delta.narrow(1, j * g, g).contiguous();
      const at::Tensor others = (p.narrow(1, j * g, g) - at::matmul(before, hjj)).contiguous();
      const at::Tensor halves =
          at::constant_pad_nd((at::matmul(books, hjj) * books).sum(2) * 0.5, {0, padded - words_}, INFINITY)
              .contiguous();
      at::Tensor after = before.clone();
      const float* metric = hjj.const_data_ptr<float>();
      const float* a = others.const_data_ptr<float>();
      const float* entries = books.const_data_ptr<float>();
      const float* table = turned.const_data_ptr<float>();
      const float* lengths = halves.const_data_ptr<float>();
      float* difference = after.mutable_data_ptr<float>();
      ParallelFor(rows_, 8, [&](int64_t begin, int64_t end) {
        std::vector<float> target(static_cast<size_t>(g)), point(static_cast<size_t>(g));
        for (int64_t r = begin; r < end; ++r) {
          float* mine = difference + r * g;
          for (int64_t c = 0; c < count; ++c) {
            int32_t& chosen = code[(c * rows_ + r) * groups_ + j];
            const float* entry = entries + (c * words_ + chosen) * g;
            for (int64_t i = 0; i < g; ++i) {
              target[static_cast<size_t>(i)] = mine[i] + scale[r] * entry[i];
            }
            for (int64_t i = 0; i < g; ++i) {
              float sum = a[r * g + i];
              for (int64_t k = 0; k < g; ++k) sum += target[static_cast<size_t>(k)] * metric[k * g + i];
              point[static_cast<size_t>(i)] = sum / scale[r];
            }
            kernels::NearestRows(point.data(), 1, g, table + c * g * padded, lengths + c * padded, padded,
                                 &chosen);
            entry = entries + (c * words_ + chosen) * g;
            for (int64_t i = 0; i < g; ++i) mine[i] = target[static_cast<size_t>(i)] - scale[r] * entry[i];
          }
        }
      });
      p.addmm_(after - before, h_.narrow(0, j * g, g));
      delta.narrow(1, j * g, g).copy_(after);
    }
  }

  Codebooks Stored() const {
    Codebooks books{.rows = rows_, .cols = cols_, .width = options_.group};
    books.scales = scales_.to(at::kHalf);
    for (int64_t c = 0; c < options_.codebooks; ++c) {
      CodebookStage stage;
      stage.words = words_;
      stage.values = books_[c].to(at::kHalf).view({1, 1, words_, options_.group}).contiguous();
      stage.codes = PackBits(codes_[c], stage.code_bits());
      books.stages.push_back(std::move(stage));
    }
    return books;
  }

  AdditiveOptions options_;
  at::Tensor w_, h_;
  int64_t rows_, cols_, groups_ = 0, words_ = 0;
  double total_ = 0;
  at::Tensor scales_;  // [rows]
  at::Tensor books_;   // [codebooks, words, group]
  at::Tensor codes_;   // int32 [codebooks, rows * groups]
};

}  // namespace

Additive QuantizeAdditive(const at::Tensor& matrix, const at::Tensor& covariance,
                          const AdditiveOptions& options) {
  if (options.group < 1 || matrix.size(1) % options.group != 0) {
    throw Error(ErrorKind::kUsage, {"groups do not divide the columns of a matrix",
                                    "a divisor of " + std::to_string(matrix.size(1)),
                                    std::to_string(options.group), "group", ""});
  }
  if (!at::isfinite(matrix).all().item<bool>()) {
    throw Error(ErrorKind::kData, {"a weight is NaN or infinite", "", "", "", "check the checkpoint"});
  }
  return AdditiveFit(matrix, covariance, options).Run();
}

}  // namespace tnb
