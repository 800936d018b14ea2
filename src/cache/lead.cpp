#include "penstock/cache/lead.hpp"

#include <algorithm>

namespace penstock::cache {

Lead::Lead(FlightTable& table, std::shared_ptr<Flight> joined, const CacheKey& key, llm::Family family, Limits limits)
    : table_(&table), flight_(std::move(joined)), key_(key), family_(family), limits_(limits) {}

Lead::Lead(std::shared_ptr<Flight> alone, const CacheKey& key, llm::Family family, Limits limits)
    : flight_(std::move(alone)), key_(key), family_(family), limits_(limits) {}

Lead::~Lead() { Land(Landing::kLeft); }

void Lead::OnAttempt() {
  if (open_) return;
  flight_->Restart();
  usage_ = {};
  size_ = 0;
  dropped_ = complete_ = fit_ = false;
  answer_ = true;
  finish_reasons_ = 0;
  control_ = {};
}

void Lead::OnHead(Form form, CacheControl control) {
  form_ = form;
  control_ = control;
}

void Lead::OnBytes(std::string_view bytes) { Append(bytes); }

void Lead::OnEvent(const llm::SseEvent& event, const llm::Sighting& sighting) {
  usage_.Note(event, sighting);
  Append(event.raw);
}

void Lead::Append(std::string_view bytes) {
  size_ += bytes.size();
  if (dropped_) return;
  if (size_ > limits_.entry_bytes_max) {
    if (table_ != nullptr) table_->Remove(key_.digest, *flight_);  // nobody new: this one is not to be held for long
    table_ = nullptr;
    const Landing landing = open_ ? Landing::kFailed : Landing::kAlone;
    dropped_ = flight_->GiveUpIfAlone(landing);
    if (!dropped_ && size_ > std::max(limits_.answer_bytes_max, limits_.entry_bytes_max)) {
      dropped_ = true;
      flight_->Land(landing, std::nullopt, {});
    }
    if (dropped_) return;
  }
  flight_->Append(bytes, form_ == Form::kEvents ? usage_.found() : llm::UsageEvent{});
}

void Lead::Commit(std::optional<std::uint64_t> length) {
  if (open_) return;
  open_ = true;
  if (control_.no_store) {
    Land(Landing::kAlone);
  } else if (!answer_) {
    Land(Landing::kFailed);
  } else if (!dropped_) {
    flight_->Open(form_, length);
  }
}

void Lead::OnComplete(bool fit, std::uint8_t finish_reasons, bool answer) {
  complete_ = true;
  fit_ = fit;
  answer_ = answer;
  finish_reasons_ = finish_reasons;
}

std::optional<std::string_view> Lead::Taken() const noexcept {
  if (dropped_ || size_ > limits_.entry_bytes_max) return std::nullopt;
  return flight_->bytes();
}

Verdict Lead::Judged() const noexcept {
  const bool replayable = form_ != Form::kEvents || usage_.replayable();
  if (flight_->forbidden()) return Verdict::kNoStore;
  const Outcome outcome{.status = 200,
                        .complete = complete_ && fit_ && replayable,
                        .finish_reasons = finish_reasons_,
                        .control = control_,
                        .bytes = size_};
  return Judge(family_, outcome, limits_.entry_bytes_max);
}

Entry Lead::MakeEntry(WallTime now, Duration ttl) const {
  Entry entry;
  entry.bytes = SharedBytes::Copy(flight_->bytes());
  entry.form = form_;
  entry.family = family_;
  if (form_ == Form::kEvents) entry.usage = usage_.found();
  entry.scope = key_.scope;
  entry.stored_at = now;
  entry.expires_at = {now.us + std::chrono::duration_cast<std::chrono::microseconds>(ttl).count()};
  return entry;
}

void Lead::Land(Landing landing, std::optional<Entry> entry, SharedRefusal refusal) {
  if (landed_) return;
  landed_ = true;
  if (table_ != nullptr) table_->Remove(key_.digest, *flight_);
  table_ = nullptr;
  flight_->Watch(nullptr, {});
  flight_->Land(landing, std::move(entry), std::move(refusal));
}

}  // namespace penstock::cache
