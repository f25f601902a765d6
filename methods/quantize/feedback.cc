#include "methods/quantize/feedback.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "base/error.h"
#include "methods/calibrated.h"
#include "models/engine/parallel.h"

namespace tnb {
namespace {

// Columns whose effect on those after them is applied at once: a multiple of all widths of groups.
constexpr int64_t kBlock = 128;

// Nearest codes of one column on the grid, with what they stand for.
class Column {
 public:
  Column(const IntegerGrid& grid, int64_t group)
      : scales_(grid.scales.to(at::kFloat).select(1, group).contiguous()),
        inverse_(at::where(scales_ > 0, scales_.reciprocal(), at::zeros_like(scales_))),
        zeros_(grid.zeros.select(1, group).contiguous()),
        last_(static_cast<float>((1 << grid.bits) - 1)) {}
  // The value that w of row r becomes.
  float Round(int64_t r, float w, uint8_t* code) const {
    const float zero = zeros_.const_data_ptr<float>()[r];
    const float chosen =
        std::clamp(std::nearbyint(w * inverse_.const_data_ptr<float>()[r]) + zero, 0.0F, last_);
    *code = static_cast<uint8_t>(chosen);
    return scales_.const_data_ptr<float>()[r] * (chosen - zero);
  }

 private:
  at::Tensor scales_, inverse_, zeros_;
  float last_;
};

// Rounds one column by itself, or with feedback between its rows. `w` [rows] is left as it is.
class ColumnRounder {
 public:
  ColumnRounder(int64_t rows, const at::Tensor& output, double damping) : rows_(rows) {
    if (output.defined()) factor_ = InverseFactor(output, damping);
    moved_.resize(static_cast<size_t>(rows));
  }

  void Round(const Column& column, const float* w, float* values, uint8_t* codes) {
    if (!factor_.defined()) {
      for (int64_t r = 0; r < rows_; ++r) values[r] = column.Round(r, w[r], codes + r);
      return;
    }
    std::copy_n(w, rows_, moved_.data());
    const float* v = factor_.const_data_ptr<float>();
    for (int64_t r = 0; r < rows_; ++r, v += rows_) {
      values[r] = column.Round(r, moved_[static_cast<size_t>(r)], codes + r);
      const float error = (moved_[static_cast<size_t>(r)] - values[r]) / v[r];
      for (int64_t s = r + 1; s < rows_; ++s) moved_[static_cast<size_t>(s)] -= error * v[s];
    }
  }

 private:
  int64_t rows_;
  at::Tensor factor_;  // V
  std::vector<float> moved_;
};

}  // namespace

at::Tensor SearchShrink(const at::Tensor& w, const at::Tensor& h, int bits, int64_t group, bool symmetric) {
  const int64_t rows = w.size(0), width = group == 0 ? w.size(1) : group;
  const int64_t groups = (w.size(1) + width - 1) / width;
  at::Tensor best = at::full({rows, groups}, INFINITY), chosen = at::ones({rows, groups});
  for (int step = 0; step <= 10; ++step) {
    const double factor = 1 - 0.05 * step;
    const at::Tensor shrink = at::full({rows, groups}, factor);
    const at::Tensor error = (ValuesOn(GridOf(w, bits, group, symmetric, shrink), w) - w).square() * h;
    const at::Tensor sums =
        at::constant_pad_nd(error, {0, groups * width - w.size(1)}).view({rows, groups, width}).sum(2);
    const at::Tensor better = sums < best;
    best = at::where(better, sums, best);
    chosen = at::where(better, shrink, chosen);
  }
  return chosen;
}

CodedMatrix RoundWithFeedback(const at::Tensor& w, const at::Tensor& input, const at::Tensor& output,
                              const FeedbackOptions& options) {
  const int64_t rows = w.size(0), cols = w.size(1), width = options.group == 0 ? cols : options.group;
  at::Tensor h = input.to(at::kDouble).clone();
  const at::Tensor dead = h.diagonal() == 0;
  h.diagonal().masked_fill_(dead, 1);
  const at::Tensor weights = at::where(dead, at::zeros_like(w), w);
  const auto grid_of = [&](const at::Tensor& part, const at::Tensor& diagonal) {
    at::Tensor shrink;
    if (options.clip) {
      shrink = SearchShrink(part, diagonal.to(at::kFloat), options.bits, options.group, options.symmetric);
    }
    return GridOf(part, options.bits, options.group, options.symmetric, shrink);
  };
  IntegerGrid grid = grid_of(weights, h.diagonal());

  const at::Tensor order = options.act_order ? std::get<1>(at::sort(h.diagonal(), /*stable=*/true, 0, true))
                                             : at::arange(cols, at::kLong);
  const int64_t* place = order.const_data_ptr<int64_t>();
  const at::Tensor u = InverseFactor(h.index_select(0, order).index_select(1, order), options.damping);
  // Transposed: a column is a row in memory.
  at::Tensor moved = weights.index_select(1, order).t().contiguous();  // [cols, rows]
  at::Tensor codes = at::empty({cols, rows}, at::kByte);               // by place
  ColumnRounder rounder(rows, output, options.output_damping);
  std::vector<float> values(static_cast<size_t>(rows));
  int64_t group_now = -1;
  std::unique_ptr<Column> column;
  for (int64_t begin = 0; begin < cols; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, cols);
    at::Tensor errors = at::empty({end - begin, rows}, at::kFloat);
    for (int64_t j = begin; j < end; ++j) {
      const int64_t group = place[j] / width;
      if (options.dynamic_groups && !options.act_order && j % width == 0) {
        // Groups end where blocks do, so that its columns have all that those before them got wrong.
        const int64_t count = std::min(width, cols - j);
        const IntegerGrid fresh =
            grid_of(moved.narrow(0, j, count).t().contiguous(), h.diagonal().narrow(0, j, count));
        grid.scales.select(1, group).copy_(fresh.scales.select(1, 0));
        grid.zeros.select(1, group).copy_(fresh.zeros.select(1, 0));
        group_now = -1;
      }
      if (group != group_now) column = std::make_unique<Column>(grid, group_now = group);
      float* const now = moved.mutable_data_ptr<float>() + j * rows;
      rounder.Round(*column, now, values.data(), codes.mutable_data_ptr<uint8_t>() + place[j] * rows);
      const float* factor = u.const_data_ptr<float>() + j * cols;
      float* const error = errors.mutable_data_ptr<float>() + (j - begin) * rows;
      for (int64_t r = 0; r < rows; ++r) error[r] = (now[r] - values[static_cast<size_t>(r)]) / factor[j];
      ParallelFor(end - j - 1, std::max<int64_t>(1, (1 << 15) / rows), [&](int64_t from, int64_t to) {
        for (int64_t k = j + 1 + from; k < j + 1 + to; ++k) {
          float* const next = moved.mutable_data_ptr<float>() + k * rows;
          for (int64_t r = 0; r < rows; ++r) next[r] -= error[r] * factor[k];
        }
      });
    }
    if (end < cols) {
      moved.narrow(0, end, cols - end)
          .sub_(at::matmul(u.narrow(0, begin, end - begin).narrow(1, end, cols - end).t(), errors));
    }
  }
  return WithCodes(grid, codes.t().contiguous());
}

}  // namespace tnb
