// How well samples compress, at which levels, and how sure that is. Compresses; reads and writes nothing.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "compression/level_model.hpp"
#include "jobs/estimate/bill.hpp"

namespace bale::estimate {

/// A piece of an object that was drawn, in memory.
struct Sample {
  std::string key;
  Buffer bytes;
};

/// What was found of one content class.
struct ClassPrediction {
  std::string name;  ///< "text-1"
  std::size_t samples = 0;
  double share = 0;  ///< of the bytes
  int level = 0;     ///< that pays best
  double ratio = 1;  ///< stored bytes for a byte at that level
};

struct Predicted {
  Prediction mean;
  double error = 0;  ///< half the width of the interval that holds the true ratio in 95 of 100 estimates
  std::size_t samples = 0;
  ByteCount sample_bytes = 0;
  std::vector<ClassPrediction> classes;  ///< largest share first
};

/// Compresses the samples at some levels, chooses for every class the one that pays best, and takes the mean. Samples
/// stand for equal shares of the bytes. Small ones are compressed together, as in an archive. Times are processor times
/// of this machine. With no sample the ratio is 1 and the error 1.
Predicted predict(std::vector<Sample> samples, const compression::CostModel& cost);

}  // namespace bale::estimate
