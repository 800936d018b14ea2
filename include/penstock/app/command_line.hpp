#pragma once

namespace penstock::app {

/// The program: parses the arguments and runs the command. Exit codes: 0 done, 1 bad config or failed start, 2 usage.
int RunCommandLine(int argc, char** argv);

}  // namespace penstock::app
