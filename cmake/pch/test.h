// Precompiled for tests that do not include LibTorch.
#pragma once

#include "cmake/pch/plain.h"
#include "tests/support/catch.h"
