#include "harness/verification.h"

namespace tnb {

const std::vector<VerificationEntry>& Verifications() {
  static const std::vector<VerificationEntry> verifications = {
      {"invariance",
       "results depend neither on the batch, nor on the threads, nor on the way through the cache",
       "  tnbench verify invariance --model smollm2-135m --method fp32,int8,mpo+int8\n"
       "  tnbench verify invariance --model tinyllama-1.1b --weights random --method bf16",
       DeclareInvariance},
      {"ising", "tensor-network simulation of the kicked Ising circuit on 127 qubits, against exact values",
       "  tnbench verify ising --plot magnetization.svg\n"
       "  tnbench verify ising --qubits 1121 --chi 8,16,32\n"
       "  tnbench verify ising --steps 9 --site 62 --chi 16,32",
       DeclareIsing},
  };
  return verifications;
}

}  // namespace tnb
