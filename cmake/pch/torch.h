// Precompiled for what links LibTorch, but for the sources that CMakeLists.txt lists as PLAIN.
#pragma once

#include <ATen/ATen.h>

#include "cmake/pch/plain.h"
