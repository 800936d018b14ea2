#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace penstock::telemetry {

/// The label `status`: a number for each code the gateway or a backend is known to send, a class for the
/// others of 100 to 599, "other" for what is no status. Bounded, whatever an upstream answers.
std::size_t StatusLabelIndex(std::uint16_t status) noexcept;
std::string_view StatusLabelText(std::size_t index) noexcept;
inline constexpr std::size_t kStatusLabels = 51;

}  // namespace penstock::telemetry
