// saten: a matrix product operator and a sparse part of what it misses, W ~ N + S (Saten, arXiv 2505.14871,
// in the additive form; sources disagree whether the paper's own is additive or multiplicative). The paper
// trains both parts afterwards, which is another stage's work.
#pragma once

#include "methods/stage.h"

namespace tnb {

StageEntry SatenEntry();

}  // namespace tnb
