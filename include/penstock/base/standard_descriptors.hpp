#pragma once

namespace penstock {

/// Opens /dev/null on those of the descriptors 0 to 2 that are closed, so that no socket or file of ours becomes what
/// is taken for stdin, stdout or stderr (as the C library does for set-user-ID programs). First thing in main().
void OpenStandardDescriptors() noexcept;

}  // namespace penstock
