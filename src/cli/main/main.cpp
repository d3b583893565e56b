#include "cli/app.hpp"

int main(int argc, char** argv) { return bale::cli::run_main(argc, argv); }
