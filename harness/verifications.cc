#include "harness/verification.h"

namespace tnb {

const std::vector<VerificationEntry>& Verifications() {
  static const std::vector<VerificationEntry> verifications = {
      {"invariance",
       "results depend neither on the batch, nor on the threads, nor on the way through the cache",
       "  tnbench verify invariance --model smollm2-135m --method fp32,int8,mpo+int8\n"
       "  tnbench verify invariance --model tinyllama-1.1b --weights random --method bf16",
       DeclareInvariance},
  };
  return verifications;
}

}  // namespace tnb
