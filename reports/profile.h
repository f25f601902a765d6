// Layer sensitivity: what it costs to compress one place of a model while everything else stays dense, as the
// CompactifAI supplement (arXiv 2401.14109) does it, and how well cheap proxies foretell it.
//
// A point is one method at one place. Its loss is a number of the record with its standard error: drift from
// the dense model, or what a task loses; larger is worse.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reports/table.h"

namespace tnb {

struct ProfilePoint {
  std::string method;  // as the user wrote it, "svd:keep=0.6"
  std::string place;   // "blocks.3.gate", "gate", "blocks.3"
  int64_t block = -1;  // -1: several
  std::string kind;    // "gate"; "": several
  int64_t run_id = 0;
  std::optional<double> loss, se;         // none: not measured
  std::string failure;                    // why there is no loss
  int64_t parameters = 0;                 // what is left of the place's linears ...
  int64_t dense_parameters = 0;           // ... of these
  std::map<std::string, double> proxies;  // by name, larger: expected to be worse
};

struct LayerProfile {
  std::string model, measure, unit;  // "smollm2-135m", "kld_mean", "nats"
  std::vector<ProfilePoint> points;
  std::vector<std::string> notes;
};

// One row a method and block, one column a kind: losses, and by shades of gray (on a logarithmic scale from
// the least to the largest of the table) a heat map.
Table HeatMap(const LayerProfile& profile);
// One row a point: place, method, run, what is kept, loss with its 95 % interval, proxies.
Table PointTable(const LayerProfile& profile);
// Spearman's rank correlation of every proxy with the loss, method by method and over all points.
Table ProxyTable(const LayerProfile& profile);

}  // namespace tnb
