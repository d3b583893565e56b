// The program: arguments in, exit status out.
#pragma once

#include <string>
#include <vector>

#include "os/world.hpp"

namespace bale::cli {

/// Runs one command line (without the program's name) in `world` and returns the exit status. Errors are printed to err
/// as "bale: what (where)" and a line "hint: ..."; with --output json as one JSON object. Never throws. Used by main()
/// and by tests.
int run(const std::vector<std::string>& arguments, os::World world);

/// Entry point of the executable: the real world, with SIGINT and SIGTERM as its stop token.
int run_main(int argc, char** argv);

}  // namespace bale::cli
