#include "h2_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace penstock;
  fuzz::Script script(bytes, size);
  const std::uint8_t flags = script.Byte();
  http::H2Limits limits;
  if ((flags & 1) != 0) {  // budgets out of the way: the fuzzer gets deeper into nghttp2
    limits.resets_received = limits.resets_sent = limits.glitches = limits.pings = limits.settings = {1e9, 0};
  }
  if ((flags & 2) != 0) limits.streams_total = 3;
  fuzz::Driver driver(http::H2Codec::Side::kServer, limits, script);
  if ((flags & 4) == 0) driver.Feed(std::string_view("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33));
  driver.Run();
  return 0;
}
