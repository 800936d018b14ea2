#include "sim/program.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace penstock::sim {
namespace {

constexpr bool kAny = false;
constexpr bool kWire = true;

/// In the order of docs/simulator.md.
constexpr FaultName kFaults[] = {
    {"status", Fault::kStatus, kBeforeHead, kAny, "*"},
    {"html", Fault::kHtml, kBeforeHead, kAny, ""},
    {"json-for-stream", Fault::kJsonForStream, kBeforeHead, kAny, ""},
    {"sse-for-json", Fault::kSseForJson, kBeforeHead, kAny, ""},
    {"silence", Fault::kSilence, kBeforeHead, kAny, ""},
    {"stall", Fault::kStall, 2, kAny, ""},
    {"end", Fault::kEnd, 2, kAny, ""},
    {"no-done", Fault::kNoDone, kAtEnd, kAny, ""},
    {"no-finish", Fault::kNoFinish, kAtEnd, kAny, ""},
    {"cut", Fault::kCut, 2, kAny, ""},
    {"split", Fault::kSplit, 2, kAny, ",cut,end,reset"},
    {"error", Fault::kError, kAfterRole, kAny, ""},
    {"malformed", Fault::kMalformed, 2, kAny, "json,nodata,cr,bom,comment,id,multiline,empty,utf8"},
    {"endless", Fault::kEndless, 2, kAny, ""},
    {"slow", Fault::kSlow, 2, kAny, ""},
    {"early", Fault::kEarly, kBeforeHead, kAny, ""},
    {"reset", Fault::kReset, kBeforeHead, kWire, ""},
    {"refused-stream", Fault::kReset, kBeforeHead, kWire, ""},
    {"close", Fault::kClose, kBeforeHead, kWire, ""},
    {"goaway", Fault::kGoaway, kBeforeHead, kWire, ",two-step"},
    {"max-streams", Fault::kMaxStreams, kBeforeHead, kWire, ""},
    {"flood", Fault::kFlood, kAfterRole, kWire, "ping,settings,window,empty-data,priority,unknown"},
    {"refuse", Fault::kScript, kBeforeHead, kWire, ""},
    {"two-lengths", Fault::kScript, kBeforeHead, kWire, ""},
    {"length-and-chunked", Fault::kScript, kBeforeHead, kWire, ""},
    {"unknown-coding", Fault::kScript, kBeforeHead, kWire, ""},
    {"chunked-in-10", Fault::kScript, kBeforeHead, kWire, ""},
    {"bare-lf", Fault::kScript, kBeforeHead, kWire, ""},
    {"head-bomb", Fault::kScript, kBeforeHead, kWire, ""},
    {"bad-field", Fault::kScript, kBeforeHead, kWire, "cr,nul,space,empty,fold"},
    {"interim", Fault::kScript, kBeforeHead, kWire, ""},
    {"switching", Fault::kScript, kBeforeHead, kWire, ""},
    {"body-after-204", Fault::kScript, kBeforeHead, kWire, ""},
    {"extra", Fault::kScript, kBeforeHead, kWire, ""},
    {"length-long", Fault::kScript, kBeforeHead, kWire, ""},
    {"length-short", Fault::kScript, kBeforeHead, kWire, ""},
    {"bad-chunk", Fault::kScript, kBeforeHead, kWire, "size,long,short,ending,half"},
    {"half-head", Fault::kScript, kBeforeHead, kWire, ""},
    {"slow-head", Fault::kScript, kBeforeHead, kWire, ""},
    {"plain", Fault::kScript, kBeforeHead, kWire, ""},
    {"trailers", Fault::kScript, kBeforeHead, kWire, ""},
    {"frame", Fault::kScript, kBeforeHead, kWire, "push,too-large,idle-data,bad-settings,bad-hpack,window-overflow"},
};

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

template <class Number>
bool Read(std::string_view text, Number min, Number max, Number& value) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < min || number > max) return false;
  value = number;
  return true;
}

bool ReadAfter(std::string_view text, std::int32_t& after) {
  constexpr std::pair<std::string_view, std::int32_t> kNames[] = {
      {"start", kBeforeHead}, {"head", kAfterHead}, {"role", kAfterRole}, {"end", kAtEnd}};
  for (const auto& [name, value] : kNames) {
    if (text == name) {
      after = value;
      return true;
    }
  }
  return Read(text, 0, static_cast<std::int32_t>(kTokensMax), after);
}

bool ReadUsage(std::string_view text, UsageStyle& style) {
  constexpr std::string_view kNames[] = {"asked", "none", "finish", "every"};
  const auto* found = std::find(std::begin(kNames), std::end(kNames), text);
  if (found == std::end(kNames)) return false;
  style = static_cast<UsageStyle>(found - std::begin(kNames));
  return true;
}

bool ReadLast(std::string_view text, std::int64_t& last) {
  if (text == "this")
    last = -1;
  else if (text == "before")
    last = -2;
  else
    return Read<std::int64_t>(text, 0, 0x7fffffff, last);
  return true;
}

bool ReadText(std::string_view text, std::string& value) {
  value = text;
  return true;
}

/// `key=value` behind any program.
bool ReadKey(std::string_view key, std::string_view value, Program& program) {
  if (key == "ttft") return Read(value, 0u, kMillisecondsMax, program.ttft_ms);
  if (key == "tokens") return Read(value, 0u, kTokensMax, program.tokens);
  if (key == "itl") return Read(value, 0u, kMillisecondsMax, program.itl_us);
  if (key == "after") return ReadAfter(value, program.after);
  if (key == "ms") return Read(value, 0u, kMillisecondsMax, program.ms);
  if (key == "n") return Read(value, 0u, kRepeatMax, program.count);
  if (key == "bytes") return Read<std::uint64_t>(value, 0, kAnswerBytesMax, program.bytes);
  if (key == "times") return Read(value, 0u, kRepeatMax, program.times);
  if (key == "every") return Read(value, 1u, kRepeatMax, program.every);
  if (key == "code") return Read(value, 0u, UINT32_MAX, program.code);
  if (key == "last") return ReadLast(value, program.last);
  if (key == "usage") return ReadUsage(value, program.usage);
  if (key == "timings") return program.timings = value == "1", value == "1" || value == "0";
  if (key == "text") return ReadText(value, program.text);
  if (key == "delta") return ReadText(value, program.delta);
  if (key == "finish") return ReadText(value, program.finish);
  if (key == "retry-after") return ReadText(value, program.retry_after);
  if (key == "retry-after-ms") return ReadText(value, program.retry_after_ms);
  return false;
}

/// The parts without '=' behind `sim`: pace.
bool ReadPace(std::size_t position, std::string_view part, Program& program) {
  program.prefill = false;
  switch (position) {
    case 0: return Read(part, 0u, kMillisecondsMax, program.ttft_ms);
    case 1: return Read(part, 0u, kTokensMax, program.tokens);
    case 2: return Read(part, 0u, kMillisecondsMax, program.itl_us);
    default: return false;
  }
}

/// The part without '=' behind a fault's name: its variant.
bool ReadWhich(const FaultName& fault, std::size_t position, std::string_view part, Program& program) {
  if (position != 0 || fault.which.empty()) return false;
  program.which = part;
  if (fault.fault == Fault::kStatus) return Read<std::uint16_t>(part, 200, 599, program.status);
  const std::vector<std::string_view> known = Split(fault.which, ',');
  return std::find(known.begin(), known.end(), part) != known.end();
}

const FaultName* FindFault(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kFaults), std::end(kFaults), [&](const FaultName& row) { return row.name == name; });
  return found == std::end(kFaults) ? nullptr : found;
}

Result<Program, std::string> WithFault(std::string_view name) {
  const FaultName* fault = FindFault(name);
  if (fault == nullptr) return "the simulator has no fault '" + std::string(name) + "'";
  Program program;
  program.fault = fault->fault;
  program.after = fault->after;
  program.wire = fault->wire;
  if (name == "refused-stream") program.code = 7;
  if (fault->fault == Fault::kScript) program.script = fault->name;
  if (!fault->which.empty() && fault->which != "*") program.which = Split(fault->which, ',').front();
  return program;
}

}  // namespace

std::span<const FaultName> FaultNames() noexcept { return kFaults; }

Result<Program, std::string> ParseProgram(std::string_view model) {
  const std::vector<std::string_view> parts = Split(model, ':');
  Program program;
  std::size_t next = 1;
  const FaultName* fault = nullptr;
  const bool constant = parts[0] == "sim-bytes";
  if (parts[0] == "sim") {
    program.ttft_ms = 30;
    program.tokens = 40;
    program.itl_us = 20'000;
    program.prefill = true;
  } else if (parts[0] == "fault" && parts.size() > 1) {
    TRY(program, WithFault(parts[1]));
    fault = FindFault(parts[1]);
    next = 2;
  } else if (!constant) {
    return "The model `" + std::string(model) + "` does not exist.";
  }
  for (std::size_t position = 0; next < parts.size(); ++next) {
    const std::string_view part = parts[next];
    const std::size_t equals = part.find('=');
    bool ok = false;
    if (equals != std::string_view::npos) {
      ok = ReadKey(part.substr(0, equals), part.substr(equals + 1), program);
    } else if (fault != nullptr) {
      ok = ReadWhich(*fault, position++, part, program);
    } else if (constant) {
      ok = position++ == 0 && Read<std::uint64_t>(part, 1, kAnswerBytesMax, program.constant_bytes);
    } else {
      ok = ReadPace(position++, part, program);
    }
    if (!ok) return "'" + std::string(part) + "' in the model's name means nothing to the simulator";
  }
  const bool whole_answer =
      program.fault == Fault::kStatus || program.fault == Fault::kHtml || program.fault == Fault::kScript;
  if (whole_answer) program.after = kBeforeHead;
  if (constant && program.constant_bytes == 0) return std::string("sim-bytes wants a size: sim-bytes:1024");
  return program;
}

}  // namespace penstock::sim
