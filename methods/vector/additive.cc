#include "methods/vector/additive.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/random.h"
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

  // Sums of entries, unscaled: [rows, cols].
  at::Tensor Sums() const {
    at::Tensor sum = books_[0].index_select(0, codes_[0]);
    for (int64_t c = 1; c < options_.codebooks; ++c) sum.add_(books_[c].index_select(0, codes_[c]));
    return sum.view({rows_, cols_});
  }
  at::Tensor Decoded() const { return Sums().mul_(scales_.unsqueeze(1)); }

  void Adam() {
    struct Moments {
      at::Tensor second, largest;
    };
    const auto step = [&](at::Tensor& values, const at::Tensor& gradient, Moments& moments, int64_t count) {
      if (!moments.second.defined()) {
        moments = {at::zeros_like(values), at::zeros_like(values)};
      }
      moments.second.mul_(0.95).addcmul_(gradient, gradient, 0.05);
      moments.largest = at::maximum(moments.largest, moments.second);
      const double correction = 1 - std::pow(0.95, static_cast<double>(count));
      values.addcdiv_(gradient, (moments.largest / correction).sqrt_().add_(1e-8), -options_.learning_rate);
    };
    Moments of_books, of_scales;
    for (int64_t i = 1; i <= options_.steps; ++i) {
      const at::Tensor sums = Sums();
      const at::Tensor outer =
          at::matmul(sums * scales_.unsqueeze(1) - w_, h_).mul_(2.0 / static_cast<double>(rows_));
      const at::Tensor inner = (outer * scales_.unsqueeze(1)).view({rows_ * groups_, options_.group});
      at::Tensor gradient = at::zeros_like(books_);
      for (int64_t c = 0; c < options_.codebooks; ++c) gradient[c].index_add_(0, codes_[c], inner);
      step(books_, gradient, of_books, i);
      step(scales_, (outer * sums).sum(1), of_scales, i);
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
            kernels::NearestRow(point.data(), g, table + c * g * padded, lengths + c * padded, padded,
                                &chosen);
            entry = entries + (c * words_ + chosen) * g;
            for (int64_t i = 0; i < g; ++i) mine[i] = target[static_cast<size_t>(i)] - scale[r] * entry[i];
          }
        }
      });
      p.add_(at::matmul(after - before, h_.narrow(0, j * g, g)));
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
      stage.codes = PackCodes(codes_[c], stage.code_bits());
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
