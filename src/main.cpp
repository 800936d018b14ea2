#include "penstock/app/command_line.hpp"
#include "penstock/base/standard_descriptors.hpp"

int main(int argc, char** argv) {
  penstock::OpenStandardDescriptors();
  return penstock::app::RunCommandLine(argc, argv);
}
