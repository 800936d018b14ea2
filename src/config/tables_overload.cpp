#include "config/field.hpp"
#include "config/tables.hpp"

namespace penstock::config {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr Rules kShare = Between(0, 1);
constexpr Rules kTime = Between(seconds(0), hours(1));

}  // namespace

// One row, one line.
// clang-format off
template <>
const SectionType& SectionOf<MemoryOverload>() {
  static const Field kFields[] = {
      Key<&MemoryOverload::limit, AutoFormat<SizeFormat>>("limit", "bytes the process may have resident; auto = its control group's limit, or what the machine has", Bytes(16 * kMiB, 1024 * kGiB)),
      Key<&MemoryOverload::warning>("warning", "share of it: caches shrink, HTTP/1.1 connections close after their answer, batch requests are refused; 0 = never", kShare),
      Key<&MemoryOverload::critical>("critical", "share of it: new requests are refused; 0 = never", kShare),
      Key<&MemoryOverload::reset>("reset", "share of it: the largest requests are ended, connections are no longer accepted; 0 = never", kShare),
  };
  return MakeSection<MemoryOverload>(kFields);
}

template <>
const SectionType& SectionOf<ShareOverload>() {
  static const Field kFields[] = {
      Key<&ShareOverload::warning>("warning", "share of what can be had; 0 = never", kShare),
      Key<&ShareOverload::critical>("critical", "share of what can be had; 0 = never", kShare),
  };
  return MakeSection<ShareOverload>(kFields);
}

template <>
const SectionType& SectionOf<LagOverload>() {
  static const Field kFields[] = {
      Key<&LagOverload::warning>("warning", "batch requests are refused; 0 = never", kTime),
      Key<&LagOverload::critical>("critical", "new requests are refused; 0 = never", kTime),
  };
  return MakeSection<LagOverload>(kFields);
}

template <>
const SectionType& SectionOf<Watchdog>() {
  static const Field kFields[] = {
      Key<&Watchdog::stall>("stall", "a worker that stands still for so long is reported with its stack; 0 = never", kTime),
      Key<&Watchdog::abort>("abort", "one that stands still for so long ends the process with a core, unless a debugger is attached; 0 = never", kTime),
  };
  return MakeSection<Watchdog>(kFields);
}

template <>
const SectionType& SectionOf<Overload>() {
  static const Field kFields[] = {
      Key<&Overload::enabled>("enabled", "false: nothing of it but the watchdog"),
      Key<&Overload::memory>("memory", "resident, against a limit"),
      Key<&Overload::cpu>("cpu", "used by the process over 2 s, of the cores that its workers may use; warning: batch requests are refused; critical: all new ones"),
      Key<&Overload::loop_lag>("loop_lag", "the least that anything waited for its turn in a worker's loop within a second"),
      Key<&Overload::fds>("fds", "open, of the limit on open files less a reserve of 64; warning: HTTP/1.1 connections close after their answer; critical: none is accepted"),
      Key<&Overload::watchdog>("watchdog", "workers that stand still"),
  };
  return MakeSection<Overload>(kFields);
}
// clang-format on

}  // namespace penstock::config
