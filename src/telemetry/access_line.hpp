#pragma once

#include "penstock/telemetry/access_log.hpp"
#include "telemetry/line_writer.hpp"

namespace penstock::telemetry {

/// Appends `record` as one JSON object, without an end of line. Never more than kLogLineMax bytes.
void WriteAccessLine(LineWriter& line, TimestampText& timestamp, const AccessRecord& record) noexcept;

}  // namespace penstock::telemetry
