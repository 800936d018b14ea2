#include "penstock/telemetry/access_log.hpp"

#include "telemetry/access_line.hpp"

namespace penstock::telemetry {

namespace {

/// Nine texts of at most 1 KiB, eleven numbers of at most 24 bytes, and the names.
static_assert(9 * (kLogFieldMax + 2) + 11 * 24 + 1024 <= kLogLineMax);

void Text(LineWriter& line, std::string_view name, std::string_view value) noexcept {
  line.Raw(name);
  if (value.empty()) {
    line.Raw("null");
  } else {
    line.Quoted(value);
  }
}

void Number(LineWriter& line, std::string_view name, std::optional<std::uint64_t> value) noexcept {
  line.Raw(name);
  if (value) {
    line.Unsigned(*value);
  } else {
    line.Raw("null");
  }
}

void Time(LineWriter& line, std::string_view name, std::optional<Duration> value) noexcept {
  line.Raw(name);
  if (value) {
    line.Milliseconds(*value);
  } else {
    line.Raw("null");
  }
}

}  // namespace

void WriteAccessLine(LineWriter& line, TimestampText& timestamp, const AccessRecord& record) noexcept {
  line.Raw(R"({"ts":")");
  line.Raw(timestamp.Format(record.ts));
  Text(line, R"(","request_id":)", record.request_id);
  Text(line, R"(,"client":)", record.client);
  Text(line, R"(,"protocol":)", ProtocolName(record.protocol));
  Text(line, R"(,"method":)", record.method);
  Text(line, R"(,"route":)", record.route);
  Text(line, R"(,"key":)", record.key);
  Text(line, R"(,"model":)", record.model);
  Text(line, R"(,"model_answered":)", record.model_answered);
  Text(line, R"(,"endpoint":)", record.endpoint);
  Number(line, R"(,"attempts":)", record.attempts);
  Number(line, R"(,"status":)", record.status);
  Text(line, R"(,"term":)", TermText(record.term));
  Text(line, R"(,"cache":)", record.cache);
  Number(line, R"(,"bytes_in":)", record.bytes_in);
  Number(line, R"(,"bytes_out":)", record.bytes_out);
  Number(line, R"(,"tokens_in":)", record.tokens_in);
  Number(line, R"(,"tokens_out":)", record.tokens_out);
  Time(line, R"(,"queue_ms":)", record.queue);
  Time(line, R"(,"ttft_ms":)", record.ttft);
  Time(line, R"(,"duration_ms":)", record.duration);
  Time(line, R"(,"gateway_ms":)", record.gateway);
  line.Raw("}");
}

/// Owned by one Worker. Allocated only where the log is on.
struct AccessLog::Scratch {
  TimestampText timestamp;
  char buffer[kLogLineMax];
};

AccessLog::AccessLog(LogChannel* channel, bool on)
    : channel_(channel), scratch_(channel == nullptr || !on ? nullptr : std::make_unique_for_overwrite<Scratch>()) {}
AccessLog::~AccessLog() = default;

void AccessLog::Write(const AccessRecord& record) noexcept {
  if (!enabled()) return;
  LineWriter line(scratch_->buffer, sizeof scratch_->buffer);
  WriteAccessLine(line, scratch_->timestamp, record);
  channel_->Push(LogTarget::kAccess, line.text());
}

}  // namespace penstock::telemetry
