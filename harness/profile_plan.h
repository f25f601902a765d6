// A layer profile as ordinary cells: one method at one place of the model, everything else dense. The place
// is the selector of the method's stages, so that every point is a run like any other: recorded, resumed,
// repeated.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/config.h"
#include "reports/profile.h"

namespace tnb {

struct ProfilePlace {
  std::string name;      // "blocks.3.gate", "gate", "blocks.3"
  std::string selector;  // "gate/blocks(3)"
  int64_t block = -1;    // -1: several
  std::string kind;      // "": several
  std::vector<std::string> linears;
};

struct PlaceRequest {
  std::string by = "layer";  // "layer" | "kind" | "block"
  std::string layers;        // selector of what may be compressed; empty: the method's own default
  std::string blocks;        // "auto", "all", or a list "0,5,15"; empty: auto, with by=kind all
};

// auto: the first block, those at 1/6 and 1/2 of the depth, and the last one. Error{kUsage} for a block that
// does not exist and for what selects nothing.
std::vector<ProfilePlace> PlanPlaces(const ModelConfig& config, const std::string& method,
                                     const PlaceRequest& request);

// "svd:keep=0.6+int8" at "gate" is "svd:keep=0.6@gate+int8@gate". Stages that rewrite the model take no
// selector. Error{kUsage} for a method that has selectors of its own.
std::string MethodAt(const std::string& method, const std::string& selector);

struct SelectedLinear {
  std::string name, kind;
  int64_t block = -1;  // -1: embedding, head
  int64_t parameters = 0;
};
// All linears that `method` may touch, those of blocks that are not profiled too, in the order of the model.
std::vector<SelectedLinear> SelectLinears(const ModelConfig& config, const std::string& method,
                                          const PlaceRequest& request);

// How much of each linear to keep so that all together keep `budget` of their parameters at the least total
// loss, taking losses of single places as additive: {"blocks.0.q": 0.6, ...}, 1: dense. A place of several
// linears shares its loss by parameters; blocks that were not profiled are interpolated between those of the
// same kind that were. Error{kUsage} when the points allow no such budget, or hold nothing.
std::map<std::string, double> KeepOfProfile(const LayerProfile& profile,
                                            const std::vector<SelectedLinear>& linears, double budget);

}  // namespace tnb
