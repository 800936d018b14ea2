#include "penstock/telemetry/status_label.hpp"

#include <array>

namespace penstock::telemetry {

namespace {

// "other" and the classes, then the codes: RFC 9110's, those of backends (424 TGI, 529 Anthropic), our own
// 499.
// clang-format off
constexpr std::array<std::string_view, kStatusLabels> kTexts = {
    "other", "1xx", "2xx", "3xx", "4xx", "5xx",
    "200", "201", "202", "203", "204", "205", "206",
    "300", "301", "302", "303", "304", "307", "308",
    "400", "401", "402", "403", "404", "405", "406", "408", "409", "410", "411", "412", "413", "414", "415", "416", "417",
    "421", "422", "424", "425", "429", "431", "499",
    "500", "501", "502", "503", "504", "505", "529",
};
// clang-format on
constexpr std::size_t kClasses = 6;
constexpr std::size_t kStatuses = 600;

constexpr std::array<std::uint8_t, kStatuses> kIndex = [] {
  std::array<std::uint8_t, kStatuses> index{};
  for (std::size_t status = 100; status < kStatuses; ++status) index[status] = static_cast<std::uint8_t>(status / 100);
  for (std::size_t i = kClasses; i < kStatusLabels; ++i) {
    const std::string_view text = kTexts[i];
    const int status = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
    index[static_cast<std::size_t>(status)] = static_cast<std::uint8_t>(i);
  }
  return index;
}();

}  // namespace

std::size_t StatusLabelIndex(std::uint16_t status) noexcept { return status < kStatuses ? kIndex[status] : 0; }
std::string_view StatusLabelText(std::size_t index) noexcept { return kTexts[index]; }

}  // namespace penstock::telemetry
