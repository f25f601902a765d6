#include "methods/factorize/disentangled.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace tnb {
namespace {

constexpr int kMostRounds = 20;
constexpr double kSettled = 1e-3;  // a round that gains less of the loss is the last one

// Rows of t [m, n] with the two legs of a gate in front: [legs of the gate, everything else].
at::Tensor InFront(const at::Tensor& t, const std::vector<int64_t>& legs, int64_t leg) {
  int64_t before = 1;
  for (int64_t k = 0; k < leg; ++k) before *= legs[static_cast<size_t>(k)];
  const int64_t size = legs[static_cast<size_t>(leg)] * legs[static_cast<size_t>(leg) + 1];
  return t.reshape({before, size, -1}).transpose(0, 1);
}

// gate t, the gate acting on rows.
at::Tensor Apply(const at::Tensor& matrix, const at::Tensor& t, const std::vector<int64_t>& legs,
                 int64_t leg) {
  const at::Tensor front = InFront(t, legs, leg);
  const at::Tensor product = at::matmul(matrix, front.reshape({front.size(0), -1}));
  return product.reshape(front.sizes()).transpose(0, 1).reshape(t.sizes());
}

// The orthogonal matrix with the largest overlap: the polar factor.
at::Tensor Polar(const at::Tensor& environment) {
  const auto [left, values, right] = at::linalg_svd(environment.to(at::kDouble), /*full_matrices=*/false);
  return at::matmul(left, right).to(at::kFloat);
}

}  // namespace

DisentangledForm::DisentangledForm(Legs legs, int64_t layers)
    : SizedForm(legs, "chi"), chain_(std::move(legs), {}), layers_(layers), gates_(0) {
  if (this->legs().out.size() < 3) {
    throw Error(ErrorKind::kUsage,
                {"gates over two legs of two would be as large as the matrix", "three cores or more",
                 std::to_string(this->legs().out.size()), "disentangle", "cores=4, or disentangle=0"});
  }
  for (const auto* side : {&this->legs().out, &this->legs().in}) {
    for (const Gate& gate : Identity(*side)) gates_ += gate.matrix.numel();
  }
}

DisentangledForm::Circuit DisentangledForm::Identity(const std::vector<int64_t>& legs) const {
  Circuit circuit;
  for (int64_t layer = 0; layer < layers_; ++layer) {
    for (size_t leg = static_cast<size_t>(layer % 2); leg + 1 < legs.size(); leg += 2) {
      circuit.push_back({static_cast<int64_t>(leg), at::eye(legs[leg] * legs[leg + 1], at::kFloat)});
    }
  }
  return circuit;
}

NetworkCut DisentangledForm::CutTo(const at::Tensor& matrix, int64_t chi, double norm) const {
  // Sides are treated alike: V's gates act on the rows of the transpose.
  Circuit circuits[2] = {Identity(legs().out), Identity(legs().in)};
  const std::vector<int64_t>* const sizes[2] = {&legs().out, &legs().in};
  const auto undone = [&](at::Tensor t, size_t side) {
    for (auto gate = circuits[side].rbegin(); gate != circuits[side].rend(); ++gate)
      t = Apply(gate->matrix.t(), t, *sizes[side], gate->leg);
    return t;
  };
  const auto done = [&](at::Tensor t, size_t side) {
    for (const Gate& gate : circuits[side]) t = Apply(gate.matrix, t, *sizes[side], gate.leg);
    return t;
  };
  const auto truncated = [&] {
    const at::Tensor inner = undone(undone(matrix, 0).t().contiguous(), 1).t().contiguous();
    return chain_.Cut(inner, chi > 0 ? Amount{.rank = chi}
                                     : Amount{.error = std::max(norm, 1e-30) /
                                                       std::sqrt(std::max(SquaredNorm(inner), 1e-60))});
  };
  // What gates are to make small: the loss, or, with an error that is to be met, the cores.
  const auto cost = [&](const NetworkCut& cut) {
    if (chi > 0) return cut.loss;
    double parameters = 0;
    for (const NetworkTensor& core : cut.cores) parameters += static_cast<double>(core.values.numel());
    return parameters;
  };
  NetworkCut best = truncated();
  const double at_first = best.loss;
  Circuit found[2] = {circuits[0], circuits[1]};
  for (int round = 0; round < kMostRounds; ++round) {
    const at::Tensor middle = LinearOf(best.cores, legs())->Rebuild();
    for (size_t side = 0; side < 2; ++side) {
      const at::Tensor target = side == 0 ? matrix : matrix.t().contiguous();
      at::Tensor inner = done(side == 0 ? middle.t().contiguous() : middle, 1 - side).t().contiguous();
      at::Tensor outer = undone(target, side);
      for (Gate& gate : circuits[side]) {
        // target without this gate and those before it, against what it acts on.
        outer = Apply(gate.matrix, outer, *sizes[side], gate.leg);
        const at::Tensor a = InFront(outer, *sizes[side], gate.leg),
                         b = InFront(inner, *sizes[side], gate.leg);
        gate.matrix = Polar(at::matmul(a.reshape({a.size(0), -1}), b.reshape({b.size(0), -1}).t()));
        inner = Apply(gate.matrix, inner, *sizes[side], gate.leg);
      }
    }
    NetworkCut cut = truncated();
    const double before = cost(best), gained = before - cost(cut);
    if (gained <= 0) break;
    best = std::move(cut);
    found[0] = circuits[0];
    found[1] = circuits[1];
    if (gained < kSettled * before) break;
  }
  // The legs of M become inner ones where gates are.
  std::vector<NetworkTensor> cores;
  int next = static_cast<int>(bond_leg(legs().out.size()));
  const auto count = static_cast<int>(legs().out.size());
  const std::vector<int> in = AddGates(found[1], legs().in, count, next, cores);
  std::vector<NetworkTensor> after;
  const std::vector<int> out = AddGates(found[0], legs().out, 0, next, after);
  for (NetworkTensor& core : best.cores) {
    for (int& leg : core.legs) {
      if (leg < count) {
        leg = out[static_cast<size_t>(leg)];
      } else if (leg < 2 * count) {
        leg = in[static_cast<size_t>(leg - count)];
      }
    }
    cores.push_back(std::move(core));
  }
  cores.insert(cores.end(), after.rbegin(), after.rend());
  best.cores = std::move(cores);
  best.detail["gates"] = found[0].size() + found[1].size();
  best.detail["gate_parameters"] = gates_;
  best.detail["loss_without_gates"] = at_first;
  return best;
}

std::vector<int> DisentangledForm::AddGates(const Circuit& circuit, const std::vector<int64_t>& sizes,
                                            int first, int& next, std::vector<NetworkTensor>& cores) const {
  std::vector<int> legs;
  for (size_t k = 0; k < sizes.size(); ++k) legs.push_back(first + static_cast<int>(k));
  for (auto gate = circuit.rbegin(); gate != circuit.rend(); ++gate) {
    const auto k = static_cast<size_t>(gate->leg);
    const int a = next++, b = next++;
    cores.push_back({gate->matrix.reshape({sizes[k], sizes[k + 1], sizes[k], sizes[k + 1]}).contiguous(),
                     {legs[k], legs[k + 1], a, b}});
    legs[k] = a;
    legs[k + 1] = b;
  }
  return legs;
}

}  // namespace tnb
