#pragma once

#include <sys/types.h>

namespace penstock::control {

/// Prepares AskForStack: once, before anything can stand still.
void PrepareStallStacks();

/// Has `thread` of this process write its stack to stderr, when and as soon as it runs at all: module and offset per
/// line, names where the program exports them. Without a debugger this is the only way to see what it is busy with.
void AskForStack(pid_t thread);

}  // namespace penstock::control
