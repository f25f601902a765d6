// The history of a number, night by night: where it stepped, and whether the last nights are a regression.
//
// Steps are found by the L1 Potts functional (Storath, Weinmann and Unser 2014; as airspeed velocity does):
// the piecewise constant fit with the least sum of absolute residuals plus a price a piece.
//
// The verdict compares the last `nights` nights with the nights at the same level before them (the last piece
// that is long enough). It is a regression when
//   every one of the nights lies on the bad side of the level, and their median by more than the noise floor;
//   their mean is beyond the prediction interval of so many nights (Student's t, one-sided `alpha`), with all
//   nights cut to Tukey's inner fences Q1 - 1.5 IQR, Q3 + 1.5 IQR of the history, so that one wild night
//   neither raises an alarm nor hides one.
// A number that never varied (stored bytes) needs no confirmation: one night beyond the floor is enough. A
// night beyond Q3 + 3 IQR of its history (the fence of rustc-perf) that is not confirmed yet is to be
// watched. A new level becomes the normal one when it has lasted `least_history` nights.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace tnb {

struct WatchOptions {
  size_t nights = 3;         // consecutive, before there is a verdict
  size_t history = 40;       // nights before them that count, at most
  size_t least_history = 8;  // at least
  double alpha = 0.01;
  double floor = 0.02;  // relative change below which nothing is said
  bool higher_is_better = false;
};

// Error{kUsage} for values out of range, naming the field.
void CheckWatchOptions(const WatchOptions& options);

// First indices of the pieces, the first of which is 0. Pieces have at least `shortest` values. `resolution`:
// relative differences below it are noise. Error{kData} for no values, NaN or infinity.
std::vector<size_t> FindPieces(std::span<const double> values, size_t shortest, double resolution);

enum class NightVerdict {
  kFine,
  kWatch,  // out of the ordinary tonight, not confirmed
  kRegression,
  kImprovement,
  kTooFewNights,   // nothing to compare with yet
  kNotComparable,  // the history is of another machine, model or protocol
};
const char* ToString(NightVerdict verdict);

struct SeriesJudgment {
  NightVerdict verdict = NightVerdict::kTooFewNights;
  double level = 0;      // median of the nights that are compared with; 0: none
  double tonight = 0;    // the last value
  double change = 0;     // relative, of the mean of the last nights: +0.05 is 5 % more
  double threshold = 0;  // |change| that would have been a regression or improvement
  size_t nights = 0;     // that the level is made of
};

// `values`: one a night, oldest first, tonight last; all positive and finite, else Error{kData}.
SeriesJudgment JudgeSeries(std::span<const double> values, const WatchOptions& options);

// `values` as if the level that was accepted at the night with this index had been there before: the nights
// before the step that led to it are multiplied to its level, where they go on telling how the number
// scatters. Unchanged when there are too few nights for a verdict.
std::vector<double> AcceptLevel(std::span<const double> values, size_t accepted, const WatchOptions& options);

// The night whose items tonight's are compared with, pairwise: the first one of the last piece of the history
// that has lasted (an index into `values`, which does not include tonight). `values` is not empty.
size_t ReferenceNight(std::span<const double> values, const WatchOptions& options);

}  // namespace tnb
