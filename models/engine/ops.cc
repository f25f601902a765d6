#include "models/engine/ops.h"

#include <ATen/ATen.h>

#include "models/engine/panel.h"
#include "models/engine/parallel.h"

namespace tnb {
namespace {

// Rows a thread should have at least, for about 20 microseconds of work.
int64_t RowGrain(int64_t size) { return std::max<int64_t>(1, 32768 / std::max<int64_t>(1, size)); }

}  // namespace

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  if (!x.is_cpu()) return at::rms_norm(x, {x.size(1)}, weight.to(x.device()), epsilon);
  const at::Tensor input = x.contiguous();
  at::Tensor y = at::empty(x.sizes(), x.options());
  const int64_t size = x.size(1);
  const float* from = input.const_data_ptr<float>();
  const float* gain = weight.const_data_ptr<float>();
  float* to = y.mutable_data_ptr<float>();
  ParallelFor(x.size(0), RowGrain(size), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      kernels::RmsNormRow(from + i * size, gain, size, static_cast<float>(epsilon), to + i * size);
    }
  });
  return y;
}

at::Tensor AddRmsNorm(at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double epsilon) {
  if (!x.is_cpu()) {
    x.add_(delta);
    return RmsNorm(x, weight, epsilon);
  }
  const at::Tensor addend = delta.contiguous();
  at::Tensor y = at::empty(x.sizes(), x.options());
  const int64_t size = x.size(1);
  float* sum = x.mutable_data_ptr<float>();
  const float* more = addend.const_data_ptr<float>();
  const float* gain = weight.const_data_ptr<float>();
  float* to = y.mutable_data_ptr<float>();
  ParallelFor(x.size(0), RowGrain(size), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* row = sum + i * size;
      for (int64_t j = 0; j < size; ++j) row[j] += more[i * size + j];
      kernels::RmsNormRow(row, gain, size, static_cast<float>(epsilon), to + i * size);
    }
  });
  return y;
}

at::Tensor SwiGlu(const at::Tensor& gate, const at::Tensor& up) {
  if (!gate.is_cpu()) return at::silu(gate) * up;
  const at::Tensor g = gate.contiguous(), u = up.contiguous();
  at::Tensor y = at::empty_like(g);
  const int64_t size = g.size(1);
  const float* gates = g.const_data_ptr<float>();
  const float* ups = u.const_data_ptr<float>();
  float* out = y.mutable_data_ptr<float>();
  ParallelFor(g.size(0), RowGrain(4 * size), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      kernels::SwiGluRow(gates + i * size, ups + i * size, size, out + i * size);
  });
  return y;
}

void Rotate(at::Tensor& x, const at::Tensor& positions, const at::Tensor& cosines, const at::Tensor& sines) {
  const int64_t heads = x.size(1), half = x.size(2) / 2;
  if (!x.is_cpu()) {
    const at::Tensor at_positions = positions.to(x.device());
    const at::Tensor c = cosines.index_select(0, at_positions).unsqueeze(1);
    const at::Tensor s = sines.index_select(0, at_positions).unsqueeze(1);
    const at::Tensor low = x.narrow(2, 0, half).clone(), high = x.narrow(2, half, half).clone();
    x.narrow(2, 0, half).copy_(low * c - high * s);
    x.narrow(2, half, half).copy_(high * c + low * s);
    return;
  }
  float* data = x.mutable_data_ptr<float>();
  const int64_t* position = positions.const_data_ptr<int64_t>();
  const float* cosine = cosines.const_data_ptr<float>();
  const float* sine = sines.const_data_ptr<float>();
  ParallelFor(x.size(0), RowGrain(heads * half * 2), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* c = cosine + position[i] * half;
      const float* s = sine + position[i] * half;
      for (int64_t head = 0; head < heads; ++head) {
        float* low = data + (i * heads + head) * 2 * half;
        float* high = low + half;
        for (int64_t j = 0; j < half; ++j) {
          const float a = low[j], b = high[j];
          low[j] = a * c[j] - b * s[j];
          high[j] = b * c[j] + a * s[j];
        }
      }
    }
  });
}

std::vector<RowSummary> Summarize(const at::Tensor& logits) {
  const at::Tensor rows = logits.to(at::kCPU, at::kFloat).contiguous();
  const int64_t size = rows.size(1);
  std::vector<RowSummary> summaries(static_cast<size_t>(rows.size(0)));
  ParallelFor(rows.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      summaries[static_cast<size_t>(i)] =
          kernels::SummarizeRow(rows.const_data_ptr<float>() + i * size, size);
    }
  });
  return summaries;
}

at::Tensor TimesTransposed(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor left = a.contiguous(), right = b.contiguous();
  at::Tensor product = at::empty({left.size(0), right.size(0)}, at::kFloat);
  DenseMatmul(right.const_data_ptr<float>(), right.size(0), right.size(1), left.const_data_ptr<float>(),
              left.size(1), left.size(0), product.mutable_data_ptr<float>(), right.size(0));
  return product;
}

at::Tensor Gram(const at::Tensor& a) {
  constexpr int64_t kStrip = 256;
  const at::Tensor rows = a.contiguous();
  const int64_t size = rows.size(0), length = rows.size(1);
  at::Tensor gram = at::empty({size, size}, rows.scalar_type());
  // Strips of rows up to the diagonal; the rest is their mirror image.
  for (int64_t begin = 0; begin < size; begin += kStrip) {
    const int64_t end = std::min(size, begin + kStrip);
    if (rows.scalar_type() == at::kFloat) {
      const float* const values = rows.const_data_ptr<float>();
      DenseMatmul(values, end, length, values + begin * length, length, end - begin,
                  gram.mutable_data_ptr<float>() + begin * size, size);
    } else {
      gram.narrow(0, begin, end - begin)
          .narrow(1, 0, end)
          .copy_(at::matmul(rows.narrow(0, begin, end - begin), rows.narrow(0, 0, end).t()));
    }
  }
  for (int64_t begin = kStrip; begin < size; begin += kStrip) {
    const int64_t height = std::min(kStrip, size - begin);
    gram.narrow(0, 0, begin)
        .narrow(1, begin, height)
        .copy_(gram.narrow(0, begin, height).narrow(1, 0, begin).t());
  }
  return gram;
}

}  // namespace tnb
