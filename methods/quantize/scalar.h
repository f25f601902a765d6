// Scalar quantizers without calibration: every weight becomes a code of a few bits by a formula (rounding.h).
// Stored bytes of an m x n matrix with groups of g columns (mn/g groups, rounded up in each row; a row is one
// group of n):
//   int8 ... int2, symmetric        b m n / 8 + 2 m n / g
//   the same, asymmetric            and b m n / (8 g) for the integer zero points
//   nf4, fp4                        m n / 2 + 4 m n / g
//   nf4, fp4, double quantization   m n / 2 + m n / g + 4 m n / (256 g) + 4
//   hqq                             b m n / 8 + 4 m n / g
#pragma once

#include "methods/stage.h"

namespace tnb {

StageEntry IntegerEntry(int bits);                  // int8, int6 ... int2
StageEntry LevelsEntry(const std::string& levels);  // nf4, fp4
StageEntry HqqEntry();
StageEntry LlmInt8Entry();

// Parameters that quantizers share: `act`, how the input is quantized (int8 unless it is float), and the
// width of groups.
ParameterDescription ActivationParameter(const std::string& fallback);
// "zero": sym or asym.
ParameterDescription ZeroParameter();
Activation ActivationFrom(const StageValues& values);
ParameterDescription GroupParameter(const std::string& fallback, bool rows);
int64_t GroupFrom(const StageValues& values);
// A description with everything that quantizers have in common.
StageDescription DescribeQuantizer(const std::string& name, const std::string& summary,
                                   const std::string& reference);

}  // namespace tnb
