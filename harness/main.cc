#include "harness/command.h"

int main(int argc, char** argv) { return tnb::RunCommandLine(argc, argv); }
