// What a recipe that is refused says.
#pragma once

#include <string>

#include "methods/recipe.h"
#include "tests/support/catch.h"

namespace tnb::testing {

// The message; that it is an error of usage is checked.
inline std::string RecipeError(const std::string& recipe) {
  try {
    ParseRecipe(recipe);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kUsage);
    return error.what();
  }
  return "(no error)";
}

}  // namespace tnb::testing
