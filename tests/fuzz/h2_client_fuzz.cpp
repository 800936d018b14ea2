#include "h2_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace penstock;
  fuzz::Script script(bytes, size);
  const std::uint8_t flags = script.Byte();
  http::H2Limits limits = http::H2Limits::ForClient();
  if ((flags & 1) != 0) {
    limits.resets_received = limits.resets_sent = limits.glitches = limits.pings = limits.settings = {1e9, 0};
  }
  fuzz::Driver driver(http::H2Codec::Side::kClient, limits, script);
  if ((flags & 4) == 0) driver.Feed(std::string_view("\0\0\0\4\0\0\0\0\0", 9));
  driver.Run();
  return 0;
}
