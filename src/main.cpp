#include "penstock/app/command_line.hpp"

int main(int argc, char** argv) { return penstock::app::RunCommandLine(argc, argv); }
