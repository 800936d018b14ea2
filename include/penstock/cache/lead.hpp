#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "penstock/cache/admission.hpp"
#include "penstock/cache/flight_table.hpp"
#include "penstock/cache/key.hpp"
#include "penstock/llm/replay.hpp"
#include "penstock/llm/sse_decoder.hpp"
#include "penstock/llm/stream_tap.hpp"

namespace penstock::cache {

/// Owned by one Worker. The leader's side of a call: takes the answer down as it is relayed, lets followers have it,
/// and says at the end whether it may be kept. Ended by Land(); by its destruction as Landing::kLeft.
class Lead {
 public:
  struct Limits {
    std::uint64_t entry_bytes_max = 0;   ///< `cache.max_entry`: more is not kept, nor held for nobody
    std::uint64_t answer_bytes_max = 0;  ///< `server.limits.response_body`: more is not held for followers either
  };

  /// For those who may share the call; `joined` as the table gave it to the leader.
  Lead(FlightTable& table, std::shared_ptr<Flight> joined, const CacheKey& key, llm::Family family, Limits limits);
  /// For one whose answer may be kept, but not shared while it comes; `alone` as the table made it.
  Lead(std::shared_ptr<Flight> alone, const CacheKey& key, llm::Family family, Limits limits);
  ~Lead();
  Lead(const Lead&) = delete;
  Lead& operator=(const Lead&) = delete;

  const CacheKey& key() const noexcept { return key_; }
  /// Others wait for the answer, or read it as it comes.
  bool followed() const noexcept { return flight_->followers() > 0; }
  Flight& flight() noexcept { return *flight_; }
  bool committed() const noexcept { return open_; }

  // What the relay tells. Nothing of it is for followers before Commit(), so a call may begin anew until then.
  void OnAttempt();
  void OnHead(Form form, CacheControl control);
  void OnBytes(std::string_view bytes);  ///< of a whole answer; of a stream: what the relay adds
  /// Not comments: they are for whoever waits, not part of the answer.
  void OnEvent(const llm::SseEvent& event, const llm::Sighting& sighting);
  void Commit(std::optional<std::uint64_t> length);
  /// The answer is complete: `finish_reasons` as the tap or the document has them. Not an `answer`: an error with 200,
  /// or no document; unless it is committed by then, nobody but the leader gets it (FAULTS K-14).
  void OnComplete(bool fit, std::uint8_t finish_reasons, bool answer = true);

  /// All of it, unless it grew too large: then nothing.
  std::optional<std::string_view> Taken() const noexcept;
  /// May it be kept?
  Verdict Judged() const noexcept;
  /// The answer as an entry: a copy. After Taken() said that it is there.
  Entry MakeEntry(WallTime now, Duration ttl) const;

  /// Once; followers are told. `entry` with kWhole for those who wait for all of it, or in another form.
  void Land(Landing landing, std::optional<Entry> entry = std::nullopt, SharedRefusal refusal = {});

 private:
  void Append(std::string_view bytes);

  FlightTable* table_ = nullptr;  // null: nobody can join
  std::shared_ptr<Flight> flight_;
  CacheKey key_;
  llm::Family family_;
  Limits limits_;
  Form form_ = Form::kWhole;
  CacheControl control_;
  llm::UsageFinder usage_;
  std::uint64_t size_ = 0;
  bool dropped_ = false;  // larger than anybody holds
  bool open_ = false;
  bool complete_ = false;
  bool fit_ = false;
  bool answer_ = true;
  std::uint8_t finish_reasons_ = 0;
  bool landed_ = false;
};

}  // namespace penstock::cache
